"""Baselines of the travelling salesman problem."""
