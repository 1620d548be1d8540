"""What the baselines of two or more problems share."""
