"""The urban air mobility fleet problem."""
