"""Prepare: cleaning, class maps, splits and data-set checks. Rank 3: imports only lower ranks."""
