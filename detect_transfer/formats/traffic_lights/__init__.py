"""Readers of traffic-light data sets."""
