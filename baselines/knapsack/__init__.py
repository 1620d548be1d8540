"""Baselines of the knapsack problem."""
