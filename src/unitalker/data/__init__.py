"""Datasets: manifest, reading, importers and synthesis."""
