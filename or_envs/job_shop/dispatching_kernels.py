"""Numba kernels of dispatching rules: one decision, and whole episodes."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from or_envs.job_shop.kernels import (
    DEADLOCK,
    DECISION,
    DONE,
    NEVER,
    OUTSIDE,
    PROCESSING,
    WAITING,
    kernel,
    load,
    next_event,
    row_of,
    settle,
    wanted,
)

#: Where priority values come from: a table of operations, or the state.
TABLE, EARLIEST_READY, LATEST_READY, SHORTEST_QUEUE, LONGEST_QUEUE, RANDOM = range(6)


class Options(NamedTuple):
    """:class:`or_envs.job_shop.dispatching.Dispatching` in numbers; a cap of 0 is none."""

    kind: int
    blocked_first: bool
    cap: int
    reserve: bool


@kernel
def mix(seed):
    """Return the next state and 53 random bits (splitmix64; Steele, Lea and Flood 2014)."""
    seed += np.uint64(0x9E3779B97F4A7C15)
    z = seed
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return seed, np.float64(z >> np.uint64(11))


@kernel
def following_queue(shop, j):
    """Jobs that wait for the machine of the operation after job j's next one."""
    k = shop.operation[j] + 1
    if k >= shop.num_operations[j]:
        return 0
    m = shop.machine[j, k]
    count = 0
    for other in range(len(shop.status)):
        waits = shop.status[other] == OUTSIDE or shop.status[other] == WAITING
        count += waits and wanted(shop, other) == m
    return count


@kernel
def value_of(shop, j, kind, table):
    """Priority value of job j's next operation, but for RANDOM."""
    if kind == TABLE:
        return table[j, shop.operation[j]]
    if kind == EARLIEST_READY:
        return np.float64(shop.ready[j])
    if kind == LATEST_READY:
        return -np.float64(shop.ready[j])
    if kind == SHORTEST_QUEUE:
        return np.float64(following_queue(shop, j))
    return -np.float64(following_queue(shop, j))


@kernel
def reserved(shop, m, value, table):
    """Whether an operation on its way to machine m goes before the given priority value."""
    for j in range(len(shop.status)):
        if shop.status[j] == PROCESSING:
            k = shop.operation[j] + 1
            if k < shop.num_operations[j] and shop.machine[j, k] == m and table[j, k] < value:
                return True
    return False


@kernel
def pick(shop, now, options, table, seed, closed, reserve):
    """Return the load that the rule prefers, or -1; whether any was held back; and the seed.

    Empty machines are served in the order of their numbers.
    """
    held_back = False
    for m in range(len(shop.holder)):
        if shop.holder[m] >= 0 or shop.up_at[m] > now:
            continue
        best = -1
        smallest = 0.0
        best_blocks = False
        for j in range(len(shop.status)):
            status = shop.status[j]
            if status in (PROCESSING, DONE) or wanted(shop, j) != m:
                continue
            if closed and status == OUTSIDE:
                held_back = True
                continue
            if options.kind == RANDOM:
                seed, value = mix(seed)
            else:
                value = value_of(shop, j, options.kind, table)
            blocks = options.blocked_first and status == WAITING
            sooner = blocks if blocks != best_blocks else value < smallest
            if best < 0 or sooner:
                best, smallest, best_blocks = j, value, blocks
        if best >= 0:
            if not (reserve and reserved(shop, m, smallest, table)):
                return best, held_back, seed
            held_back = True
    return -1, held_back, seed


@kernel
def choose(shop, now, rules, options, table, seed):
    """Return the action that the rule takes (-1 if there is none) and the seed."""
    occupied = 0
    for m in range(len(shop.holder)):
        occupied += shop.holder[m] >= 0
    closed = 0 < options.cap <= occupied
    j, held_back, seed = pick(shop, now, options, table, seed, closed, options.reserve)
    if j < 0 and held_back:
        if rules.allow_wait and next_event(shop, now) < NEVER:
            return len(shop.status), seed
        j, _, seed = pick(shop, now, options, table, seed, False, False)
    return j, seed


@kernel
def choose_all(batch, clock, rules, options, table, seeds, actions):
    """Write the rule's action of every row; 0 where there is none."""
    for b in range(len(clock)):
        own = table[b if table.shape[0] > 1 else 0]
        action, _ = choose(row_of(batch, b), clock[b], rules, options, own, seeds[b])
        actions[b] = max(action, 0)


@kernel
def play_all(batch, clock, deadlock, rules, options, table, seeds, actions, count):
    """Play every row to its end, in place; ``actions`` are written as far as there is room."""
    jobs = batch.status.shape[1]
    for b in range(len(clock)):
        shop = row_of(batch, b)
        own = table[b if table.shape[0] > 1 else 0]
        now = clock[b]
        seed = seeds[b]
        steps = 0
        while True:
            action, seed = choose(shop, now, rules, options, own, seed)
            if action < 0:
                break
            if action < jobs:
                load(shop, action, now, rules.blocking)
            if steps < actions.shape[1]:
                actions[b, steps] = action
            steps += 1
            now, ending, _ = settle(shop, now, action == jobs, rules)
            if ending != DECISION:
                deadlock[b] = ending == DEADLOCK
                break
        clock[b] = now
        count[b] = steps
