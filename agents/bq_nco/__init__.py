"""BQ-NCO: construction policies that imitate solutions, on tail sub-problems."""
