"""Hand-overs: Zooniverse manifests, the Zoobot catalog, the report, the run's own record."""
