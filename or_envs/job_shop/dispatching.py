"""Dispatching by priorities, one decision or whole episodes of a batch in one call.

A rule picks, among the jobs that wait for one empty machine, the one with the smallest priority
value (the lowest job among equals). Most rules are a table of values of operations, which
:func:`priorities` computes or a genetic algorithm draws; a few read the state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from or_envs.core.arrays import Array
from or_envs.job_shop import dispatching_kernels as compiled
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState, shop_of
from or_envs.job_shop.shutdowns import Shutdowns

#: Rules whose values depend on the state, by the number that the kernels know them by.
_DYNAMIC = {
    "FIFO": compiled.EARLIEST_READY,
    "LIFO": compiled.LATEST_READY,
    "SQNO": compiled.SHORTEST_QUEUE,
    "LQNO": compiled.LONGEST_QUEUE,
    "RANDOM": compiled.RANDOM,
}

#: Shortest and longest processing time; most and least work remaining, with this operation; most
#: and fewest operations remaining; shortest and longest total work of the job; flow due date over
#: work remaining; first and last to become ready; shortest and longest queue at the machine of the
#: following operation (0 if there is none); uniform; values given with the call.
RULES = (
    *("SPT", "LPT", "MTWR", "LTWR", "MOR", "LOR", "STT", "LTT", "FDD/MWKR"),
    *("FIFO", "LIFO", "SQNO", "LQNO", "RANDOM", "GIVEN"),
)


@dataclasses.dataclass(frozen=True)
class Dispatching:
    """A rule with its variants.

    Parameters
    ----------
    rule
        One of :data:`RULES`.
    blocked_first
        Jobs between two operations go before jobs outside the shop, whatever the rule.
    cap
        Jobs outside may enter only while fewer machines than this are occupied, or nothing else
        can happen.
    reserve
        An empty machine is left empty while an operation that would go before all that wait for it
        has its predecessor running, or nothing else can happen.

    The last two wait, so they are played on problems with ``allow_wait=True``.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    rule: str = "SPT"
    blocked_first: bool = False
    cap: int | None = None
    reserve: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule: expected one of {', '.join(RULES)}, got {self.rule!r}")
        if self.cap is not None and (not isinstance(self.cap, int) or self.cap < 1):
            raise ValueError(f"cap: expected an integer >= 1 or None, got {self.cap!r}")
        if self.reserve and self.rule in _DYNAMIC:
            raise ValueError(f"reserve: expected False with rule {self.rule}, got True")

    @property
    def waits(self) -> bool:
        """Whether it may use the wait action."""
        return self.cap is not None or self.reserve

    @property
    def _options(self) -> compiled.Options:
        kind = _DYNAMIC.get(self.rule, compiled.TABLE)
        return compiled.Options(kind, self.blocked_first, self.cap or 0, self.reserve)


def priorities(rule: str, instance: JobShopInstance) -> np.ndarray:
    """Priority values (B, J, K) of a rule that does not read the state; the smallest goes first.

    Raises
    ------
    ValueError
        If the rule reads the state, or is "GIVEN".
    """
    exists = instance.exists
    duration = np.where(exists, instance.duration, 0).astype(np.float64)
    if rule in ("SPT", "LPT"):
        values = duration
    elif rule in ("MOR", "LOR"):
        sizes = np.asarray(instance.num_operations)[:, :, None]
        values = (sizes - np.arange(duration.shape[2])).astype(np.float64)
    else:
        done = duration.cumsum(axis=2)
        total = done[:, :, -1:]
        remaining = total - done + duration
        if rule in ("MTWR", "LTWR"):
            values = remaining
        elif rule in ("STT", "LTT"):
            values = np.broadcast_to(total, duration.shape)
        elif rule == "FDD/MWKR":
            # An operation of no length at the end leaves nothing: it is the most urgent.
            values = np.divide(done, remaining, out=np.full_like(done, np.inf), where=remaining > 0)
        else:
            raise ValueError(f"rule: {rule!r} has no table of priorities")
    return np.ascontiguousarray(-values if rule in ("LPT", "MTWR", "MOR", "LTT") else values)


def decide(
    problem: JobShop,
    instance: JobShopInstance,
    state: JobShopState,
    dispatching: Dispatching,
    values: np.ndarray | None = None,
    seeds: Sequence[int] | np.ndarray | None = None,
) -> Array:
    """Return the action (B,) that a rule takes in each state.

    Parameters
    ----------
    problem, instance, state
        Where it decides. Final states get action 0.
    dispatching
        The rule.
    values
        Priority values (B, J, K), or (1, J, K), of rule "GIVEN".
    seeds
        Seeds (B,) of the draws of rule "RANDOM"; another for every decision.
    """
    table, luck = _arguments(instance, state.num, dispatching, values, seeds)
    _check(problem, dispatching)
    actions = np.empty(state.num, dtype=np.int64)
    shop = shop_of(instance, state)
    compiled.choose_all(
        shop, state.clock, problem.rules, dispatching._options, table, luck, actions
    )
    return actions


@dataclasses.dataclass(frozen=True)
class Played:
    """Episodes played to their ends.

    Attributes
    ----------
    makespan
        Time of the end, (B,); that of the deadlock where there is one.
    state
        Last states.
    actions
        Actions from the first state on, (B, problem.max_steps), 0 after the end; (B, 0) if they
        were not asked for.
    num_actions
        How many there are, (B,).
    """

    makespan: np.ndarray
    state: JobShopState
    actions: np.ndarray
    num_actions: np.ndarray


def play(
    problem: JobShop,
    instance: JobShopInstance,
    exogenous: Shutdowns | None,
    dispatching: Dispatching,
    *,
    state: JobShopState | None = None,
    values: np.ndarray | None = None,
    seeds: Sequence[int] | np.ndarray | None = None,
    record: bool = False,
) -> Played:
    """Play a batch to the end by a rule, in compiled code.

    Parameters
    ----------
    problem, instance, exogenous
        As for :func:`or_envs.core.simulate`; planners draw ``exogenous`` by
        :meth:`or_envs.job_shop.problem.JobShop.sample_future`.
    dispatching, values, seeds
        As for :func:`decide`; one seed serves a whole episode.
    state
        Where to start; default: at time 0.
    record
        Whether to return the actions.
    """
    begin = problem.initial(instance) if state is None else state.map(np.copy)
    table, luck = _arguments(instance, begin.num, dispatching, values, seeds)
    _check(problem, dispatching)
    actions = np.zeros((begin.num, problem.max_steps if record else 0), dtype=np.int64)
    count = np.zeros(begin.num, dtype=np.int64)
    compiled.play_all(
        shop_of(instance, begin, exogenous),
        begin.clock,
        begin.deadlock,
        problem.rules,
        dispatching._options,
        table,
        luck,
        actions,
        count,
    )
    return Played(begin.clock, begin, actions, count)


def _arguments(
    instance: JobShopInstance,
    rows: int,
    dispatching: Dispatching,
    values: np.ndarray | None,
    seeds: Sequence[int] | np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Table of priorities and seeds, as the kernels take them."""
    table = np.zeros((1, *instance.duration.shape[1:]))
    luck = np.zeros(rows, dtype=np.uint64)
    if dispatching.rule == "GIVEN":
        shape = (rows, *instance.duration.shape[1:])
        if values is None or values.shape not in (shape, (1, *shape[1:])):
            got = None if values is None else values.shape
            raise ValueError(f"values: expected shape {shape} or {(1, *shape[1:])}, got {got}")
        table = np.ascontiguousarray(values, dtype=np.float64)
    elif dispatching.rule == "RANDOM":
        given = np.array([] if seeds is None else seeds)
        if given.shape != (rows,):
            raise ValueError(f"seeds: expected shape {(rows,)}, got {given.shape}")
        luck = given.astype(np.uint64)
    elif dispatching.rule not in _DYNAMIC:
        table = priorities(dispatching.rule, instance)
    return table, luck


def _check(problem: JobShop, dispatching: Dispatching) -> None:
    if dispatching.waits and not problem.allow_wait:
        raise ValueError("dispatching: a cap or reservations need a problem with allow_wait=True")
