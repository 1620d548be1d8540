"""Schedules: exported from states or made of start times, and validated without the simulator."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.problem import JobShop, JobShopState


@dataclasses.dataclass(frozen=True)
class Down:
    """A shutdown: ``machine`` is down from ``start`` until ``end``.

    ``job`` and ``operation`` name the operation that it followed or interrupted, -1 if none.
    """

    machine: int
    start: int
    end: int
    job: int = -1
    operation: int = -1


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One schedule, complete or in the making; -1 stands for times that are not known yet.

    Attributes
    ----------
    start, end
        When each operation starts and ends, integers (J, K).
    leave
        When the job leaves the machine of the operation, (J, K).
    shutdowns
        Those that happened.
    """

    start: np.ndarray
    end: np.ndarray
    leave: np.ndarray
    shutdowns: tuple[Down, ...] = ()

    @property
    def makespan(self) -> int:
        """End of the last operation."""
        return int(self.end.max())

    @classmethod
    def of_state(
        cls, problem: JobShop, instance: JobShopInstance, state: JobShopState, row: int = 0
    ) -> Schedule:
        """Export what one row of a batch has played so far."""
        one = _one(instance, row)
        start = state.start[row].copy()
        duration, sizes = one.duration[0], one.num_operations[0]
        begun = start >= 0
        end = np.where(begun, start + duration, -1)
        downs = []
        for place in np.argwhere(state.down_at[row] >= 0):
            first, second = (int(i) for i in place)
            at = int(state.down_at[row, first, second])
            until = at + int(state.down_for[row, first, second])
            if problem.shutdown == "hazard":
                downs.append(Down(first, at, until))
                continue
            if problem.shutdown == "preempt_resume":
                end[first, second] += until - at
            machine = int(one.machine[0, first, second])
            downs.append(Down(machine, at, until, first, second))
        leave = _leave(start, end, sizes, problem.blocking)
        downs.sort(key=lambda down: (down.start, down.machine))
        return cls(start, end, leave, tuple(downs))

    @classmethod
    def of_starts(
        cls,
        instance: JobShopInstance,
        start: Sequence[Sequence[int]] | np.ndarray,
        blocking: str = "none",
        downtime: np.ndarray | None = None,
    ) -> Schedule:
        """Make a schedule of the start times (J, K) of one instance (a batch of one).

        Parameters
        ----------
        instance, start, blocking
            The instance, whole numbers, and the mode, which says when a job leaves its machine.
        downtime
            How long the machine of each operation goes down after it, (J, K); default: never.
        """
        one = _one(instance, 0)
        begin = np.where(one.exists[0], np.asarray(start), -1).astype(np.int64)
        end = np.where(begin >= 0, begin + one.duration[0], -1)
        downs = []
        if downtime is not None:
            for j, k in np.argwhere((downtime > 0) & one.exists[0]):
                at, machine = int(end[j, k]), int(one.machine[0, j, k])
                downs.append(Down(machine, at, at + int(downtime[j, k]), int(j), int(k)))
        leave = _leave(begin, end, one.num_operations[0], blocking)
        return cls(begin, end, leave, tuple(downs))


def _one(instance: JobShopInstance, row: int) -> JobShopInstance:
    """Return one row as a batch of one; fields may be shared by all rows."""
    return instance.map(lambda x: np.asarray(x)[[row if len(x) > 1 else 0]])


def _leave(start: np.ndarray, end: np.ndarray, sizes: np.ndarray, blocking: str) -> np.ndarray:
    if blocking == "none":
        return end.copy()
    leave = np.full_like(end, -1)
    leave[:, :-1] = start[:, 1:]
    jobs = np.flatnonzero(sizes > 0)
    leave[jobs, sizes[jobs] - 1] = end[jobs, sizes[jobs] - 1]
    return leave


#: An operation, as job and position.
_Operation = tuple[int, int]


def _orders(instance: JobShopInstance, schedule: Schedule) -> dict[int, list[_Operation]]:
    """Operations of each machine that have started, in the order in which they hold it."""
    orders: dict[int, list[_Operation]] = {}
    for j, k in np.argwhere(instance.exists[0] & (schedule.start >= 0)):
        orders.setdefault(int(instance.machine[0, j, k]), []).append((int(j), int(k)))
    unknown = np.iinfo(np.int64).max
    leave = np.where(schedule.leave < 0, unknown, schedule.leave)
    # Of operations of no length at one time, the one that a shutdown follows was last.
    followed = {(down.job, down.operation) for down in schedule.shutdowns}
    for operations in orders.values():
        operations.sort(key=lambda o: (schedule.start[o], leave[o], o in followed, o))
    return orders


def validate(instance: JobShopInstance, schedule: Schedule, blocking: str) -> None:
    """Check a complete schedule of one instance against the rules, without the simulator.

    Parameters
    ----------
    instance
        A batch of one.
    schedule
        The schedule.
    blocking
        "none", "swap" or "no_swap".

    Raises
    ------
    ValueError
        If a rule is broken; the message names operation, machine and times.
    """
    if blocking not in ("none", "swap", "no_swap"):
        raise ValueError(f"blocking: expected 'none', 'swap' or 'no_swap', got {blocking!r}")
    instance = _one(instance, 0)
    _check_jobs(instance, schedule, blocking)
    orders = _orders(instance, schedule)
    for machine, operations in orders.items():
        for before, after in itertools.pairwise(operations):
            if schedule.start[after] < schedule.leave[before]:
                raise ValueError(
                    f"{_name(after, machine)} starts at {schedule.start[after]}, but job"
                    f" {before[0]} holds the machine from {schedule.start[before]} until"
                    f" {schedule.leave[before]}"
                )
    for down in schedule.shutdowns:
        operations = orders.get(down.machine, [])
        own = (down.job, down.operation)
        first = operations.index(own) + 1 if own in operations else 0
        for operation in operations[first:]:
            if down.start <= schedule.start[operation] < down.end:
                raise ValueError(
                    f"{_name(operation, down.machine)} starts at {schedule.start[operation]}, but"
                    f" the machine is down from {down.start} until {down.end}"
                )
    if blocking == "no_swap":
        _check_moves(instance, schedule, orders)


def _name(operation: _Operation, machine: int) -> str:
    return f"job {operation[0]}, operation {operation[1]} on machine {machine}"


def _check_jobs(instance: JobShopInstance, schedule: Schedule, blocking: str) -> None:
    """Durations, chains, and when machines are left."""
    shape = instance.duration[0].shape
    for name in ("start", "end", "leave"):
        if getattr(schedule, name).shape != shape:
            got = getattr(schedule, name).shape
            raise ValueError(f"{name}: expected shape {shape}, got {got}")
    pauses: dict[_Operation, int] = {}
    for down in schedule.shutdowns:
        operation = (down.job, down.operation)
        if down.job >= 0 and down.start < schedule.end[operation]:
            pauses[operation] = pauses.get(operation, 0) + down.end - down.start
    for j, k in np.argwhere(instance.exists[0] & (schedule.start < 0)):
        name = _name((int(j), int(k)), int(instance.machine[0, j, k]))
        raise ValueError(f"{name} has no start: {schedule.start[j, k]}")
    for j, count in enumerate(instance.num_operations[0]):
        for k in range(count):
            name = _name((j, k), int(instance.machine[0, j, k]))
            start, end, leave = schedule.start[j, k], schedule.end[j, k], schedule.leave[j, k]
            lasts = int(instance.duration[0, j, k]) + pauses.get((j, k), 0)
            if end - start != lasts:
                raise ValueError(f"{name} lasts {lasts}, but starts at {start} and ends at {end}")
            if k + 1 < count and schedule.start[j, k + 1] < end:
                raise ValueError(
                    f"{name} ends at {end}, but operation {k + 1} starts at"
                    f" {schedule.start[j, k + 1]}"
                )
            stays = blocking != "none" and k + 1 < count
            expected = schedule.start[j, k + 1] if stays else end
            if leave != expected:
                raise ValueError(f"{name} is left at {leave}, expected {expected}")


def _check_moves(
    instance: JobShopInstance, schedule: Schedule, orders: dict[int, list[_Operation]]
) -> None:
    """Starts can be ordered one after the other, each into a machine that is empty."""
    # The order of operations of no length on one machine at one time is free.
    groups = [
        [
            [list(order) for order in itertools.permutations(group)]
            for _, group in itertools.groupby(
                operations, key=lambda o: (schedule.start[o], schedule.leave[o])
            )
        ]
        for operations in orders.values()
    ]
    for choice in itertools.product(*itertools.chain.from_iterable(groups)):
        flat = [operation for group in choice for operation in group]
        by_machine: dict[int, list[_Operation]] = {}
        for operation in flat:
            by_machine.setdefault(int(instance.machine[0][operation]), []).append(operation)
        stuck = _stuck(instance, by_machine)
        if not stuck:
            return
    time = min(int(schedule.start[operation]) for operation in stuck)
    jobs = sorted({j for j, _ in stuck})
    raise ValueError(
        f"jobs {', '.join(map(str, jobs))} change places at {time}, which blocking='no_swap' does"
        " not allow"
    )


def _stuck(instance: JobShopInstance, orders: dict[int, list[_Operation]]) -> list[_Operation]:
    """Operations whose starts wait for one another in a circle; empty if there is none."""
    sizes = instance.num_operations[0]
    earlier: dict[_Operation, set[_Operation]] = {
        (j, k): {(j, k - 1)} if k else set() for j, count in enumerate(sizes) for k in range(count)
    }
    for operations in orders.values():
        for before, after in itertools.pairwise(operations):
            j, k = before
            earlier[after].add((j, k + 1) if k + 1 < sizes[j] else before)
    while possible := [o for o, first in earlier.items() if not (first & earlier.keys()) - {o}]:
        for operation in possible:
            del earlier[operation]
    if not earlier:
        return []
    # What is left is behind a circle or in one: walking back ends in the circle.
    path = [min(earlier)]
    while (following := min((earlier[path[-1]] & earlier.keys()) - {path[-1]})) not in path:
        path.append(following)
    return path[path.index(following) :]


@dataclasses.dataclass(frozen=True)
class Circle:
    """Jobs that changed places at one time; each went to the machine of the next one."""

    time: int
    jobs: tuple[int, ...]
    machines: tuple[int, ...]


def circles(instance: JobShopInstance, schedule: Schedule) -> list[Circle]:
    """Return the circles of at least two jobs that turned, by time; ``machines`` were left.

    Parameters
    ----------
    instance, schedule
        One instance (a batch of one), and its schedule in mode "swap".
    """
    instance = _one(instance, 0)
    sizes = instance.num_operations[0]
    # Start of an operation -> the start that emptied its machine for it at the same time.
    emptied_by: dict[_Operation, _Operation] = {}
    for operations in _orders(instance, schedule).values():
        for before, after in itertools.pairwise(operations):
            j, k = before
            if k + 1 < sizes[j] and schedule.leave[before] == schedule.start[after]:
                emptied_by[after] = (j, k + 1)
    found = []
    for first in emptied_by:
        path = [first]
        while (following := emptied_by.get(path[-1])) is not None and following not in path:
            path.append(following)
        # Each circle is found once, from its smallest operation.
        if len(path) > 1 and following == first == min(path):
            jobs = tuple(j for j, _ in path)
            machines = tuple(int(instance.machine[0, j, k - 1]) for j, k in path)
            found.append(Circle(int(schedule.start[first]), jobs, machines))
    return sorted(found, key=lambda circle: (circle.time, circle.jobs))
