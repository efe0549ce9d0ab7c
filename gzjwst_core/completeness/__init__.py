"""The selection function: galaxies injected and looked for by the catalog's own code, and what came of them."""
