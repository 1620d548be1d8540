"""Pilot method with simple rules: schedules are completed by four of them, and at random."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from baselines.common.checks import check_at_least
from baselines.common.solution import Solution
from baselines.job_shop.plan import check_searchable, not_counted
from baselines.job_shop.rules import check_job_shop
from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.pilot import PilotRule, fortified_rollout
from or_envs.job_shop.problem import JobShop, JobShopState
from or_envs.job_shop.shutdowns import Shutdowns

#: Rules of the first completions; all others are random.
BASE_RULES = ("SPT", "MTWR", "FIFO", "FDD/MWKR")


@dataclasses.dataclass(frozen=True)
class RuleCompletions:
    """Completions by :data:`BASE_RULES`, then random ones.

    Attributes
    ----------
    problem, instance, future, state
        What was completed.
    makespan
        See :class:`or_envs.job_shop.pilot.Completions`.
    seeds
        Of the random ones, the same for all states.
    """

    problem: JobShop
    instance: JobShopInstance
    future: Shutdowns | None
    state: JobShopState
    makespan: np.ndarray
    seeds: np.ndarray

    def actions(self, number: int, row: int) -> list[int]:
        """Actions of one of them, played again."""
        random = number - len(BASE_RULES)
        one = np.array([row])
        played = play(
            self.problem,
            self.instance,
            None if self.future is None else self.future.rows(one),
            Dispatching(BASE_RULES[number] if random < 0 else "RANDOM"),
            state=self.state.rows(one),
            seeds=self.seeds[[random]] if random >= 0 else None,
            record=True,
        )
        actions: list[int] = played.actions[0, : played.num_actions[0]].tolist()
        return actions


@dataclasses.dataclass(frozen=True)
class CompleteByRules:
    """Completes states of a job shop.

    Attributes
    ----------
    problem
        A job shop in which swaps are not forbidden: completions would end in deadlocks.
    completions
        R, how many.
    """

    problem: JobShop
    completions: int

    def __call__(
        self,
        instance: JobShopInstance,
        state: JobShopState,
        future: Shutdowns | None,
        rng: np.random.Generator,
    ) -> RuleCompletions:
        """Return R completions of every state."""
        makespan = [
            play(self.problem, instance, future, Dispatching(rule), state=state).makespan
            for rule in BASE_RULES[: self.completions]
        ]
        seeds = rng.integers(2**63, size=max(self.completions - len(BASE_RULES), 0))
        if len(seeds):
            row = np.tile(np.arange(state.num), len(seeds))
            played = play(
                self.problem,
                instance,
                None if future is None else future.rows(row),
                Dispatching("RANDOM"),
                state=state.rows(row),
                seeds=np.repeat(seeds, state.num),
            )
            makespan.append(played.makespan)
        together = np.concatenate(makespan).reshape(-1, state.num)
        return RuleCompletions(self.problem, instance, future, state, together, seeds)


class Pilot(PilotRule):
    """Takes the action whose best completion is the shortest in the mean over the scenarios.

    Parameters
    ----------
    problem
        A job shop in which swaps are not forbidden.
    seed
        Of the random completions and of the shutdowns that are drawn.
    completions
        Completions of an action, by four rules and then random ones.
    scenarios
        Draws of the shutdowns to come, where there are any.
    wait
        Whether waiting is tried, where the problem allows it.

    Raises
    ------
    ValueError
        If the problem is another, or an argument is outside its range.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        completions: int = 16,
        scenarios: int = 16,
        wait: bool = True,
    ) -> None:
        shop = check_job_shop(problem)
        if shop.blocking == "no_swap":
            raise ValueError("problem: expected blocking 'none' or 'swap', got 'no_swap'")
        check_at_least(1, completions=completions)
        super().__init__(shop, CompleteByRules(shop, completions), scenarios, seed, wait)


class PilotSearch:
    """Follows the shortest completion found so far, and looks ahead at each of its states.

    See :func:`or_envs.job_shop.pilot.fortified_rollout`.

    Parameters
    ----------
    problem
        A job shop without shutdowns, in which swaps are not forbidden.
    seed, completions, wait
        See :class:`Pilot`.

    Raises
    ------
    ValueError
        If the problem is another, or ``completions`` is less than 1.
    """

    def __init__(
        self, problem: AnyProblem, seed: int = 0, completions: int = 64, wait: bool = True
    ) -> None:
        self.problem = check_searchable(problem)
        check_at_least(1, completions=completions)
        self.complete = CompleteByRules(self.problem, completions)
        self.seed = seed
        self.wait = wait

    def solve(
        self, instance: JobShopInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Schedule a batch of one; after ``time_limit`` seconds nothing else is tried."""
        start = time.perf_counter()
        makespan, plan = fortified_rollout(
            self.problem, instance, self.complete, self.seed, self.wait, time_limit
        )
        objective = makespan - not_counted(self.problem, instance)
        return Solution(np.array(plan), objective, None, "feasible", time.perf_counter() - start)
