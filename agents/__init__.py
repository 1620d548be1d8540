"""Stable-Baselines3-style agents: learn, predict, save, load."""
