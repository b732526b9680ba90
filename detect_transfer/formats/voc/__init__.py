"""Pascal VOC XML, read and written."""
