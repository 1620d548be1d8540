"""Rules for the car between two hills."""
