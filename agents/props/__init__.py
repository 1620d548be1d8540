"""Proximal robust on-policy sampling."""
