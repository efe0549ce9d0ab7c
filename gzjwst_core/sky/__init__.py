"""The synthetic sky and the loopback archive: what the demo and the tests run against.

Two halves. The generator makes mosaics in code from a seed: `options` (what may be chosen), `fields` and `geometry`
(where), `scene` (which sources: the truth table), `psf`, `sersic`, `noise` and `render` (how the telescope sees
them), `headers` and `mosaics` (how archives lay them out), `build` (the folder on disk). The archive serves that
folder as MAST and the public bucket would: `listing`, `server` and their helpers.
"""
