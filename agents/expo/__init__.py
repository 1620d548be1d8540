"""Expressive policy optimisation."""
