"""Order up to a level, with or without a cap on orders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baselines.common.rule_fitness import RuleFitness
from baselines.inventory import laws, newsvendor
from baselines.inventory.playing import check_single_echelon, echelon, local_position, playable
from or_envs.core import Rule
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork

#: Periods of a tuning episode, and how many of them at the start do not count.
PERIODS, WARM_UP = 300, 50


class LevelRule:
    """Every edge orders what its buyer's position lacks to the level, but at most the cap.

    Parameters
    ----------
    problem
        The network.
    levels, caps
        (E,), or a row for each batch row, (B, E). ``np.inf`` as a level always orders the cap.
    of_echelon
        Whether positions are those of the buyer's echelon, or its own.
    """

    def __init__(
        self,
        problem: InventoryNetwork,
        levels: np.ndarray,
        caps: np.ndarray | float = np.inf,
        of_echelon: bool = False,
    ) -> None:
        self.problem = problem
        self.levels = np.asarray(levels, dtype=np.float64)
        self.caps = np.asarray(caps, dtype=np.float64)
        self.of_echelon = of_echelon

    def __call__(self, instance: InventoryInstance, state: InventoryState) -> np.ndarray:
        """Return the orders, (B, E)."""
        position = (echelon if self.of_echelon else local_position)(instance, state)
        lacking = np.maximum(self.levels - position, 0.0)
        return playable(self.problem, np.minimum(lacking, self.caps))


def base_stock(problem: InventoryNetwork, seed: int = 0, num_episodes: int = 100) -> LevelRule:
    """Base stock: in closed form where customers wait, else the best level by simulation.

    Parameters
    ----------
    problem
        Stores with one outside supplier each and the same data.
    seed
        Picks the tuning episodes.
    num_episodes
        How many.
    """
    check_single_echelon(problem)
    level = waiting_level(problem)
    if problem.network.backlog:
        return LevelRule(problem, np.full(problem.network.num_edges, level))
    # Lost sales need less stock than waiting customers (Zipkin, Oper. Res. 56(4), 2008).
    candidates = np.arange(max(int(level) - 15, 1), int(level) + 2)[:, None]
    best = _best(problem, lambda x: LevelRule(problem, x), candidates, seed, num_episodes)
    return LevelRule(problem, np.full(problem.network.num_edges, best[0]))


def capped_base_stock(
    problem: InventoryNetwork, seed: int = 0, num_episodes: int = 100
) -> LevelRule:
    """Capped base stock with the best level and cap by simulation (arguments: :func:`base_stock`).

    It lies between base stock and constant orders, and is asymptotically optimal for long lead
    times (Xin, Oper. Res. 69(1), 2021).
    """
    check_single_echelon(problem)
    level = int(waiting_level(problem))
    mean = float(problem.setting.data.demand_mean[0, 0])
    levels = np.arange(max(level - 12, 1), level + 4)
    caps = np.unique(np.round(np.array([0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0]) * mean))
    grid = np.stack(np.meshgrid(levels, caps, indexing="ij"), axis=-1).reshape(-1, 2)

    def rule(x: np.ndarray) -> Rule:
        return LevelRule(problem, x[:, :1], x[:, 1:])

    best = _best(problem, rule, grid, seed, num_episodes)
    edges = problem.network.num_edges
    return LevelRule(problem, np.full(edges, best[0]), np.full(edges, best[1]))


def constant_order(problem: InventoryNetwork, seed: int = 0, num_episodes: int = 100) -> LevelRule:
    """Always the same order, the best by simulation (arguments: :func:`base_stock`).

    Of lost sales only: with waiting customers stock would drift away.
    """
    check_single_echelon(problem)
    if problem.network.backlog:
        raise ValueError("problem: constant orders need lost sales, but customers wait")
    mean = float(problem.setting.data.demand_mean[0, 0])
    step = 1.0 if problem.setting.integer else mean / 50
    grid = np.arange(np.floor(0.6 * mean), 1.1 * mean, step)[:, None]

    def rule(x: np.ndarray) -> Rule:
        return LevelRule(problem, np.full_like(x, np.inf), x)

    best = _best(problem, rule, grid, seed, num_episodes)
    edges = problem.network.num_edges
    return LevelRule(problem, np.full(edges, np.inf), np.full(edges, best[0]))


def waiting_level(problem: InventoryNetwork) -> float:
    """Optimal base-stock level of the first store, were its customers to wait."""
    data, law = problem.setting.data, problem.setting.demand
    lead_time = int(data.lead_time[0, 0])
    holding, shortage = float(data.holding_cost[0, 0]), float(data.shortage_cost[0, 0])
    if isinstance(law, Normal):
        mean, std = float(data.demand_mean[0, 0]), float(data.demand_std[0, 0])
        step = std / 160
        clipped = laws.clipped_normal(mean, std, step)
        return newsvendor.exact(lead_time, holding, shortage, clipped, step)[0]
    return newsvendor.exact(lead_time, holding, shortage, laws.of_store(problem))[0]


def steady(problem: InventoryNetwork) -> InventoryNetwork:
    """The problem over the periods that rules are tuned on."""
    return problem.with_horizon(PERIODS, WARM_UP)


def _best(
    problem: InventoryNetwork,
    rule: Callable[[np.ndarray], Rule],
    grid: np.ndarray,
    seed: int,
    num_episodes: int,
) -> np.ndarray:
    """The row of the grid with the lowest mean cost."""
    costs = RuleFitness(steady(problem), rule, seed, num_episodes)(grid)
    best: np.ndarray = grid[costs.argmin()]
    return best
