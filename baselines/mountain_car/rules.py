"""Rules for the car between two hills."""

from __future__ import annotations

import numpy as np

from or_envs.mountain_car.problem import MountainCar, MountainCarInstance, MountainCarState


class Swing:
    """Pushes the way that the car is moving, which adds energy at every step.

    Parameters
    ----------
    problem
        The car.
    seed
        Not needed.
    force
        How hard, in (0, 1]. A third reaches the goal as well, later and with less effort.

    Raises
    ------
    ValueError
        If the force is outside its range.
    """

    def __init__(self, problem: MountainCar, seed: int = 0, force: float = 1.0) -> None:
        if not 0 < force <= 1:
            raise ValueError(f"force: expected a number in (0, 1], got {force!r}")
        self.force = force

    def __call__(self, instance: MountainCarInstance, state: MountainCarState) -> np.ndarray:
        """Return the forces, (B, 1); a car at rest is pushed to the right."""
        return self.force * np.where(state.velocity >= 0, 1.0, -1.0)[:, None]
