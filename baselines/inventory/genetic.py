"""Genetic algorithm over the parameters of the rule family that suits a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_real
from baselines.common.rule_fitness import RuleFitness
from baselines.inventory.base_stock import LevelRule, steady, waiting_level
from baselines.inventory.dual_index import CappedDualIndex
from baselines.inventory.echelon_base_stock import HubRule, WarehouseRule, is_serial
from baselines.inventory.playing import check_orders
from baselines.inventory.reorder_point import OrderUpTo
from or_envs.core import Rule
from or_envs.inventory.problem import InventoryNetwork, reference_levels

#: Makes a rule of parameters (B, k).
Family = Callable[[np.ndarray], Rule]


def evolve(
    problem: InventoryNetwork,
    seed: int = 0,
    population: int = 40,
    generations: int = 25,
    seconds: float | None = None,
    num_episodes: int = 50,
    progress: Progress | None = None,
) -> Rule:
    """Return the rule with the lowest mean cost on common training episodes.

    The families: level and cap of stores with one outside supplier (with fixed costs: reorder point
    and level), capped dual index with two, echelon levels of a chain, otherwise the rules of
    :mod:`baselines.inventory.echelon_base_stock`.

    Parameters
    ----------
    problem
        The network.
    seed
        Seed of the algorithm; it also picks the training episodes, none of which evaluations use.
    population, generations, seconds
        Budget, see :class:`baselines.common.genetic.Budget`.
    num_episodes
        Training episodes that each individual plays.
    progress
        Called after every generation.
    """
    check_orders(problem)
    rule, low, high = _family(problem)
    fitness = RuleFitness(steady(problem), rule, seed, num_episodes)
    budget = Budget(population, generations, seconds)
    best = minimize_real(fitness, low, high, budget, seed, progress).best
    return rule(best[None])


def _family(problem: InventoryNetwork) -> tuple[Family, np.ndarray, np.ndarray]:
    """A family of rules and the box of its parameters."""
    network, data = problem.network, problem.setting.data
    edges = network.num_edges
    if is_serial(problem):
        reference = reference_levels(network, data)
        # Levels by what each stage adds to the one below it, so that they grow upstream.
        added = np.maximum(np.diff(reference[::-1], prepend=0.0), 1.0)

        def chain(x: np.ndarray) -> Rule:
            levels = np.cumsum(x * added, axis=1)[:, ::-1]
            return LevelRule(problem, levels, of_echelon=True)

        return chain, np.full(edges, 0.3), np.full(edges, 2.0)
    if network.num_internal:
        family = HubRule if network.must_empty else WarehouseRule
        return lambda x: family(problem, x), family.LOW, family.HIGH
    if edges == 2 * network.num_stores:
        top = 4 * float(data.demand_mean.max())

        def dual(x: np.ndarray) -> Rule:
            whole = np.rint(x) if problem.setting.integer else x
            return CappedDualIndex(problem, *whole.T)

        return dual, np.zeros(3), np.array([top, 4 * top, top])
    level, mean = waiting_level(problem), float(data.demand_mean.max())

    if data.fixed_cost.any():
        # Ordering costs as much as holding the economic order quantity for a cycle.
        lot = float(np.sqrt(2 * mean * data.fixed_cost.max() / data.holding_cost.max()))

        def reorder(x: np.ndarray) -> Rule:
            whole = np.rint(x) if problem.setting.integer else x
            return OrderUpTo(problem, whole[:, :1], whole.sum(axis=1, keepdims=True))

        return reorder, np.array([0.0, 1.0]), np.array([1.3 * level, 3.0 * lot])

    def capped(x: np.ndarray) -> Rule:
        whole = np.rint(x) if problem.setting.integer else x
        return LevelRule(problem, whole[:, :1], whole[:, 1:])

    return capped, np.array([0.3 * level, 0.5 * mean]), np.array([1.3 * level, 4.0 * mean])
