"""A car between two hills, where continuous control with a distant goal is tried out."""
