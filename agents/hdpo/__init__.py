"""Hindsight differentiable policy optimisation (HDPO)."""
