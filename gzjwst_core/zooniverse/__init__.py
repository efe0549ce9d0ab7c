"""Zooniverse: subject manifests, their check, uploads, votes, and the field of view fitted to them."""
