"""The Animator: sound in, motion out."""
