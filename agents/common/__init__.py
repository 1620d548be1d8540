"""What two or more agents use."""
