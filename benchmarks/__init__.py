"""Train, evaluate and rank everything that plays an or-envs problem."""
