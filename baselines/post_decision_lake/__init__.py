"""Baselines of the post-decision lake."""
