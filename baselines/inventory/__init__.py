"""Baselines of inventory networks."""
