"""Baselines of the capacitated lot-sizing problem."""
