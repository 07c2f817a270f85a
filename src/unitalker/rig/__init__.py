"""The built-in head and rig files."""
