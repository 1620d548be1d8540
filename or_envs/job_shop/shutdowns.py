"""Machine shutdowns: three models, each drawn up front so that every policy meets the same luck."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.kernels import PROCESSING

if TYPE_CHECKING:
    from or_envs.job_shop.problem import JobShopState

ShutdownModel = Literal["post_operation", "hazard", "preempt_resume"]

#: In model "hazard" a machine fails at most this many times a job of the problem; it bounds the
#: length of an episode. An idle time of about that many mean durations is needed to get there.
FAILURES_PER_JOB = 4
#: An idle time that no machine has.
UNREACHABLE = 2**40


@dataclasses.dataclass(frozen=True)
class Shutdowns(Arrays):
    """The luck of an episode, indexed by what it happens to: (E, C) is (J, K) or (M, failures).

    Attributes
    ----------
    onset
        Model "preempt_resume": processing time before the interruption of operation (j, k), (B, J,
        K). "hazard": idle time of machine m, counted while it is up and nothing is processed on
        it, before its c-th failure, (B, M, C). "post_operation": shape (B, 0, 0), as the shutdown
        follows the operation. Integers > 0.
    downtime
        Length of that shutdown, integers, 0 where there is none, (B, E, C).
    """

    onset: Array
    downtime: Array


def largest_downtime(instance: JobShopInstance, max_downtime: int | None) -> np.ndarray:
    """Largest downtime D of each instance, (B,) or, shared, (1,)."""
    durations = np.where(instance.exists, instance.duration, 0)
    longest = np.maximum(durations.max(axis=(1, 2)), 1)
    return longest if max_downtime is None else np.full_like(longest, max_downtime)


def sample(
    model: ShutdownModel,
    instance: JobShopInstance,
    rngs: Generators,
    p_down: np.ndarray,
    max_downtime: int | None,
    num_machines: int,
) -> Shutdowns:
    """Draw the shutdowns of whole episodes.

    Parameters
    ----------
    model
        See :class:`or_envs.job_shop.problem.JobShop`.
    instance
        The instances; padding does not change what the other operations meet.
    rngs
        One generator a row.
    p_down
        Probability of a shutdown, (B,).
    max_downtime
        Downtimes are uniform on 1..D; ``None``: D is the largest duration of the instance.
    num_machines
        M.
    """
    rows = len(rngs)
    exists = np.broadcast_to(instance.exists, (rows, *instance.duration.shape[1:]))
    durations = np.where(exists, instance.duration, 0)
    _, jobs, operations = durations.shape
    if model == "hazard":
        shape = (rows, num_machines, FAILURES_PER_JOB * jobs)
        onset = np.full(shape, UNREACHABLE)
    else:
        shape = (rows, jobs, operations)
        onset = np.zeros(shape if model == "preempt_resume" else (rows, 0, 0), dtype=np.int64)
    downtime = np.zeros(shape, dtype=np.int64)
    largest = largest_downtime(instance, max_downtime)
    for b, rng in enumerate(rngs):
        longest = int(largest[b if len(largest) > 1 else 0])
        # Drawn at the size of the instance, so that padding does not move the draws.
        size = (_used(exists[b].any(axis=1)), _used(exists[b].any(axis=0)))
        if 0 in size:
            continue  # nothing to do, nothing to go wrong
        if model == "hazard":
            machine = instance.machine[b if len(instance.machine) > 1 else 0]
            used = min(int(machine[exists[b]].max()) + 1, num_machines)
            size = (used, FAILURES_PER_JOB * size[0])
        inner = (b, slice(size[0]), slice(size[1]))
        if model == "hazard":
            rate = min(1.0, p_down[b] / max(1.0, durations[b][exists[b]].mean()))
            if rate > 0:
                onset[inner] = np.minimum(rng.geometric(rate, size), UNREACHABLE)
            downtime[inner] = rng.integers(1, longest + 1, size)
            continue
        down = rng.random(size) < p_down[b]
        downtime[inner] = np.where(down, rng.integers(1, longest + 1, size), 0)
        if model == "preempt_resume":
            onset[inner] = rng.integers(1, np.maximum(durations[inner], 2))
            downtime[b][durations[b] < 2] = 0  # too short to be interrupted
        downtime[b][~exists[b]] = 0
    return Shutdowns(onset, downtime)


def resume(
    model: ShutdownModel,
    instance: JobShopInstance,
    state: JobShopState,
    drawn: Shutdowns,
    rngs: Generators,
    p_down: np.ndarray,
    max_downtime: int | None,
) -> Shutdowns:
    """Make fresh shutdowns agree with what is known in the middle of an episode.

    Parameters
    ----------
    model, instance, rngs, p_down, max_downtime
        As for :func:`sample`.
    state
        The states.
    drawn
        Shutdowns of whole episodes, from :func:`sample`.
    """
    if model == "post_operation":
        return drawn  # what belongs to finished operations is not read again
    onset, downtime = drawn.onset.copy(), drawn.downtime.copy()
    if model == "hazard":
        # The geometric law has no memory: what is left until the failure is distributed as ever.
        rows, machines, failures = onset.shape
        count = np.minimum(state.failures, failures - 1)
        place = (np.arange(rows)[:, None], np.arange(machines)[None, :], count)
        onset[place] += state.idle
        return Shutdowns(onset, downtime)
    largest = largest_downtime(instance, max_downtime)
    for b, m in np.argwhere(state.holder >= 0):
        j = state.holder[b, m]
        if state.status[b, j] != PROCESSING or state.down_at[b, j, state.operation[b, j]] >= 0:
            continue  # interrupted once already, if at all
        k = state.operation[b, j]
        duration = int(instance.duration[b if len(instance.duration) > 1 else 0, j, k])
        passed = int(state.clock[b] - state.start[b, j, k])
        later = (duration - 1 - passed) / max(duration - 1, 1)
        likely = p_down[b] * later / max(1.0 - p_down[b] * (1.0 - later), 1e-12)
        downtime[b, j, k] = 0
        if rngs[b].random() < likely:
            onset[b, j, k] = rngs[b].integers(passed + 1, duration)
            downtime[b, j, k] = rngs[b].integers(1, int(largest[b if len(largest) > 1 else 0]) + 1)
    return Shutdowns(onset, downtime)


def _used(there: np.ndarray) -> int:
    return int(np.flatnonzero(there).max(initial=-1)) + 1
