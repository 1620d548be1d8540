"""Capacitated lot-sizing of several items with setup times."""
