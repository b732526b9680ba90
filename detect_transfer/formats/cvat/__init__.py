"""CVAT XML 1.1, read and written."""
