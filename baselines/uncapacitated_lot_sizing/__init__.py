"""Baselines of the uncapacitated lot-sizing problem."""
