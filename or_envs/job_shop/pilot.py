"""Pilot method: every action is judged by schedules that somebody completes it to.

Who completes is an argument: dispatching rules, or a learned policy.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState
from or_envs.job_shop.shutdowns import Shutdowns

#: Keeps the draws apart from those of episodes, which are seeded with one number: numpy takes a
#: seed (s, 0) for s.
_STREAM = 1


class Completions(Protocol):
    """R schedules that go on from each of N states."""

    @property
    def makespan(self) -> np.ndarray:
        """Of every one of them, (R, N)."""

    def actions(self, number: int, row: int) -> list[int]:
        """Actions of one of them."""


#: (instance, states, shutdowns to come, generator for draws) -> completions.
Completer = Callable[
    [JobShopInstance, JobShopState, Shutdowns | None, np.random.Generator], Completions
]


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Completions of the actions of one state.

    Attributes
    ----------
    actions
        The A actions that were tried.
    following
        States after them, (A x S) rows: those of the first action in every scenario come first.
    completions
        Of these states.
    makespan
        Of every completion, (R, A, S).
    """

    actions: np.ndarray
    following: JobShopState
    completions: Completions
    makespan: np.ndarray

    def plan(self, number: int, action: int) -> list[int]:
        """Actions of one completion in the first scenario, the tried one first."""
        row = action * self.makespan.shape[2]
        return [int(self.actions[action]), *self.completions.actions(number, row)]


def look_ahead(
    problem: JobShop,
    instance: JobShopInstance,
    state: JobShopState,
    complete: Completer,
    rng: np.random.Generator,
    scenarios: int = 1,
    wait: bool = True,
) -> Outlook:
    """Complete every allowed action of a state.

    Parameters
    ----------
    instance, state
        Batches of one.
    complete
        Who completes.
    rng
        Of the shutdowns that are drawn and, afterwards, of the completions.
    scenarios
        S, how often the shutdowns to come are drawn; the same draws for all actions.
    wait
        Whether waiting is tried.
    """
    mask = problem.action_mask(instance, state)[0]
    actions = np.flatnonzero(mask if wait else mask[:-1])
    scenario = np.tile(np.arange(scenarios), len(actions))
    before = state.rows(np.zeros(len(scenario), dtype=np.int64))
    future = None
    if problem.stochastic:
        many = before.rows(np.arange(scenarios))
        drawn = problem.sample_future(instance, many, rng.spawn(scenarios))
        future = None if drawn is None else drawn.rows(scenario)
    post, _ = problem.post_decision(instance, before, np.repeat(actions, scenarios))
    following, _, _ = problem.transition(instance, post, future)
    completions = complete(instance, following, future, rng)
    makespan = completions.makespan.reshape(-1, len(actions), scenarios)
    return Outlook(actions, following, completions, makespan)


class PilotRule:
    """Takes the action whose best completion is the shortest in the mean over the scenarios.

    Parameters
    ----------
    problem
        Where it decides.
    complete
        Who completes.
    scenarios
        Draws of the shutdowns to come, where there are any; >= 1.
    seed
        Of these draws and of the completions.
    wait
        Whether waiting is tried.

    Raises
    ------
    ValueError
        If ``scenarios`` is less than 1.
    """

    def __init__(
        self,
        problem: JobShop,
        complete: Completer,
        scenarios: int = 16,
        seed: int = 0,
        wait: bool = True,
    ) -> None:
        if scenarios < 1:
            raise ValueError(f"scenarios: expected an integer >= 1, got {scenarios!r}")
        self.problem = problem
        self.complete = complete
        self.scenarios = scenarios if problem.stochastic else 1
        self.seed = seed
        self.wait = wait

    def __call__(self, instance: JobShopInstance, state: JobShopState) -> np.ndarray:
        """Return the actions, (B,), one row after the other."""
        rows = [np.array([row]) for row in range(state.num)]
        return np.array(
            [
                self._decide(instance.rows(row) if instance.num > 1 else instance, state.rows(row))
                for row in rows
            ]
        )

    def _decide(self, instance: JobShopInstance, state: JobShopState) -> int:
        mask = self.problem.action_mask(instance, state)[0]
        if mask.sum() < 2:  # also where the episode is over
            return int(mask.argmax())
        moment = (self.seed, int(state.clock[0]), int((state.start[0] >= 0).sum()), _STREAM)
        rng = np.random.default_rng(moment)
        outlook = look_ahead(
            self.problem, instance, state, self.complete, rng, self.scenarios, self.wait
        )
        return int(outlook.actions[outlook.makespan.mean(axis=2).min(axis=0).argmin()])


def fortified_rollout(
    problem: JobShop,
    instance: JobShopInstance,
    complete: Completer,
    seed: int = 0,
    wait: bool = True,
    time_limit: float | None = None,
) -> tuple[float, list[int]]:
    """Follow the shortest schedule found so far, and look ahead at each of its states.

    That is the fortified rollout algorithm of Bertsekas, Tsitsiklis and Wu (1997).

    Parameters
    ----------
    problem
        A job shop without shutdowns.
    instance
        A batch of one.
    complete, seed, wait
        See :class:`PilotRule`.
    time_limit
        Seconds after which nothing else is tried.

    Returns
    -------
    tuple
        Makespan, and actions.
    """
    start = time.perf_counter()
    rng = np.random.default_rng((seed, _STREAM))
    state = problem.initial(instance)
    plan: list[int] = []
    shortest, step = np.inf, 0
    while not plan or step < len(plan):
        if plan and time_limit is not None and time.perf_counter() - start >= time_limit:
            break
        outlook = look_ahead(problem, instance, state, complete, rng, wait=wait)
        values = outlook.makespan[:, :, 0]
        number, action = np.unravel_index(int(values.argmin()), values.shape)
        if values[number, action] < shortest:
            shortest = float(values[number, action])
            plan = [*plan[:step], *outlook.plan(int(number), int(action))]
        state = outlook.following.rows(np.flatnonzero(outlook.actions == plan[step]))
        step += 1
    return shortest, plan
