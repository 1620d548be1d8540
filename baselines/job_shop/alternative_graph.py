"""Earliest starts of given machine orders (Mascis and Pacciarelli's alternative graph, 2002)."""

from __future__ import annotations

import itertools

from baselines.job_shop.shop import Orders, Shop


def earliest_starts(shop: Shop, orders: Orders) -> list[int] | None:
    """Starts in ticks, all as early as the orders allow; ``None`` if they allow no schedule.

    With swaps, a circle of moves that wait for nothing but one another happens at one instant;
    without, it is a deadlock.
    """
    # The next operation of a machine is enough: the ones after it are later still.
    arcs = [
        (o, after, shop.duration[o]) for o, after in enumerate(shop.successor) if after is not None
    ]
    for order in orders:
        for a, b in itertools.pairwise(order):
            if shop.begun[b]:
                return None
            arcs += [(o, b, lag) for o, lag in shop.lags(a, b)]
    if shop.blocking == "no_swap":
        return _acyclic(shop, arcs)
    start = shop.heads()
    for _ in range(shop.size + 1):
        changed = False
        for a, b, lag in arcs:
            if start[a] + lag > start[b]:
                start[b] = start[a] + lag
                changed = True
        if not changed:
            return start
    return None  # a circle of positive length


def _acyclic(shop: Shop, arcs: list[tuple[int, int, int]]) -> list[int] | None:
    """Starts by one pass in topological order; ``None`` if there is no such order."""
    leaving: list[list[tuple[int, int]]] = [[] for _ in range(shop.size)]
    waits = [0] * shop.size
    for a, b, lag in arcs:
        leaving[a].append((b, lag))
        waits[b] += 1
    start = shop.heads()
    ready = [o for o in range(shop.size) if not waits[o]]
    for a in ready:  # grows while it is walked through
        for b, lag in leaving[a]:
            start[b] = max(start[b], start[a] + lag)
            waits[b] -= 1
            if not waits[b]:
                ready.append(b)
    return start if len(ready) == shop.size else None


def makespan(shop: Shop, start: list[int]) -> int:
    """Ticks until the last job is done."""
    return max((start[o] + shop.duration[o] for o in shop.last), default=0)
