"""The two ways to state a construction problem: by its tail, or by the partial solution."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np

from or_envs.core.arrays import Array

#: "bq": states and observations hold the tail sub-problem only (bisimulation quotienting,
#: arXiv 2301.03313). "direct": they hold the partial solution as well.
Mode = Literal["bq", "direct"]


def check_mode(mode: str) -> None:
    """Refuse unknown modes.

    Raises
    ------
    ValueError
        If ``mode`` is neither "bq" nor "direct".
    """
    if mode not in ("bq", "direct"):
        raise ValueError(f"mode: expected 'bq' or 'direct', got {mode!r}")


def record_visit(xp: Any, visits: Array, chosen: Array) -> Array:
    """Number the visit of the nodes ``chosen``, bool (B, N), after all earlier ones.

    ``visits`` has the step in which each node was visited, 0 if not yet; it is (B, 0) in mode "bq",
    and stays so.
    """
    if not visits.shape[1]:
        return visits
    step = xp.max(visits, axis=1, keepdims=True) + 1
    return xp.where(chosen, step, visits)


def unit_spaces(mode: Mode, num_nodes: int, **shapes: tuple[int, ...]) -> gym.spaces.Dict:
    """Observation space of float32 arrays in [0, 1], with "visits" (N,) in mode "direct"."""
    if mode == "direct":
        shapes["visits"] = (num_nodes,)
    return gym.spaces.Dict(
        {name: gym.spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in shapes.items()}
    )
