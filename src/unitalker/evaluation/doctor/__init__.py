"""The doctor: what is wrong with a dataset, clip by clip, and a curated copy without it."""
