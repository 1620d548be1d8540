"""Dispatching rules: which of the jobs that wait for an empty machine is loaded next."""

from __future__ import annotations

import functools

import numpy as np

from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import RULES, Dispatching, decide
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState


class DispatchingRule:
    """Loads every empty machine at once with the job that ranks first; the lowest number in a tie.

    Parameters
    ----------
    problem
        A job shop.
    seed
        Of the rule "RANDOM".
    rule
        One of :data:`or_envs.job_shop.dispatching.RULES`, but "GIVEN".
    blocked_first
        Jobs that stand on a machine go before jobs outside the shop, whatever the rule (BLK).
    cap
        Jobs outside may enter only while fewer machines are occupied than this share of them,
        rounded, in (0, 1], unless nothing else can happen (CAP); ``None``: at any time.

    Raises
    ------
    ValueError
        If the problem is another, an argument is outside its range, or there is a cap and the
        problem does not allow waiting.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        rule: str = "SPT",
        blocked_first: bool = False,
        cap: float | None = None,
    ) -> None:
        self.problem = check_job_shop(problem)
        if rule not in RULES or rule == "GIVEN":
            known = ", ".join(name for name in RULES if name != "GIVEN")
            raise ValueError(f"rule: expected one of {known}, got {rule!r}")
        if cap is not None and not 0 < cap <= 1:
            raise ValueError(f"cap: expected a number in (0, 1], got {cap!r}")
        if cap is not None and not self.problem.allow_wait:
            raise ValueError("cap: expected None where allow_wait is False")
        machines = None if cap is None else max(1, round(cap * self.problem.num_machines))
        self.dispatching = Dispatching(rule, blocked_first, machines)
        self._rng = np.random.default_rng(seed)

    def __call__(self, instance: JobShopInstance, state: JobShopState) -> np.ndarray:
        """Return the actions, (B,)."""
        seeds = None
        if self.dispatching.rule == "RANDOM":
            seeds = self._rng.integers(2**63, size=state.num)
        return np.asarray(decide(self.problem, instance, state, self.dispatching, seeds=seeds))


def check_job_shop(problem: AnyProblem) -> JobShop:
    """Return the problem if it is a job shop.

    Raises
    ------
    ValueError
        If not.
    """
    if not isinstance(problem, JobShop):
        raise ValueError(f"problem: expected JobShop, got {type(problem).__name__}")
    return problem


# Factories for the table of baselines.
spt = functools.partial(DispatchingRule, rule="SPT")
lpt = functools.partial(DispatchingRule, rule="LPT")
mtwr = functools.partial(DispatchingRule, rule="MTWR")
ltwr = functools.partial(DispatchingRule, rule="LTWR")
fifo = functools.partial(DispatchingRule, rule="FIFO")
lifo = functools.partial(DispatchingRule, rule="LIFO")
mor = functools.partial(DispatchingRule, rule="MOR")
lor = functools.partial(DispatchingRule, rule="LOR")
sqno = functools.partial(DispatchingRule, rule="SQNO")
lqno = functools.partial(DispatchingRule, rule="LQNO")
stt = functools.partial(DispatchingRule, rule="STT")
ltt = functools.partial(DispatchingRule, rule="LTT")
fdd_mwkr = functools.partial(DispatchingRule, rule="FDD/MWKR")
random_dispatching = functools.partial(DispatchingRule, rule="RANDOM")
