"""Rules and solvers that every agent has to beat; see :mod:`baselines.registration`."""
