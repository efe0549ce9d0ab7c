"""The survey level: columns, merging, names, astrometry, cross-matches, selection, tables of others."""
