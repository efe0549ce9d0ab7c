"""Images: cutouts in colour; never reads a mosaic."""
