"""Reading any media file as 16 kHz mono sound."""
