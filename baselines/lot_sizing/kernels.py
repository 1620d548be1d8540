"""Numba kernel of the greedy cover rule.

The rule takes the best (machine, item) pair up to M times per decision, which numpy can batch
only by scoring all M * n pairs M times. Here an item's gain can only fall when stock is added to
it, so after a pair is taken only the machines whose favourite was that item look again; tuning on
thousands of episodes takes seconds instead of minutes.
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
