"""Sources: background, noise, detection, measurement, flags, merging, selection. Arrays in, tables out."""
