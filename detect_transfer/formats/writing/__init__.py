"""Exports: one writer a target format."""
