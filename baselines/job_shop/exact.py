"""What exact solvers of the job shop share: from an instance to a model, and back to actions."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from baselines.common.solution import Solution
from baselines.job_shop.alternative_graph import earliest_starts, makespan
from baselines.job_shop.plan import actions_of, check_plannable, not_counted, positions
from baselines.job_shop.shop import Orders, Shop, remaining_shop
from or_envs.core import AnyProblem
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.shutdowns import Shutdowns


@dataclasses.dataclass(frozen=True)
class Answer:
    """Outcome of a search for a shop's shortest schedule.

    Attributes
    ----------
    orders
        Machine orders of the best schedule found; ``None`` if there is none.
    bound
        Proven lower bound on the makespan in time units; ``None`` if there is none.
    status
        See :class:`baselines.common.solution.Solution`.
    """

    orders: Orders | None
    bound: int | None
    status: str


class ExactSolver(abc.ABC):
    """Finds a shortest schedule; subclasses bring a model of a :class:`Shop`.

    With shutdowns the solver has to be given them: its optimum is what nobody who does not know
    them can beat.

    Parameters
    ----------
    problem
        A job shop that allows waiting.
    seed
        Of the library.

    Raises
    ------
    ValueError
        If the problem is another, its reward does not add up to the makespan, or its shutdowns
        depend on more than the operations (model "hazard").
    """

    def __init__(self, problem: AnyProblem, seed: int = 0) -> None:
        self.problem = check_plannable(problem)
        if not self.problem.allow_wait:
            raise ValueError("problem: expected allow_wait True, got False")
        self.seed = seed

    @abc.abstractmethod
    def optimise(
        self, shop: Shop, time_limit: float | None = None, hint: Sequence[int] | None = None
    ) -> Answer:
        """Search until the optimum is proven or ``time_limit`` seconds are over.

        Parameters
        ----------
        hint
            Starts in ticks of a schedule to begin with, for models that can use one.
        """

    def solve(
        self,
        instance: JobShopInstance,
        exogenous: Shutdowns | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Schedule a batch of one, with every shutdown known in advance.

        Raises
        ------
        ValueError
            If there are shutdowns, and they are not given.
        """
        begin = time.perf_counter()
        problem = self.problem
        if problem.stochastic and exogenous is None:
            raise ValueError("exogenous: exact solvers need the shutdowns in advance, got None")
        if problem.stochastic and problem.shutdown == "hazard":
            raise ValueError("problem: shutdowns of model 'hazard' are not modelled")
        downtime = None if exogenous is None else exogenous.downtime[0]
        shop = remaining_shop(problem, instance, problem.initial(instance), downtime)
        free = not_counted(problem, instance)
        answer = self.optimise(shop, time_limit)
        start = None if answer.orders is None else earliest_starts(shop, answer.orders)
        bound = None if answer.bound is None else answer.bound - free
        if answer.orders is None or start is None:
            return Solution(None, np.inf, bound, answer.status, time.perf_counter() - begin)
        position = positions(shop, answer.orders, instance.machine.shape[1:])
        actions = actions_of(problem, instance, exogenous, position)
        objective = shop.units(makespan(shop, start)) - free
        seconds = time.perf_counter() - begin
        return Solution(actions, objective, bound, answer.status, seconds)
