"""Numba kernels of the job shop's dynamics: loads, circles, events, for one shop and for batches.

The job shop is event-driven and has no array-API form; ``tests/job_shop/reference.py`` states the
same rules a second time, in plain Python, and the tests compare the two.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import Any, NamedTuple

import numba

#: What a job is doing. WAITING: between two operations, in a buffer or blocking a machine.
OUTSIDE, PROCESSING, WAITING, DONE = range(4)
#: Blocking modes and shutdown models, by number.
NO_BLOCKING, SWAP, NO_SWAP = range(3)
NEVER_DOWN, POST_OPERATION, HAZARD, PREEMPT_RESUME = range(4)
#: How settling ends.
DECISION, FINISHED, DEADLOCK = range(3)
#: Later than every event.
NEVER = 2**62

#: Compiles without counting references to arrays, which would take most of the time where small
#: functions call one another with many arrays (a load in 95 ns instead of 1). Such functions may
#: not allocate arrays: whoever calls them does.
kernel = numba.njit(cache=True, _nrt=False)  # type: ignore[call-overload]


class Rules(NamedTuple):
    """The constants of a problem, as numbers; see :class:`or_envs.job_shop.problem.JobShop`."""

    blocking: int
    model: int
    allow_wait: bool
    skip_trivial: bool


class Shop(NamedTuple):
    """Data and state of one shop, arrays without batch axis, or of a batch.

    Fields are those of instance, shutdown trace and state; ``onset`` and ``downtime`` are the
    luck that the shop has not met yet.
    """

    machine: Any
    duration: Any
    num_operations: Any
    onset: Any
    downtime: Any
    operation: Any
    status: Any
    ready: Any
    holder: Any
    finish: Any
    up_at: Any
    idle: Any
    failures: Any
    start: Any
    down_at: Any
    down_for: Any


@kernel
def row_of(batch, b):
    """Views on row b; data and luck may be shared, with a leading axis of 1."""
    return Shop(
        batch.machine[b if batch.machine.shape[0] > 1 else 0],
        batch.duration[b if batch.duration.shape[0] > 1 else 0],
        batch.num_operations[b if batch.num_operations.shape[0] > 1 else 0],
        batch.onset[b if batch.onset.shape[0] > 1 else 0],
        batch.downtime[b if batch.downtime.shape[0] > 1 else 0],
        batch.operation[b],
        batch.status[b],
        batch.ready[b],
        batch.holder[b],
        batch.finish[b],
        batch.up_at[b],
        batch.idle[b],
        batch.failures[b],
        batch.start[b],
        batch.down_at[b],
        batch.down_for[b],
    )


@kernel
def wanted(shop, j):
    """Machine of the next operation of a job that waits, or of the one that it is in."""
    return shop.machine[j, shop.operation[j]]


@kernel
def loadable(shop, j, now):
    """Whether job j may be loaded onto its next machine now."""
    if shop.status[j] != OUTSIDE and shop.status[j] != WAITING:
        return False
    m = wanted(shop, j)
    return shop.holder[m] < 0 and shop.up_at[m] <= now


@kernel
def processing(shop, m):
    """Whether an operation runs (or is interrupted) on machine m."""
    return shop.holder[m] >= 0 and shop.status[shop.holder[m]] == PROCESSING


@kernel
def begin(shop, j, now):
    """Put job j on its next machine, whoever held that."""
    k = shop.operation[j]
    m = shop.machine[j, k]
    shop.holder[m] = j
    shop.finish[m] = now + shop.duration[j, k]
    shop.status[j] = PROCESSING
    shop.start[j, k] = now


@kernel
def load(shop, j, now, blocking):
    """Take job j off the machine that it blocks, if it does, and put it on its next one."""
    if blocking != NO_BLOCKING and shop.status[j] == WAITING:
        shop.holder[shop.machine[j, shop.operation[j] - 1]] = -1
    begin(shop, j, now)


@kernel
def turn_circles(shop, now, blocking):
    """Turn every circle of waiting jobs whose machines are all up; return whether any turned.

    A machine that holds a waiting job points to the machine that this job needs, so circles are
    disjoint. A circle of one, a job that needs its own machine again, is no swap.
    """
    turned = False
    machines = len(shop.holder)
    for first in range(machines):
        m = first
        length = 0
        up = True
        while length <= machines:
            j = shop.holder[m]
            if j < 0 or shop.status[j] != WAITING:
                break
            up &= shop.up_at[m] <= now
            m = wanted(shop, j)
            length += 1
            if m == first:
                if up and (blocking == SWAP or length == 1):
                    j = shop.holder[first]
                    for _ in range(length):
                        m = wanted(shop, j)
                        following = shop.holder[m]
                        begin(shop, j, now)
                        j = following
                    turned = True
                break
    return turned


@kernel
def interruption(shop, m):
    """When the operation on machine m is interrupted, or NEVER; model PREEMPT_RESUME."""
    j = shop.holder[m]
    k = shop.operation[j]
    # It is interrupted once: after that it finishes later than planned.
    if shop.downtime[j, k] == 0 or shop.finish[m] != shop.start[j, k] + shop.duration[j, k]:
        return NEVER
    return shop.start[j, k] + shop.onset[j, k]


@kernel
def next_event(shop, now):
    """Earliest completion or repair to come, or NEVER: what a policy may wait for."""
    earliest = NEVER
    for m in range(len(shop.holder)):
        if shop.up_at[m] > now:
            earliest = min(earliest, shop.up_at[m])
        if processing(shop, m):
            earliest = min(earliest, shop.finish[m])
    return earliest


@kernel
def next_shutdown(shop, now, model):
    """Earliest shutdown to come of an idle machine or a running operation, or NEVER."""
    earliest = NEVER
    for m in range(len(shop.holder)):
        if model == PREEMPT_RESUME:
            if processing(shop, m):
                earliest = min(earliest, interruption(shop, m))
        elif shop.up_at[m] <= now and not processing(shop, m):
            count = shop.failures[m]
            if count < shop.onset.shape[1]:
                earliest = min(earliest, now + shop.onset[m, count] - shop.idle[m])
    return earliest


@kernel
def complete(shop, m, now, rules):
    """End the operation on machine m."""
    j = shop.holder[m]
    k = shop.operation[j]
    shop.operation[j] = k + 1
    shop.ready[j] = now
    if rules.model == POST_OPERATION and shop.downtime[j, k] > 0:
        shop.up_at[m] = now + shop.downtime[j, k]
        shop.down_at[j, k] = now
        shop.down_for[j, k] = shop.downtime[j, k]
    if k + 1 == shop.num_operations[j]:
        shop.status[j] = DONE
        shop.holder[m] = -1
    else:
        shop.status[j] = WAITING
        if rules.blocking == NO_BLOCKING:
            shop.holder[m] = -1


@kernel
def happen(shop, now, rules):
    """Let everything happen that is due now; return whether an operation ended."""
    ended = False
    for m in range(len(shop.holder)):
        if processing(shop, m):
            if shop.finish[m] <= now:
                complete(shop, m, now, rules)
                ended = True
            elif rules.model == PREEMPT_RESUME and interruption(shop, m) == now:
                j = shop.holder[m]
                k = shop.operation[j]
                shop.finish[m] += shop.downtime[j, k]
                shop.up_at[m] = now + shop.downtime[j, k]
                shop.down_at[j, k] = now
                shop.down_for[j, k] = shop.downtime[j, k]
        elif rules.model == HAZARD and shop.up_at[m] <= now:
            count = shop.failures[m]
            if count < shop.onset.shape[1] and shop.idle[m] == shop.onset[m, count]:
                shop.up_at[m] = now + shop.downtime[m, count]
                shop.down_at[m, count] = now
                shop.down_for[m, count] = shop.downtime[m, count]
                shop.failures[m] = count + 1
                shop.idle[m] = 0
    return ended


@kernel
def settle(shop, now, wait, rules):
    """Let the shop run until the next decision.

    Returns
    -------
    Clock, how it ended (DECISION, FINISHED or DEADLOCK), and job-time units spent waiting.
    """
    waited = 0
    while True:
        # Operations of no length end at once; what follows them may turn another circle.
        while happen(shop, now, rules) | turn_circles(shop, now, rules.blocking):
            pass
        unfinished = 0
        in_queue = 0
        choices = 0
        last = -1
        for j in range(len(shop.status)):
            if shop.status[j] != DONE:
                unfinished += 1
                if shop.status[j] != PROCESSING:
                    in_queue += 1
                    if loadable(shop, j, now):
                        choices += 1
                        last = j
        if unfinished == 0:
            return now, FINISHED, waited
        if choices > 0 and not wait:
            if choices > 1 or not rules.skip_trivial:
                return now, DECISION, waited
            load(shop, last, now, rules.blocking)
            continue
        following = next_event(shop, now)
        if following == NEVER:
            return now, DEADLOCK, waited
        if rules.model >= HAZARD:
            following = min(following, next_shutdown(shop, now, rules.model))
        if rules.model == HAZARD:
            for m in range(len(shop.holder)):
                if shop.up_at[m] <= now and not processing(shop, m):
                    shop.idle[m] += following - now
        waited += in_queue * (following - now)
        now = following
        wait = False


@kernel
def lower_bound(shop, now, load_left):
    """Earliest end of any completion, if nothing but known repairs goes wrong.

    ``load_left`` (M,) is overwritten.
    """
    bound = now
    machines = len(shop.holder)
    load_left[:] = 0
    for j in range(len(shop.status)):
        if shop.status[j] == DONE:
            continue
        first = shop.operation[j]
        time = now
        if shop.status[j] == PROCESSING:
            time = shop.finish[shop.machine[j, first]]
            first += 1
        for k in range(first, shop.num_operations[j]):
            time += shop.duration[j, k]
            load_left[shop.machine[j, k]] += shop.duration[j, k]
        bound = max(bound, time)
    for m in range(machines):
        if load_left[m] > 0:
            free = max(now, shop.up_at[m])
            if processing(shop, m):
                free = max(free, shop.finish[m])
            bound = max(bound, free + load_left[m])
    return bound


@kernel
def decide(batch, clock, actions, waiting, blocking):
    """Load a job in every row, or mark that it waits; illegal loads change nothing."""
    jobs = batch.status.shape[1]
    for b in range(len(actions)):
        waiting[b] = actions[b] == jobs
        if not waiting[b]:
            shop = row_of(batch, b)
            if loadable(shop, actions[b], clock[b]):
                load(shop, actions[b], clock[b], blocking)


@kernel
def settle_all(batch, clock, waiting, rules, passed, waited, over, deadlock):
    """Settle every row; changes ``clock``, and returns whether any row is in a deadlock.

    Writes the time that passed and the job-time units spent waiting, both floats, and whether the
    episode is over, and by a deadlock, all (B,).
    """
    any_deadlock = False
    for b in range(len(clock)):
        now, ending, waits = settle(row_of(batch, b), clock[b], waiting[b], rules)
        passed[b] = now - clock[b]
        waited[b] = waits
        clock[b] = now
        over[b] = ending != DECISION
        deadlock[b] = ending == DEADLOCK
        any_deadlock |= deadlock[b]
    return any_deadlock


@kernel
def write_masks(batch, clock, allow_wait, mask):
    """Write the allowed actions, bool (B, J + 1)."""
    rows, jobs = batch.status.shape
    for b in range(rows):
        shop = row_of(batch, b)
        any_load = False
        for j in range(jobs):
            mask[b, j] = loadable(shop, j, clock[b])
            any_load |= mask[b, j]
        mask[b, jobs] = allow_wait and any_load and next_event(shop, clock[b]) < NEVER


@kernel
def write_lower_bounds(batch, clock, load_left, bounds):
    """Write :func:`lower_bound` of every row, (B,)."""
    for b in range(len(clock)):
        bounds[b] = lower_bound(row_of(batch, b), clock[b], load_left)
