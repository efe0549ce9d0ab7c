"""Rooms of `recipes.py`: skies and their cutouts, peers, figures."""
