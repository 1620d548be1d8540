"""(s, S) control of every item, with thresholds that a genetic algorithm finds."""

from __future__ import annotations

import functools

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_real
from baselines.common.rule_fitness import RuleFitness
from baselines.lot_sizing.kernels import start_and_stop
from or_envs.core import generators
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState


class StartStop:
    """Starts an item when its stock falls to s, and stops it when the stock reaches S.

    A machine keeps its item while I < S. Of the items with I <= s that no machine makes, the one
    with the largest rho E[D] / (1 + I), about lost-sales cost over run-out time, gets the free
    machine with the lowest setup cost per unit of output c / p, then the next one, until no
    machine or no such item is left. Machines left over stay idle.

    Parameters
    ----------
    start_at
        s in units, (n,), or (B, n) with a row per batch row; below 0 an item is never started.
    stop_at
        S in units, of the same shape; above the cap an item is never stopped.
    """

    def __init__(self, start_at: np.ndarray, stop_at: np.ndarray) -> None:
        self.start_at = np.asarray(start_at, dtype=np.float64)
        self.stop_at = np.asarray(stop_at, dtype=np.float64)
        self.settings = {"start_at": self.start_at.tolist(), "stop_at": self.stop_at.tolist()}

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the decisions, (B, M)."""
        shape = state.inventory.shape
        return start_and_stop(
            instance.production,
            instance.setup_cost,
            instance.lost_sales_cost,
            instance.mean_demand,
            state.inventory,
            state.setup,
            np.broadcast_to(self.start_at, shape),
            np.broadcast_to(self.stop_at, shape),
        )


#: Box of the genes of one item, as shares of the cap: s, and how much of the rest up to the cap S
#: lies above s. The ends lie outside [0, 1] so that "never start" and "never stop" are easy to hit.
LOW = np.array([-0.2, 0.0])
HIGH = np.array([1.0, 1.2])


def thresholds(genes: np.ndarray, cap: np.ndarray) -> StartStop:
    """Rule of genes (..., 2 n): the shares of s of all items, then those of S."""
    start, rest = np.split(genes, 2, axis=-1)
    return StartStop(start * cap, (start + rest * (1 - start)) * cap)


def evolve(
    problem: LotSizing,
    seed: int = 0,
    population: int = 60,
    generations: int = 100,
    seconds: float | None = None,
    num_episodes: int = 100,
    progress: Progress | None = None,
) -> StartStop:
    """Return the (s, S) rule with the lowest mean cost on common training episodes.

    Parameters
    ----------
    problem
        A lot-sizing problem with one fixed instance.
    seed
        Seed of the algorithm; it also picks the training episodes, none of which evaluations use.
    population, generations, seconds
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    num_episodes
        Training episodes that each individual plays.
    progress
        Called after every generation.

    Raises
    ------
    ValueError
        If the instance is not the same in every episode: thresholds belong to its items.
    """
    production = problem.sample_instances(generators(0, 2)).production
    if len(production) > 1:
        raise ValueError("problem: (s, S) thresholds need one fixed instance")
    cap = problem.sample_instances(generators(0, 1)).max_inventory[0]
    rule = functools.partial(thresholds, cap=cap)
    fitness = RuleFitness(problem, rule, seed, num_episodes)
    low, high = np.repeat(LOW, len(cap)), np.repeat(HIGH, len(cap))
    budget = Budget(population, generations, seconds)
    return rule(minimize_real(fitness, low, high, budget, seed, progress).best)
