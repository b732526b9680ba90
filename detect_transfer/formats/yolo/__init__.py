"""YOLO label files, listed by a `data.yaml` or as of Darknet, read and written."""
