"""The job shop: classic, blocking with and without swaps, interrupted by shutdowns."""
