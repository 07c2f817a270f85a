"""Annotations: what the numbers of one frame mean."""
