"""The built-in head, made by code."""
