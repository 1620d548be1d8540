"""Stochastic discrete lot-sizing on parallel machines."""
