"""Uncapacitated lot-sizing of one item (Wagner and Whitin)."""
