"""Files: atomic writing, folders at any fsspec URL, tables, locks."""
