"""Routing problems."""
