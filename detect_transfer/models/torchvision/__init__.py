"""The torchvision family: Faster R-CNN, RetinaNet, FCOS and SSD."""
