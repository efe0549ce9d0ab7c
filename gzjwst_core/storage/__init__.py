"""Files of a run: atomic writing, folders at any fsspec URL, receipts."""
