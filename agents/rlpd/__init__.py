"""Reinforcement learning with prior data."""
