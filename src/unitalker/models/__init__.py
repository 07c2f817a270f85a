"""Encoders, frequency adaptor, decoders and the UniTalker model."""
