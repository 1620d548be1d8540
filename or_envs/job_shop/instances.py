"""Instances of the job shop: the data class, the random law, and instances by name or file."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from importlib import resources

import numpy as np

from or_envs.core.arrays import Array, Arrays, concatenate
from or_envs.core.random import Generators

#: Durations of random instances, both ends included.
SHORTEST, LONGEST = 1, 99

#: Instances by name, group by group. TA01-80 are computed, see :mod:`or_envs.job_shop.taillard`;
#: the numbers of the others, in ``data/classic.json``, are facts of these publications:
#:
#: - FT06, FT10, FT20: Fisher and Thompson, in Muth and Thompson, Industrial Scheduling, 1963.
#: - LA01-40: Lawrence, Resource Constrained Project Scheduling, Carnegie-Mellon University, 1984.
#: - ABZ5-9: Adams, Balas and Zawack, Management Science 34, 1988.
#: - ORB01-10: Applegate and Cook, ORSA Journal on Computing 3, 1991.
#: - SWV01-20: Storer, Wu and Vaccari, Management Science 38, 1992.
#: - YN1-4: Yamada and Nakano, Parallel Problem Solving from Nature 2, 1992.
#: - TA01-80: Taillard, European Journal of Operational Research 64, 1993.
GROUPS: dict[str, tuple[str, ...]] = {
    "FT": ("FT06", "FT10", "FT20"),
    "LA": tuple(f"LA{i:02d}" for i in range(1, 41)),
    "ABZ": tuple(f"ABZ{i}" for i in range(5, 10)),
    "ORB": tuple(f"ORB{i:02d}" for i in range(1, 11)),
    "SWV": tuple(f"SWV{i:02d}" for i in range(1, 21)),
    "YN": tuple(f"YN{i}" for i in range(1, 5)),
    "TA": tuple(f"TA{i:02d}" for i in range(1, 81)),
}
NAMES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)


@dataclasses.dataclass(frozen=True)
class JobShopInstance(Arrays):
    """Jobs, each a chain of operations on machines; J jobs, at most K operations each.

    Sizes may differ from row to row: what lies beyond ``num_operations`` is padding that nothing
    reads, and a job without operations does not exist.

    Attributes
    ----------
    machine
        Machine of the k-th operation of job j, integers from 0, (B, J, K).
    duration
        Its processing time, whole time units >= 0, (B, J, K).
    num_operations
        Operations of each job, integers 0..K, (B, J).
    """

    machine: Array
    duration: Array
    num_operations: Array

    @classmethod
    def of(
        cls,
        machine: Sequence[Sequence[int]] | np.ndarray,
        duration: Sequence[Sequence[int]] | np.ndarray,
    ) -> JobShopInstance:
        """Return one instance (a batch of one) of jobs given as lists, also of unequal lengths."""
        sizes = [len(job) for job in duration]
        shape = (1, len(sizes), max(sizes))
        routes, times = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for j, (route, job) in enumerate(zip(machine, duration, strict=True)):
            routes[0, j, : sizes[j]] = route
            times[0, j, : sizes[j]] = job
        return cls(routes, times, np.array([sizes], dtype=np.int64))

    def padded(self, num_jobs: int, num_operations: int) -> JobShopInstance:
        """Return the same instances with room for more jobs and operations (numpy).

        Raises
        ------
        ValueError
            If there is less room than the instances have now.
        """
        _, jobs, operations = self.duration.shape
        if num_jobs < jobs or num_operations < operations:
            raise ValueError(
                f"padded: expected room for at least {jobs} jobs of {operations} operations, got"
                f" {num_jobs} and {num_operations}"
            )
        more = (0, num_jobs - jobs)
        room = ((0, 0), more, (0, num_operations - operations))
        return JobShopInstance(
            np.pad(self.machine, room),
            np.pad(self.duration, room),
            np.pad(self.num_operations, ((0, 0), more)),
        )

    @property
    def exists(self) -> Array:
        """Which slots hold an operation, not padding, bool (B, J, K); numpy."""
        slots = np.arange(self.duration.shape[2])
        there: np.ndarray = slots < np.asarray(self.num_operations)[:, :, None]
        return there


def uniform_instances(
    rngs: Generators, num_jobs: tuple[int, int], num_machines: tuple[int, int]
) -> JobShopInstance:
    """Draw random instances, padded to the largest size.

    Numbers of jobs and machines are uniform on the given ranges, both ends included; every job
    visits every machine once, in an order that is a uniform permutation; durations are uniform on
    :data:`SHORTEST`..:data:`LONGEST`.

    Parameters
    ----------
    rngs
        One generator a row.
    num_jobs, num_machines
        Smallest and largest size.
    """
    rows = len(rngs)
    most_jobs, most_machines = num_jobs[1], num_machines[1]
    machine = np.zeros((rows, most_jobs, most_machines), dtype=np.int64)
    duration = np.zeros_like(machine)
    num_operations = np.zeros((rows, most_jobs), dtype=np.int64)
    for b, rng in enumerate(rngs):
        jobs = _draw(rng, num_jobs)
        machines = _draw(rng, num_machines)
        # Sorting uniforms gives a uniform permutation of each row in one call.
        machine[b, :jobs, :machines] = rng.random((jobs, machines)).argsort(axis=1)
        duration[b, :jobs, :machines] = rng.integers(SHORTEST, LONGEST + 1, (jobs, machines))
        num_operations[b, :jobs] = machines
    return JobShopInstance(machine, duration, num_operations)


def _draw(rng: np.random.Generator, limits: tuple[int, int]) -> int:
    low, high = limits
    return low if low == high else int(rng.integers(low, high + 1))


def load(instance: str) -> JobShopInstance:
    """Return one instance (a batch of one) by name or of a file, or a range of a group.

    Parameters
    ----------
    instance
        One of :data:`NAMES`; a range such as "LA01-05", one row an instance, padded to the largest;
        or the path of a file in the form of JSPLIB or of Taillard, see
        :func:`or_envs.job_shop.files.read`.

    Raises
    ------
    ValueError
        If there is no such name or file, or the file is malformed (line and field are named).
    """
    if instance in GROUPS["TA"]:
        from or_envs.job_shop.taillard import published

        return JobShopInstance.of(*published(int(instance[2:])))
    if instance in NAMES:
        data = _classic()[instance]
        return JobShopInstance.of(data["machine"], data["duration"])
    members = _range(instance)
    if members:
        parts = [load(name) for name in members]
        jobs, operations = np.max([part.duration.shape[1:] for part in parts], axis=0)
        return concatenate([part.padded(int(jobs), int(operations)) for part in parts])
    from or_envs.job_shop.files import read

    known = ", ".join(f"{names[0]}-{names[-1][len(group) :]}" for group, names in GROUPS.items())
    return read(instance, f"'random', a name ({known})")


def _range(instance: str) -> tuple[str, ...]:
    """Names of a range such as "LA01-05"; none if it is something else."""
    first, _, number = instance.partition("-")
    for group, names in GROUPS.items():
        if first in names and group + number in names:
            return names[names.index(first) : names.index(group + number) + 1]
    return ()


@functools.cache
def _classic() -> dict[str, dict[str, list[list[int]]]]:
    text = resources.files("or_envs.job_shop").joinpath("data/classic.json").read_text("utf-8")
    data: dict[str, dict[str, list[list[int]]]] = json.loads(text)
    return data
