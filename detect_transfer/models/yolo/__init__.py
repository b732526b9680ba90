"""The YOLO family, on the networks and the loss of ultralytics."""
