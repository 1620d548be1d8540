"""Inventory networks: one dynamics, many published settings."""
