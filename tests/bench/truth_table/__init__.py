"""Rooms of `tests/bench/truth.py`: skies with their noise-free light, the tools that look at them, the scores."""
