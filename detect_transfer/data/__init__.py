"""Prepare: cleaning, class maps, splits and data-set checks."""
