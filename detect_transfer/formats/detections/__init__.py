"""Prediction files, read and written."""
