"""Readers of traffic-sign data sets."""
