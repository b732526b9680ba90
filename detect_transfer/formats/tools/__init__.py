"""Readers of what labelling tools and hubs export."""
