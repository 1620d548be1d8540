"""Baselines of the urban air mobility fleet."""
