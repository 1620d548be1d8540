"""Genetic algorithms over the destinations of a day, one gene per decision."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.genetic import Budget, Progress, minimize_integer
from baselines.common.solution import Solution
from baselines.uam_fleet.bounds import check_money
from baselines.uam_fleet.rules import Greedy
from or_envs.core import generators, simulate
from or_envs.uam_fleet import instances
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet, UAMState

Start = Literal["random", "greedy"]

#: Seeds of the sampled tapes, far from those of days.
_FIRST_SEED = 8_500_000_000
#: Batch rows of one roll-out of a population.
_ROWS = 2000


class OpenLoop:
    """Plays the m-th gene at the m-th decision: that destination, or the next allowed one.

    Parameters
    ----------
    problem
        A fleet.
    genes
        Destinations, (B, G), one row for each batch row; after the last gene aircraft stay.
    """

    def __init__(self, problem: UAMFleet, genes: np.ndarray) -> None:
        self.problem = problem.compiled()
        self.genes = genes
        self._count = np.zeros(len(genes), dtype=np.int64)

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        fresh = state.ready.max(axis=1) == 0
        self._count = np.where(fresh, 0, self._count)
        rows = np.arange(state.num)
        here = state.location[rows, state.ready.argmin(axis=1)]
        known = self._count < self.genes.shape[1]
        gene = self.genes[rows, np.minimum(self._count, self.genes.shape[1] - 1)]
        self._count = self._count + 1
        wanted = np.where(known, gene, here)
        return next_allowed(self.problem.action_mask(instance, state), wanted)


def next_allowed(mask: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The destination wanted, (B,), or the first allowed one after it, around the end."""
    n = mask.shape[1]
    order = (wanted[:, None] + np.arange(n)) % n
    first = np.take_along_axis(mask, order, axis=1).argmax(axis=1)
    chosen: np.ndarray = order[np.arange(len(wanted)), first]
    return chosen


class GeneticHindsight:
    """Destinations that are best for a known day.

    Whoever knows the day cannot be compared with policies. arXiv 2401.04851 compares with a genetic
    algorithm whose details are not public; as far as they are known, it searches 60 decisions at a
    time (``block``), plays them, and goes on.

    Parameters
    ----------
    problem
        A fleet with dense or terminal rewards.
    seed
        Seed of the algorithm.
    population, generations
        Budget, see :class:`baselines.common.genetic.Budget`; of each block, if there are blocks.
    mutation
        Probability that a gene is drawn anew.
    block
        Decisions that are searched at a time; ``None``: all.
    start
        "random", or with the destinations of the greedy rule in the first population.
    progress
        Called after every generation.

    Raises
    ------
    ValueError
        If an argument is outside its range; in ``solve`` if the tape is missing.
    """

    def __init__(
        self,
        problem: UAMFleet,
        seed: int = 0,
        population: int = 100,
        generations: int = 100,
        mutation: float = 0.01,
        block: int | None = None,
        start: Start = "random",
        progress: Progress | None = None,
    ) -> None:
        check_money(problem)
        check_at_least(1, block=1 if block is None else block)
        if start not in ("random", "greedy"):
            raise ValueError(f"start: expected 'random' or 'greedy', got {start!r}")
        if block is not None and start == "greedy":
            raise ValueError("start: 'greedy' is for all decisions at once, block=None")
        if block is not None and problem.reward != "dense":
            raise ValueError("block: a part of the day earns money only with reward='dense'")
        self.problem = problem
        self.seed = seed
        self.budget = Budget(population, generations)
        self.mutation = mutation
        self.block = block
        self.start: Start = start
        self.progress = progress

    def solve(
        self,
        instance: UAMInstance,
        exogenous: UAMTape | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Search until the last generation or ``time_limit`` seconds."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: the hindsight search needs the tape of the day")
        if self.block is None:
            genes = self._search(instance, exogenous, time_limit)
        else:
            genes = self._search_blocks(instance, exogenous, start, time_limit)
        rollout = simulate(self.problem, OpenLoop(self.problem, genes[None]), instance, exogenous)
        seconds = time.perf_counter() - start
        return Solution(
            rollout.actions[0], -float(rollout.total_reward[0]), None, "feasible", seconds
        )

    def _search(self, instance: UAMInstance, tape: UAMTape, time_limit: float | None) -> np.ndarray:
        return search(
            self.problem,
            instance,
            tape,
            Budget(self.budget.population, self.budget.generations, time_limit),
            self.seed,
            self.mutation,
            self.start,
            self.progress,
        )

    def _search_blocks(
        self, instance: UAMInstance, tape: UAMTape, start: float, time_limit: float | None
    ) -> np.ndarray:
        """Search ``block`` decisions for what they earn, play them, and go on until closing."""
        assert self.block is not None
        problem = self.problem.compiled()
        high = np.full(self.block, problem.setting.num_vertiports - 1)
        state, over = problem.initial(instance), False
        parts: list[np.ndarray] = []
        many = instance.repeat(self.budget.population), tape.repeat(self.budget.population)
        while not over:
            left = None
            if time_limit is not None:
                left = max(0.0, time_limit - (time.perf_counter() - start))
            crowd = state.repeat(self.budget.population)

            def costs(genes: np.ndarray, crowd: UAMState = crowd) -> np.ndarray:
                return -_play(problem, *many, crowd, genes)[0]

            best = minimize_integer(
                costs,
                high,
                Budget(self.budget.population, self.budget.generations, left),
                self.seed + len(parts),
                self.progress,
                mutation=self.mutation,
            ).best
            _, state, ends = _play(problem, instance, tape, state, best[None])
            over = bool(ends[0])
            parts.append(best)
        return np.concatenate(parts)


class GeneticPolicy:
    """Plays destinations that were best on average over sampled days.

    Before the first decision of a day it searches with tapes drawn from what is announced, and then
    plays the result whatever happens.

    Parameters
    ----------
    problem
        A fleet.
    seed
        Seed of the algorithm and of the tapes.
    population, generations, mutation
        As for :class:`GeneticHindsight`.
    num_tapes
        Sampled days.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    def __init__(
        self,
        problem: UAMFleet,
        seed: int = 0,
        population: int = 100,
        generations: int = 100,
        mutation: float = 0.01,
        num_tapes: int = 5,
    ) -> None:
        check_problem(problem, UAMFleet)
        check_at_least(1, num_tapes=num_tapes)
        self.problem = problem
        self.seed = seed
        self.budget = Budget(population, generations)
        self.mutation = mutation
        self.num_tapes = num_tapes
        self._plan: OpenLoop | None = None

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        fresh = state.ready.max(axis=1) == 0
        if self._plan is None or len(self._plan.genes) != state.num:
            genes = np.zeros((state.num, genes_of(self.problem)), dtype=np.int64)
            self._plan = OpenLoop(self.problem, genes)
        for row in np.flatnonzero(fresh):
            self._plan.genes[row] = self._search(instance.rows(np.array([row])))
        return self._plan(instance, state)

    def _search(self, day: UAMInstance) -> np.ndarray:
        many = day.repeat(self.num_tapes)
        rngs = generators(_FIRST_SEED + self.seed * self.num_tapes, self.num_tapes)
        tapes = instances.sample_tape(self.problem.setting, many, rngs)
        return search(
            self.problem, many, tapes, self.budget, self.seed, self.mutation, "random", None
        )


def genes_of(problem: UAMFleet) -> int:
    """Decisions that a day hardly exceeds: all aircraft stay all day, and as many flights again."""
    setting = problem.setting
    return int(setting.num_aircraft * np.ceil(setting.day / setting.stay))


def search(
    problem: UAMFleet,
    instance: UAMInstance,
    tape: UAMTape,
    budget: Budget,
    seed: int,
    mutation: float,
    start: Start,
    progress: Progress | None,
) -> np.ndarray:
    """Destinations (G,) of the highest mean profit over the given days (a batch of any size)."""
    size, days = genes_of(problem), instance.num
    high = np.full(size, problem.setting.num_vertiports - 1)
    initial = None
    if start == "greedy":
        actions = simulate(problem, Greedy(problem, "rate"), instance, tape).actions[:, :size]
        initial = np.zeros((1, size), dtype=np.int64)
        initial[0, : actions.shape[1]] = actions[0]
    at_once = max(1, min(budget.population, _ROWS // days))
    # Individual by individual, all days side by side.
    day = np.tile(np.arange(days), at_once)
    many = instance.rows(day), tape.rows(day)

    def costs(population: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, len(population), at_once):
            genes = population[first : first + at_once]
            rows = np.arange(len(genes) * days)
            crowd = many if len(genes) == at_once else tuple(part.rows(rows) for part in many)
            rule = OpenLoop(problem, np.repeat(genes, days, axis=0))
            rollout = simulate(problem, rule, *crowd, check=False)
            parts.append(-rollout.total_reward.reshape(len(genes), days).mean(axis=1))
        return np.concatenate(parts)

    return minimize_integer(costs, high, budget, seed, progress, initial, mutation).best


def _play(
    problem: UAMFleet, instance: UAMInstance, tape: UAMTape, state: UAMState, genes: np.ndarray
) -> tuple[np.ndarray, UAMState, np.ndarray]:
    """Money (B,) that the genes (B, G) earn from ``state`` on, the last states, and which are over.

    Days that end earlier stay as they were at their end only in money; play them alone to go on.
    """
    total, over = np.zeros(len(genes)), np.zeros(len(genes), dtype=np.bool_)
    for gene in genes.T:
        action = next_allowed(problem.action_mask(instance, state), gene)
        post, earned = problem.post_decision(instance, state, action)
        state, later, ends = problem.transition(instance, post, tape)
        total += np.where(over, 0.0, earned + later)
        over |= ends
    return total, state, over
