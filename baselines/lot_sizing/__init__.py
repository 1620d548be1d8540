"""Baselines of the stochastic discrete lot-sizing problem."""
