"""Readers of pedestrian data sets."""
