"""COCO's numbers, and their intervals by bootstrap."""
