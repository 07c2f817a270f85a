"""Writers: one file per output format, and the renderer."""
