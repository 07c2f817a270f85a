"""What the paper's release fixes, for those that read its checkpoints and for those that read its data."""
