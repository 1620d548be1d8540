"""One job shop as exact models see it: operations, and what "a before b" on a machine means."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from or_envs.job_shop import kernels
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import Blocking, JobShop, JobShopState

#: Sequences of operations, one for each machine.
Orders = list[list[int]]


@dataclasses.dataclass(frozen=True)
class Shop:
    """A job shop from some moment on, which is time 0. Operations are numbered job by job.

    Times are ticks. A tick is a time unit, except where durations of 0 occur: there a time unit is
    ``scale`` ticks and those operations take one, fewer than a unit all together. So a job is never
    on two machines at the same tick, and the operations of a machine have different starts; the
    makespan in units is the one in ticks, rounded down.

    Attributes
    ----------
    job, place
        Job of each operation, ascending, and its number there.
    machine
        Machine of each operation.
    duration
        Ticks of each operation, >= 1; of one that has begun, the ticks left, >= 0.
    downtime
        Ticks that its machine is down right after each operation.
    begun
        Whether the operation stands on its machine at time 0, processing or finished; at most one
        per machine, and the first of its job.
    available
        Tick from which each machine may be entered.
    blocking
        "none": unlimited buffers. "swap": a job stays on its machine until the next one takes it.
        "no_swap": jobs that wait for one another in a circle never move.
    scale
        Ticks of a time unit.
    """

    job: list[int]
    place: list[int]
    machine: list[int]
    duration: list[int]
    downtime: list[int]
    begun: list[bool]
    available: list[int]
    blocking: Blocking
    scale: int = 1

    @functools.cached_property
    def size(self) -> int:
        """Number of operations."""
        return len(self.job)

    @functools.cached_property
    def successor(self) -> list[int | None]:
        """Next operation of the same job; ``None`` after its last one."""
        following = [*self.job[1:], None]
        return [o + 1 if self.job[o] == following[o] else None for o in range(self.size)]

    @functools.cached_property
    def last(self) -> list[int]:
        """Last operation of every job."""
        return [o for o in range(self.size) if self.successor[o] is None]

    @functools.cached_property
    def on_machine(self) -> Orders:
        """Operations of every machine: one that has begun first, the others by number."""
        groups: Orders = [[] for _ in self.available]
        for o in sorted(range(self.size), key=lambda o: not self.begun[o]):
            groups[self.machine[o]].append(o)
        return groups

    @functools.cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Operations of one machine whose order is free."""
        return [(a, b) for a, b in self._together if not self._forced(a, b)]

    @functools.cached_property
    def forced(self) -> list[tuple[int, int]]:
        """Operations (a, b) of one machine with a before b: a has begun, or is of the same job."""
        return [(a, b) for a, b in self._together if self._forced(a, b)]

    @property
    def _together(self) -> list[tuple[int, int]]:
        return [
            (a, b) for group in self.on_machine for k, a in enumerate(group) for b in group[k + 1 :]
        ]

    def _forced(self, a: int, b: int) -> bool:
        return self.begun[a] or self.job[a] == self.job[b]

    def lags(self, a: int, b: int) -> list[tuple[int, int]]:
        """What a before b on their machine means: (o, w) with S[b] >= S[o] + w for each.

        Under blocking the machine is free when the job of a has begun its next operation; a job
        that is done leaves at once.
        """
        done = (a, self.duration[a] + self.downtime[a])
        after = self.successor[a]
        if self.blocking == "none" or after is None or after == b:
            return [done]
        return [(after, 0), done] if self.downtime[a] else [(after, 0)]

    def heads(self) -> list[int]:
        """Lower bounds on the starts: what comes earlier in the job, and ``available``."""
        heads = [0 if self.begun[o] else self.available[self.machine[o]] for o in range(self.size)]
        for o, after in enumerate(self.successor):
            if after is not None:
                heads[after] = max(heads[after], heads[o] + self.duration[o])
        return heads

    def tails(self) -> list[int]:
        """Ticks from the start of each operation to the end of its job, at least."""
        tails = list(self.duration)
        for o in reversed(range(self.size)):
            after = self.successor[o]
            if after is not None:
                tails[o] += tails[after]
        return tails

    def latest(self, horizon: int) -> list[int]:
        """Latest starts with which every job ends by ``horizon``."""
        return [
            0 if begun else horizon - tail
            for begun, tail in zip(self.begun, self.tails(), strict=True)
        ]

    def horizon(self) -> int:
        """Ticks that some optimal schedule ends within, if there is any schedule.

        Nothing is gained where nothing is processed, under repair or not yet available.
        """
        return sum(self.duration) + sum(self.downtime) + max(self.available, default=0)

    def units(self, ticks: float) -> int:
        """Time units of a makespan, or of a lower bound on it, in ticks."""
        # A little below a whole number is the number: solvers' bounds have rounding errors.
        return math.ceil(ticks - 1e-6) // self.scale


def remaining_shop(
    problem: JobShop,
    instance: JobShopInstance,
    state: JobShopState,
    downtime: np.ndarray | None = None,
) -> Shop:
    """What is left to do in a state; time 0 is its clock.

    Parameters
    ----------
    instance, state
        Batches of one.
    downtime
        Time units that machines are down because of each operation, integers (J, K), in the
        problem's shutdown model; ``None`` is never. Repairs that the state knows of count anyway.
    """
    clock = int(state.clock[0])
    first = state.operation[0] - (
        (state.status[0] == kernels.WAITING) & (problem.blocking != "none")
    )
    exists = instance.exists[0] & (np.arange(instance.machine.shape[2]) >= first[:, None])
    exists &= (state.status[0] != kernels.DONE)[:, None]
    job, place = np.nonzero(exists)
    machine = instance.machine[0][exists]
    begun = state.start[0][exists] >= 0
    duration, down = instance.duration[0][exists], np.zeros_like(job)
    if downtime is not None and problem.shutdown == "preempt_resume":
        duration = duration + downtime[exists]
    elif downtime is not None:
        down = downtime[exists]
    left = np.maximum(state.finish[0][machine] - clock, 0)
    waits = state.status[0][job] == kernels.WAITING
    scale = int(((duration == 0) & ~begun).sum()) + 1
    ticks = np.maximum(duration * scale, 1)
    return Shop(
        job=job.tolist(),
        place=place.tolist(),
        machine=machine.tolist(),
        duration=np.where(begun, np.where(waits, 0, left * scale), ticks).tolist(),
        downtime=np.where(begun & waits, 0, down * scale).tolist(),
        begun=begun.tolist(),
        available=(np.maximum(state.up_at[0] - clock, 0) * scale).tolist(),
        blocking=problem.blocking,
        scale=scale,
    )


def orders_of(shop: Shop, start: Sequence[float]) -> Orders:
    """Operations of each machine in the order of their starts."""
    return [sorted(group, key=lambda o: start[o]) for group in shop.on_machine]
