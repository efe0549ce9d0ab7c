"""The Zoobot catalog: rows, training and test sides, single-band files."""
