"""Background, noise model, tiles, extraction, depth: mosaics in, detected sources out."""
