"""What a solver returns, and the check that its objective is the replayed cost."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from or_envs.core import AnyProblem, simulate


@dataclasses.dataclass(frozen=True)
class Solution:
    """Answer of a solver to one instance.

    Attributes
    ----------
    actions
        Actions of all steps, (T, ...); ``None`` if there is no plan to play (no feasible one was
        found, or the solver computes a bound or an expected cost only).
    objective
        Cost (minus total reward) by the solver's own account; ``inf`` if nothing was found.
    bound
        Proven lower bound on the cost of any plan, or ``None``.
    status
        "optimal", "feasible" (no proof), "time_limit" or "infeasible"; any other word is the
        solver's own termination condition.
    seconds
        Wall-clock time of the call.
    """

    actions: np.ndarray | None
    objective: float
    bound: float | None
    status: str
    seconds: float


class Solver(Protocol):
    """Anything that plans a whole episode; given ``exogenous`` it sees the future."""

    def solve(
        self, instance: Any, exogenous: Any = None, time_limit: float | None = None
    ) -> Solution:
        """Solve a batch of one within ``time_limit`` seconds."""


class ReplayMismatch(ValueError):  # noqa: N818 -- it says what happened
    """A solver's own objective is not what its actions cost in the problem."""


def replay(problem: AnyProblem, solution: Solution, instance: Any, exogenous: Any = None) -> float:
    """Cost of a solution's actions played through the problem, the referee.

    Parameters
    ----------
    instance, exogenous
        Batches of one: the data that the solution was computed for.

    Raises
    ------
    ValueError
        If the solution has no actions.
    gymnasium.error.InvalidAction
        If an action is not allowed.
    """
    if solution.actions is None:
        raise ValueError(f"solution: no actions to replay (status {solution.status!r})")
    rollout = simulate(problem, solution.actions[None], instance, exogenous)
    return -float(rollout.total_reward[0])


def check_replay(
    problem: AnyProblem, solution: Solution, instance: Any, exogenous: Any = None
) -> float:
    """Return the replayed cost, and refuse an objective that differs from it.

    Raises
    ------
    ReplayMismatch
        If they differ by more than 1e-6 times the larger of 1 and the replayed cost.
    """
    cost = replay(problem, solution, instance, exogenous)
    # "not <=" refuses NaN as well.
    if not abs(solution.objective - cost) <= 1e-6 * max(1.0, abs(cost)):
        raise ReplayMismatch(
            f"the solver's objective is {solution.objective!r}, but its actions cost {cost!r}"
        )
    return cost
