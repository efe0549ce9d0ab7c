"""Thin Prefect tasks: name, retries, cache key, artifact; each body is one call into the core."""
