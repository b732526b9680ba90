"""Our lossless tables, read and written."""
