"""Mosaics on the local disk: verified downloads, rows of large files, entries, and how much may be held."""
