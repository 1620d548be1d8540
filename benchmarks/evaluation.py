"""Plays contestants on common episodes; the environment is the referee."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any

import numpy as np

from or_envs.core import AnyProblem, Rule, simulate


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a contestant achieved on E episodes.

    Attributes
    ----------
    kind
        "policy" or "solver".
    sees_future
        Whether it was given the exogenous trace.
    costs
        Cost of every episode, divided by the problem's ``cost_divisor``, (E,), or ``None`` if
        some episode has no plan.
    bounds
        Lower bound on the cost of every episode, (E,), or ``None`` if some has none.
    decision_ms
        Wall-clock time of one decision in milliseconds, mean over an episode that is played alone,
        plans that are made on the way included.
    detail
        What a solver says of its runs.
    """

    kind: str
    sees_future: bool
    costs: np.ndarray | None
    bounds: np.ndarray | None
    decision_ms: float
    detail: str = ""


def is_solver(contestant: Any) -> bool:
    """Whether a contestant plans whole episodes."""
    return hasattr(contestant, "solve")


def evaluate(
    problem: AnyProblem,
    contestant: Any,
    instance: Any,
    exogenous: Any = None,
    sees_future: bool = False,
    time_limit: float | None = None,
) -> Evaluation:
    """Play every episode of a batch.

    Parameters
    ----------
    contestant
        A rule ``(instance, state) -> actions`` or a solver.
    instance, exogenous
        Batches of E instances and traces.
    sees_future
        Whether a solver is given the trace; the replay of its plan always has it.
    time_limit
        Seconds that a solver may take per episode.

    Raises
    ------
    gymnasium.error.InvalidAction
        If the contestant breaks a rule.
    baselines.common.solution.ReplayMismatch
        If a solver's own objective is not what its plan costs.
    ValueError
        If a rule, or a solver of a deterministic problem, is to see the future.
    """
    if sees_future and (exogenous is None or not is_solver(contestant)):
        raise ValueError("sees_future: only solvers of stochastic problems can be given the future")
    if is_solver(contestant):
        found = _evaluate_solver(problem, contestant, instance, exogenous, sees_future, time_limit)
    else:
        found = _evaluate_rule(problem, contestant, instance, exogenous)
    unit = problem.cost_divisor
    return dataclasses.replace(
        found,
        costs=None if found.costs is None else found.costs / unit,
        bounds=None if found.bounds is None else found.bounds / unit,
    )


def _evaluate_rule(problem: AnyProblem, rule: Rule, instance: Any, exogenous: Any) -> Evaluation:
    seconds: list[float] = []

    def timed(instance: Any, state: Any) -> Any:
        start = time.perf_counter()
        action = rule(instance, state)
        seconds.append(time.perf_counter() - start)
        return action

    # The first two episodes are played alone, and the last of them tells how long a decision takes:
    # the first call compiles. It is the mean, as some rules plan at the start of an episode.
    costs: list[np.ndarray] = []
    for first, last in ((0, 1), (1, 2), (2, instance.num)):
        rows = np.arange(first, min(last, instance.num))
        if not len(rows):
            break
        alone = last <= 2
        if alone:
            seconds.clear()
        played = simulate(problem, timed if alone else rule, *_rows(instance, exogenous, rows))
        costs.append(-played.total_reward)
    return Evaluation("policy", False, np.concatenate(costs), None, 1000 * float(np.mean(seconds)))


def _evaluate_solver(
    problem: AnyProblem,
    solver: Any,
    instance: Any,
    exogenous: Any,
    sees_future: bool,
    time_limit: float | None,
) -> Evaluation:
    from baselines.common.solution import check_replay

    costs: list[float] = []
    bounds: list[float] = []
    statuses: Counter[str] = Counter()
    seconds = 0.0
    decisions = 0
    num = instance.num
    for row in range(num):
        one, trace = _rows(instance, exogenous, np.array([row]))
        start = time.perf_counter()
        solution = solver.solve(one, trace if sees_future else None, time_limit=time_limit)
        seconds += time.perf_counter() - start
        statuses[solution.status] += 1
        decisions += problem.max_steps if solution.actions is None else len(solution.actions)
        if solution.actions is not None:
            costs.append(check_replay(problem, solution, one, trace))
        if solution.bound is not None and np.isfinite(solution.bound):
            bounds.append(float(solution.bound))
    return Evaluation(
        "solver",
        sees_future,
        np.array(costs) if len(costs) == num else None,
        np.array(bounds) if len(bounds) == num else None,
        1000 * seconds / decisions,
        ", ".join(f"{status.replace('_', ' ')} {count}" for status, count in statuses.items()),
    )


def _rows(instance: Any, exogenous: Any, index: np.ndarray) -> tuple[Any, Any]:
    return instance.rows(index), None if exogenous is None else exogenous.rows(index)
