"""Level-3 mosaics: geometry of windows and tiles, units, opening and reading, segmentation maps. No measuring here."""
