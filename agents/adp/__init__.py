"""Approximate dynamic programming around the post-decision state."""
