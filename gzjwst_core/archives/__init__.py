"""Where mosaics come from: MAST's listing, the rules that choose, and the archives that hold the files.

`mast` asks, `rules` and `fields` choose, `locate` tries the archives in order, `fetch` brings a mosaic into the cache.
Each archive is one file that implements `base.Archive`.
"""
