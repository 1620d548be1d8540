"""A slippery lake with a genuine post-decision state."""
