"""Numba kernels of the rules.

The greedy cover rule takes the best (machine, item) pair up to M times per decision, which numpy
can batch only by scoring all M * n pairs M times. Here an item's gain can only fall when stock is
added to it, so after a pair is taken only the machines whose favourite was that item look again;
tuning on thousands of episodes takes seconds instead of minutes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, error_model="numpy")
def greedy_cover(
    production,
    setup_cost,
    setup_loss,
    lost_sales_cost,
    mean_demand,
    inventory,
    setup,
    cover,
    setup_weight,
    stay_bonus,
):
    """Decisions (B, M) of :class:`baselines.lot_sizing.rules.GreedyCover`.

    Instance data may have one row for the whole batch; the parameters have shape (B,).
    """
    rows, machines = setup.shape
    items = inventory.shape[1]
    shared = production.shape[0] == 1
    actions = np.zeros((rows, machines), np.int64)
    stock = np.empty(items)
    favourite = np.empty(machines, np.int64)
    gain = np.empty(machines)
    for b in range(rows):
        data = 0 if shared else b
        for i in range(items):
            stock[i] = inventory[b, i]
        for m in range(machines):
            favourite[m] = -2  # not looked at yet
        changed = -2
        for _ in range(machines):
            chosen = -1
            for m in range(machines):
                if actions[b, m] > 0:
                    continue
                if favourite[m] == changed:
                    favourite[m] = -1
                    gain[m] = 0.0
                    for i in range(items):
                        output = production[data, m, i]
                        if output <= 0.0:
                            continue
                        value = stay_bonus[b]
                        if setup[b, m] != i + 1:
                            output -= min(setup_loss[data, m, i], output)
                            value = -setup_weight[b] * setup_cost[data, m, i]
                        wanted = cover[b] * mean_demand[data, i]
                        value += lost_sales_cost[data, i] * (
                            min(stock[i] + output, wanted) - min(stock[i], wanted)
                        )
                        if value > gain[m]:
                            gain[m] = value
                            favourite[m] = i
                if favourite[m] >= 0 and (chosen < 0 or gain[m] > gain[chosen]):
                    chosen = m
            if chosen < 0:
                break
            changed = favourite[chosen]
            output = production[data, chosen, changed]
            if setup[b, chosen] != changed + 1:
                output -= min(setup_loss[data, chosen, changed], output)
            stock[changed] += output
            actions[b, chosen] = changed + 1
    return actions


@numba.njit(cache=True, error_model="numpy")
def start_and_stop(
    production, setup_cost, lost_sales_cost, mean_demand, inventory, setup, start_at, stop_at
):
    """Decisions (B, M) of :class:`baselines.lot_sizing.s_s.StartStop`.

    Instance data may have one row for the whole batch; the thresholds have shape (B, n).
    """
    rows, machines = setup.shape
    items = inventory.shape[1]
    shared = production.shape[0] == 1
    actions = np.zeros((rows, machines), np.int64)
    made = np.empty(items, np.bool_)
    for b in range(rows):
        data = 0 if shared else b
        made[:] = False
        free = 0
        for m in range(machines):
            i = setup[b, m] - 1
            if i >= 0 and production[data, m, i] > 0.0 and inventory[b, i] < stop_at[b, i]:
                actions[b, m] = i + 1
                made[i] = True
            else:
                free += 1
        while free > 0:
            item, machine, priority = -1, -1, 0.0
            for i in range(items):
                if made[i] or inventory[b, i] > start_at[b, i]:
                    continue
                value = lost_sales_cost[data, i] * mean_demand[data, i] / (1.0 + inventory[b, i])
                if value > priority:
                    cheapest = np.inf
                    for m in range(machines):
                        output = production[data, m, i]
                        if actions[b, m] > 0 or output <= 0.0:
                            continue
                        cost = setup_cost[data, m, i] / output
                        if cost < cheapest:
                            cheapest, item, machine, priority = cost, i, m, value
            if item < 0:
                break
            actions[b, machine] = item + 1
            made[item] = True
            free -= 1
    return actions
