"""Probabilistic mixture-of-experts: policies that are mixtures, for SAC and PPO."""
