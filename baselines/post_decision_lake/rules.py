"""Decision rules for the post-decision lake."""

from __future__ import annotations

import numpy as np

from or_envs.post_decision_lake.instances import STEPS, LakeInstance, distance_to_goal
from or_envs.post_decision_lake.problem import LakeState, PostDecisionLake


class ShortestPath:
    """Moves towards the goal on a shortest path around the holes, as if there were no drift.

    It ends the episode early, which is not what the rewards ask for. Of equally good moves it
    takes the first; where there is no path, the first that keeps to the ice, if any.

    Parameters
    ----------
    problem
        The lake.
    seed
        Not needed.
    """

    def __init__(self, problem: PostDecisionLake, seed: int = 0) -> None:
        size = problem.size
        distance = distance_to_goal(problem.hole)
        # Where there is no path, ice is still better than a hole.
        distance = np.where(np.isinf(distance) & ~problem.hole, size * size, distance)
        framed = np.pad(distance.reshape(size, size), 1, constant_values=np.inf)
        neighbours = [
            framed[1 + down : 1 + down + size, 1 + right : 1 + right + size]
            for down, right in STEPS
        ]
        self._action = np.stack(neighbours).reshape(4, -1).argmin(axis=0)

    def __call__(self, instance: LakeInstance, state: LakeState) -> np.ndarray:
        """Return the moves, (B,)."""
        return self._action[state.cell]
