"""Detectors as files that other runtimes run: written, opened again, and what they say of themselves."""
