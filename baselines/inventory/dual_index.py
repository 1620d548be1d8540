"""Two suppliers: dual index, capped dual index, tailored base-surge."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from baselines.common.rule_fitness import RuleFitness
from baselines.inventory.base_stock import steady
from baselines.inventory.playing import check_single_echelon, playable
from or_envs.core import Rule
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


class CappedDualIndex:
    """Expedite up to one level, order up to another regularly, but no more than a cap.

    The fast level looks at what is on hand; the regular one at all that is on order as well.
    Without a cap it is the dual-index policy (Veeraraghavan and Scheller-Wolf, Oper. Res. 56(4),
    2008); the cap is due to Sun and Van Mieghem (M&SOM 21(4), 2019).

    Parameters
    ----------
    problem
        A store with two outside suppliers: edge 0 regular, edge 1 expedited.
    expedited, regular, cap
        Numbers, or one per batch row, (B,).
    """

    def __init__(
        self,
        problem: InventoryNetwork,
        expedited: float | np.ndarray,
        regular: float | np.ndarray,
        cap: float | np.ndarray = np.inf,
    ) -> None:
        check_single_echelon(problem, suppliers=2)
        self.problem = problem
        self.expedited, self.regular, self.cap = expedited, regular, cap

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, 2)."""
        on_hand = state.on_hand[:, 0]
        fast = np.maximum(self.expedited - on_hand, 0.0)
        position = on_hand + state.pipeline.sum(axis=(1, 2)) + fast
        slow = np.minimum(np.maximum(self.regular - position, 0.0), self.cap)
        return playable(self.problem, np.stack([slow, fast], axis=1))


def dual_index(
    problem: InventoryNetwork, seed: int = 0, num_episodes: int = 200
) -> CappedDualIndex:
    """Dual index with the best levels by simulation."""
    grid = [(e, r, np.inf) for e, r in itertools.product(range(1, 8), range(4, 24)) if r >= e]
    return _tuned(problem, grid, seed, num_episodes)


def capped_dual_index(
    problem: InventoryNetwork, seed: int = 0, num_episodes: int = 200
) -> CappedDualIndex:
    """Capped dual index with the best levels and cap by simulation."""
    levels = itertools.product(range(2, 7), range(4, 20), range(1, 5))
    return _tuned(problem, [(e, r, c) for e, r, c in levels if r >= e], seed, num_episodes)


def tailored_base_surge(
    problem: InventoryNetwork, seed: int = 0, num_episodes: int = 200
) -> CappedDualIndex:
    """A constant regular order and a level to expedite up to, the best by simulation.

    Allon and Van Mieghem, Management Science 56(1), 2010.
    """
    grid = [(e, np.inf, c) for e, c in itertools.product(range(1, 8), range(5))]
    return _tuned(problem, grid, seed, num_episodes)


def _tuned(
    problem: InventoryNetwork, grid: Sequence[tuple[float, ...]], seed: int, num_episodes: int
) -> CappedDualIndex:
    check_single_echelon(problem, suppliers=2)
    rule: Callable[[np.ndarray], Rule] = lambda x: CappedDualIndex(problem, *x.T)  # noqa: E731
    candidates = np.array(grid, dtype=np.float64)
    costs = RuleFitness(steady(problem), rule, seed, num_episodes)(candidates)
    return CappedDualIndex(problem, *candidates[costs.argmin()].tolist())
