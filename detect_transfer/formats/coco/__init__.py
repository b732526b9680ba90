"""COCO instances JSON, read and written, and the data folder that `convert` writes."""
