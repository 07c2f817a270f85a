"""The open benchmark: its recordings from public files, and the runs of docs/open.md."""
