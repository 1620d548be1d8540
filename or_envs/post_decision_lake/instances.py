"""Maps of the post-decision lake."""

from __future__ import annotations

import dataclasses

import numpy as np

from or_envs.core.arrays import Array, Arrays

#: Probability that a cell is frozen.
FROZEN = 0.8
#: Seed of the drift laws, which belong to the cell and are the same on every map of a size.
DRIFT_SEED = 42
#: Row and column steps of the directions left, down, right, up (gymnasium's order).
STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))


@dataclasses.dataclass(frozen=True)
class LakeInstance(Arrays):
    """A lake of S = size^2 cells, numbered row by row from the top left.

    Attributes
    ----------
    start
        Cell at the start, integers (B,).
    hole
        Whether the ice is broken there, bool (B, S).
    drift_probability
        Law of the direction of a drift that begins in the cell, (B, S, 4).
    """

    start: Array
    hole: Array
    drift_probability: Array


def generate(size: int, map_seed: int) -> LakeInstance:
    """Draw a map: frozen with probability 0.8 each, until a path from start to goal exists.

    Start (top left) and goal (bottom right) are frozen. Drift laws are Dirichlet(1, 1, 1, 1).

    Returns
    -------
    A batch of one.
    """
    cells = size * size
    rng = np.random.default_rng(map_seed)
    while True:
        hole = rng.random(cells) >= FROZEN
        hole[[0, -1]] = False
        if np.isfinite(distance_to_goal(hole)[0]):
            break
    drift = np.random.default_rng(DRIFT_SEED).dirichlet(np.ones(4), size=cells)
    return LakeInstance(np.zeros(1, dtype=np.int64), hole[None], drift[None])


def distance_to_goal(hole: np.ndarray) -> np.ndarray:
    """Fewest moves from each cell to the bottom right one around the holes, (S,).

    Holes, and cells from which there is no path, are infinitely far.
    """
    cells = len(hole)
    size = round(cells**0.5)
    distance = np.full(cells, np.inf)
    distance[-1] = 0
    reached = [cells - 1]
    for cell in reached:  # grows while it is read: breadth first
        row, column = divmod(cell, size)
        for down, right in STEPS:
            r, c = row + down, column + right
            there = r * size + c
            inside = 0 <= r < size and 0 <= c < size
            if inside and not hole[there] and distance[there] == np.inf:
                distance[there] = distance[cell] + 1
                reached.append(there)
    return distance
