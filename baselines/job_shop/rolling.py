"""Rolling re-solve: a new schedule at every shutdown, as if no other were to come."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from typing import Literal

import numpy as np

from baselines.job_shop.alternative_graph import earliest_starts, makespan
from baselines.job_shop.constraint_programming import ConstraintProgramming
from baselines.job_shop.disjunctive import Disjunctive
from baselines.job_shop.exact import ExactSolver
from baselines.job_shop.plan import follow, positions
from baselines.job_shop.shop import Orders, Shop, remaining_shop
from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState
from or_envs.job_shop.shutdowns import UNREACHABLE, Shutdowns

Library = Literal["constraint_programming", "disjunctive"]


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Machine orders, and the batch of one that they were made for."""

    instance: JobShopInstance
    state: JobShopState
    position: np.ndarray

    def holds(self, instance: JobShopInstance, state: JobShopState) -> bool:
        """Whether a state is on the plan's way, and no machine failed since it was made."""
        past = self.state.start >= 0
        return (
            np.array_equal(self.state.down_at, state.down_at)
            and np.array_equal(self.state.start[past], state.start[past])
            and self.obeyed(instance, state)
        )

    def obeyed(self, instance: JobShopInstance, state: JobShopState) -> bool:
        """Whether what has started is what the orders have first, and the jobs are the same."""
        if not all(
            np.array_equal(getattr(self.instance, name), getattr(instance, name))
            for name in instance.names()
        ):
            return False
        exists, started = instance.exists, state.start >= 0
        machines = state.holder.shape[1]
        last, first = np.full(machines, -1), np.full(machines, np.iinfo(np.int64).max)
        gone, to_come = exists & started, exists & ~started
        np.maximum.at(last, instance.machine[gone], self.position[None][gone])
        np.minimum.at(first, instance.machine[to_come], self.position[None][to_come])
        return bool((last < first).all())


class RollingResolve:
    """Schedules what is left of an episode whenever a machine has failed, and keeps to that.

    Shutdowns to come count as none, repairs that are under way as known. Between two shutdowns
    the machine orders of the last schedule are kept, whatever the starts. A search begins with the
    orders before it (the first one with a dispatching rule's), so a time limit costs quality but
    never the decision.

    Parameters
    ----------
    problem
        A job shop that allows waiting.
    seed
        Of the library.
    time_limit
        Seconds of a search.
    library
        "constraint_programming" or "disjunctive"; ``None``: the first if ortools is installed.

    Raises
    ------
    ValueError
        If the library is unknown, or see :class:`baselines.job_shop.exact.ExactSolver`.
    ImportError
        If the library is missing.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        time_limit: float | None = 1.0,
        library: Library | None = None,
    ) -> None:
        if library is None:
            library = "constraint_programming" if find_spec("ortools") else "disjunctive"
        if library not in _SOLVERS:
            raise ValueError(f"library: expected one of {', '.join(_SOLVERS)}, got {library!r}")
        self.solver: ExactSolver = _SOLVERS[library](problem, seed)
        self.problem: JobShop = self.solver.problem
        self.time_limit = time_limit
        self._plans: dict[int, _Plan] = {}

    def __call__(self, instance: JobShopInstance, state: JobShopState) -> np.ndarray:
        """Return the actions, (B,), after new searches in the rows that need them."""
        position = np.empty(state.start.shape, dtype=np.int64)
        for row in range(state.num):
            one = state.rows(np.array([row]))
            data = instance.rows(np.array([row])) if instance.num > 1 else instance
            plan = self._plans.get(row)
            if plan is None or not plan.holds(data, one):
                plan = _Plan(data, one, self._search(data, one, plan))
                self._plans[row] = plan
            position[row] = plan.position
        return follow(self.problem, instance, state, position)

    def _search(
        self, instance: JobShopInstance, state: JobShopState, old: _Plan | None
    ) -> np.ndarray:
        """Positions (J, K) of the best schedule that is found from here."""
        shop = remaining_shop(self.problem, instance, state)
        if old is not None and old.obeyed(instance, state):
            position = old.position
        else:
            position = self._simple(instance, state)
        if shop.size == 0:
            return position
        orders = _orders(shop, position)
        start = earliest_starts(shop, orders)
        answer = self.solver.optimise(shop, self.time_limit, start)
        found = None if answer.orders is None else earliest_starts(shop, answer.orders)
        if answer.orders is None or found is None:
            return position
        if start is not None and makespan(shop, start) <= makespan(shop, found):
            return position
        return positions(shop, answer.orders, instance.machine.shape[1:])

    def _simple(self, instance: JobShopInstance, state: JobShopState) -> np.ndarray:
        """Positions of a schedule by a dispatching rule, or of one job after the other."""
        start = state.start
        if self.problem.blocking != "no_swap":
            calm = Shutdowns(
                np.full(state.down_for.shape, UNREACHABLE), np.zeros_like(state.down_for)
            )
            played = play(self.problem, instance, calm, Dispatching("FDD/MWKR"), state=state)
            start = played.state.start
        times = np.where(start[0] < 0, np.iinfo(np.int64).max, start[0]).ravel()
        position = np.empty(times.size, dtype=np.int64)
        position[times.argsort(kind="stable")] = np.arange(times.size)
        return position.reshape(start[0].shape)


_SOLVERS = {"constraint_programming": ConstraintProgramming, "disjunctive": Disjunctive}


def _orders(shop: Shop, position: np.ndarray) -> Orders:
    """Operations of each machine by position."""
    return [
        sorted(group, key=lambda o: (not shop.begun[o], position[shop.job[o], shop.place[o]]))
        for group in shop.on_machine
    ]
