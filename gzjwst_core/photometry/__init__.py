"""Forced photometry, apertures, shapes and flags: a table of one field's sources."""
