"""Cutouts: field of view, extraction, FITS."""
