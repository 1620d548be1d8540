"""Baselines of the job shop."""
