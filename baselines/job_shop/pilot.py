"""Pilot method: every action is judged by the schedules that simple rules complete it to."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from baselines.common.solution import Solution
from baselines.job_shop.plan import check_searchable, not_counted
from baselines.job_shop.rules import check_job_shop
from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState

#: Rules of the first completions; all others are random.
BASE_RULES = ("SPT", "MTWR", "FIFO", "FDD/MWKR")


#: Keeps the draws apart from those of episodes, which are seeded with one number: numpy takes a
#: seed (s, 0) for s.
_STREAM = 1


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Completions of the actions of one state.

    Attributes
    ----------
    actions
        The A actions that were tried.
    following
        States after them, (A x S) rows: those of the first action in every scenario come first.
    seeds
        Of the random completions.
    makespan
        Of every completion, (R, A, S).
    """

    actions: np.ndarray
    following: JobShopState
    seeds: np.ndarray
    makespan: np.ndarray


def look_ahead(
    problem: JobShop,
    instance: JobShopInstance,
    state: JobShopState,
    completions: int,
    scenarios: int,
    wait: bool,
    rng: np.random.Generator,
) -> Outlook:
    """Complete every allowed action of a state.

    Parameters
    ----------
    instance, state
        Batches of one.
    completions
        R: by :data:`BASE_RULES`, then random ones, the same for all actions.
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
        rngs = rng.spawn(scenarios)
        drawn = problem.sample_future(instance, before.rows(np.arange(scenarios)), rngs)
        future = None if drawn is None else drawn.rows(scenario)
    post, _ = problem.post_decision(instance, before, np.repeat(actions, scenarios))
    following, _, _ = problem.transition(instance, post, future)
    makespan = [
        play(problem, instance, future, Dispatching(rule), state=following).makespan
        for rule in BASE_RULES[:completions]
    ]
    seeds = rng.integers(2**63, size=max(completions - len(BASE_RULES), 0))
    if len(seeds):
        row = np.tile(np.arange(following.num), len(seeds))
        played = play(
            problem,
            instance,
            None if future is None else future.rows(row),
            Dispatching("RANDOM"),
            state=following.rows(row),
            seeds=np.repeat(seeds, following.num),
        )
        makespan.append(played.makespan)
    return Outlook(
        actions, following, seeds, np.concatenate(makespan).reshape(-1, len(actions), scenarios)
    )


class Pilot:
    """Takes the action whose best completion is the shortest in the mean over the scenarios.

    Parameters
    ----------
    problem
        A job shop in which swaps are not forbidden: completions would end in deadlocks.
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
        self.problem = check_job_shop(problem)
        if self.problem.blocking == "no_swap":
            raise ValueError("problem: expected blocking 'none' or 'swap', got 'no_swap'")
        for name, value in (("completions", completions), ("scenarios", scenarios)):
            if value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
        self.seed = seed
        self.completions = completions
        self.scenarios = scenarios if self.problem.stochastic else 1
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
        outlook = look_ahead(
            self.problem,
            instance,
            state,
            self.completions,
            self.scenarios,
            self.wait,
            np.random.default_rng(moment),
        )
        return int(outlook.actions[outlook.makespan.mean(axis=2).min(axis=0).argmin()])


class PilotSearch:
    """Follows the shortest completion found so far, and looks ahead at each of its states.

    That is the fortified rollout algorithm of Bertsekas, Tsitsiklis and Wu (1997) with several
    base rules.

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
        if completions < 1:
            raise ValueError(f"completions: expected an integer >= 1, got {completions!r}")
        self.seed = seed
        self.completions = completions
        self.wait = wait

    def solve(
        self, instance: JobShopInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Schedule a batch of one; after ``time_limit`` seconds nothing else is tried."""
        start = time.perf_counter()
        problem, rng = self.problem, np.random.default_rng((self.seed, _STREAM))
        state = problem.initial(instance)
        plan: list[int] = []
        shortest, step = np.inf, 0
        while not plan or step < len(plan):
            late = time_limit is not None and time.perf_counter() - start >= time_limit
            if plan and late:
                break
            outlook = look_ahead(problem, instance, state, self.completions, 1, self.wait, rng)
            completion, best = np.unravel_index(
                outlook.makespan[:, :, 0].argmin(), outlook.makespan.shape[:2]
            )
            if outlook.makespan[completion, best, 0] < shortest:
                shortest = float(outlook.makespan[completion, best, 0])
                rest = self._complete(instance, outlook, int(completion), int(best))
                plan = [*plan[:step], int(outlook.actions[best]), *rest]
            taken = np.flatnonzero(outlook.actions == plan[step])
            state = outlook.following.rows(taken)
            step += 1
        objective = shortest - not_counted(problem, instance)
        seconds = time.perf_counter() - start
        return Solution(np.array(plan), objective, None, "feasible", seconds)

    def _complete(
        self, instance: JobShopInstance, outlook: Outlook, completion: int, action: int
    ) -> list[int]:
        """Actions of one completion."""
        random = completion - len(BASE_RULES)
        played = play(
            self.problem,
            instance,
            None,
            Dispatching(BASE_RULES[completion] if random < 0 else "RANDOM"),
            state=outlook.following.rows(np.array([action])),
            seeds=outlook.seeds[[random]] if random >= 0 else None,
            record=True,
        )
        actions: list[int] = played.actions[0, : played.num_actions[0]].tolist()
        return actions
