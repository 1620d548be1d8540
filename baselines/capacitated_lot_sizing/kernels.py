"""Numba kernel of the capacity repair that the capacitated lot-sizing rules share."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, error_model="numpy")
def fit(
    demand,
    capacity,
    unit_time,
    setup_time,
    setup_cost,
    holding_cost,
    lost_sales_cost,
    inventory,
    period,
    target,
    quantity,
):
    """Fill ``quantity`` (B, n) with lots that fit; see :class:`..rules.LotRule`.

    ``target`` (B, n) is the stock that the rule wants before the period's demand; the other
    arguments are the fields of the instance, (B | 1, ...), and of the state.
    """
    rows, n = inventory.shape
    periods = demand.shape[1]
    need, wish, score = np.empty(n), np.empty(n), np.empty(n)
    for b in range(rows):
        d = demand[b if demand.shape[0] > 1 else 0]
        cap = capacity[b if capacity.shape[0] > 1 else 0]
        a = unit_time[b if unit_time.shape[0] > 1 else 0]
        tau = setup_time[b if setup_time.shape[0] > 1 else 0]
        setup = setup_cost[b if setup_cost.shape[0] > 1 else 0]
        holding = holding_cost[b if holding_cost.shape[0] > 1 else 0]
        lost = lost_sales_cost[b if lost_sales_cost.shape[0] > 1 else 0]
        now = period[b]
        if now >= periods:  # the episode is over
            quantity[b] = 0.0
            continue
        left = cap[now]

        # 1. What the period itself needs, the most lost sales saved per time first.
        for i in range(n):
            quantity[b, i] = 0.0
            short = d[now, i] - inventory[b, i]
            # Stock made for this period may be short by rounding; that is no reason for a lot.
            need[i] = short if short > 1e-9 * d[now, i] else 0.0
            wish[i] = max(target[b, i] - inventory[b, i], need[i])
            worth = need[i] > 0 and lost[i] * wish[i] > setup[i]
            score[i] = lost[i] * need[i] / (tau[i] + a[i] * need[i]) if worth else 0.0
        for _ in range(n):
            i = int(np.argmax(score))
            if score[i] <= 0:
                break
            score[i] = 0.0
            units = min(need[i], (left - tau[i]) / a[i])
            if units > 0:
                quantity[b, i] = units
                left -= tau[i] + a[i] * units

        # 2. Those lots grow to their targets, the most setup cost per time first.
        for i in range(n):
            more = wish[i] - quantity[b, i]
            grows = quantity[b, i] > 0 and more > 0
            score[i] = (1.0 + setup[i]) / (a[i] * more) if grows else 0.0
        for _ in range(n):
            i = int(np.argmax(score))
            if score[i] <= 0:
                break
            score[i] = 0.0
            units = min(wish[i] - quantity[b, i], left / a[i])
            quantity[b, i] += units
            left -= a[i] * units

        # 3. Time left over makes what coming periods will have no time for.
        _build_ahead(d, cap, a, tau, holding, inventory[b], now, left, quantity[b])


@numba.njit(cache=True, error_model="numpy")
def _build_ahead(d, cap, a, tau, holding, inventory, now, left, quantity):
    """Grow the lots of this period while time is left and the coming periods lack it."""
    periods, n = d.shape
    stock = np.empty(n)
    # Net demand of the coming periods, and the largest shortage of time up to any of them.
    net = np.zeros((periods, n))
    for i in range(n):
        stock[i] = max(inventory[i] + quantity[i] - d[now, i], 0.0)
    shortage, load = 0.0, 0.0
    for t in range(now + 1, periods):
        for i in range(n):
            net[t, i] = max(d[t, i] - stock[i], 0.0)
            stock[i] = max(stock[i] - d[t, i], 0.0)
            if net[t, i] > 0:
                load += tau[i] + a[i] * net[t, i]
        load -= cap[t]
        shortage = max(shortage, load)
    order = np.argsort(holding / a)
    for t in range(now + 1, periods):
        for i in order:
            if quantity[i] > 0 and net[t, i] > 0:
                time = min(left, shortage, a[i] * net[t, i])
                if time <= 0:
                    return
                whole = time >= a[i] * net[t, i]
                quantity[i] += time / a[i]
                left -= time
                # The setup that a whole demand would have needed is saved as well.
                shortage -= time + (tau[i] if whole else 0.0)
