"""Numba kernels of the rollout: what a first decision costs when the index policy follows."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from baselines.lot_sizing.index_kernels import add, change_values, descend


@numba.njit(cache=True, nogil=True, error_model="numpy")
def path_cost(
    tables, lost_sales_cost, holding_cost, cap, t, inventory, setup, first, demand, scratch
):
    """Cost of decision ``first`` and of the index policy after it on one path (H, n).

    After H periods, or at the end of the episode, the index policy decides a last time and its
    items' post-decision values stand for the rest.
    """
    stock, before, action, mask, value, change = scratch
    stock[:] = inventory
    action[:] = first
    cost = add(tables, t, setup, action, stock, mask, value)
    for h in range(demand.shape[0]):
        for i in range(stock.shape[0]):
            left = stock[i] - demand[h, i]
            if left < 0:
                cost -= lost_sales_cost[i] * left
            stock[i] = min(max(left, 0), cap[i])
            cost += holding_cost[i] * stock[i]
        t += 1
        if t == tables.values.shape[0]:
            return cost
        before[:] = action
        cost += descend(tables, t, before, action, stock, mask, value, change)
    return cost + value.sum()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def improve(
    tables,
    lost_sales_cost,
    holding_cost,
    cap,
    t,
    inventory,
    setup,
    demand,
    candidates,
    rounds,
    action,
):
    """Improve the index policy's decision ``action`` (M,) by rollouts on ``demand`` (K, H, n).

    Of all changes of one machine the ``candidates`` best by index value race: all are rolled out
    on the first K / 2^(rounds - 1) paths, the better half on twice as many, and so on. The winner
    is taken if it saves more than one standard error, and the race starts again from it.
    """
    machines, items = tables.bit.shape
    paths = demand.shape[0]
    stock = np.empty(items, np.int64)
    mask = np.empty(items, np.int64)
    value = np.empty(items)
    change = np.empty((machines, items + 1))
    scratch = (
        np.empty(items, np.int64),
        np.empty(machines, np.int64),
        np.empty(machines, np.int64),
        mask,
        value,
        np.empty((machines, items + 1)),
    )
    trial = np.empty(machines, np.int64)
    for _ in range(machines):
        stock[:] = inventory
        add(tables, t, setup, action, stock, mask, value)
        change_values(tables, t, setup, action, stock, mask, value, change)
        flat = change.ravel()
        live = np.argsort(flat)[:candidates]
        live = live[np.isfinite(flat[live])]
        if len(live) == 0:
            return
        total = np.zeros(len(live))
        squares = np.zeros(len(live))
        done = 0
        for lap in range(rounds):
            until = max(1, paths >> (rounds - 1 - lap))
            for k in range(done, until):
                base = path_cost(
                    tables, lost_sales_cost, holding_cost, cap, t, inventory, setup, action,
                    demand[k], scratch,
                )  # fmt: skip
                for c in range(len(live)):
                    trial[:] = action
                    trial[live[c] // (items + 1)] = live[c] % (items + 1)
                    saved = base - path_cost(
                        tables, lost_sales_cost, holding_cost, cap, t, inventory, setup, trial,
                        demand[k], scratch,
                    )  # fmt: skip
                    total[c] += saved
                    squares[c] += saved**2
            done = until
            if lap < rounds - 1:
                best = np.argsort(-total)[: max(1, len(live) // 2)]
                live, total, squares = live[best], total[best], squares[best]
        winner = total.argmax()
        # The noise of the sum, K paths times their variance.
        noise = np.sqrt(max(0.0, squares[winner] - total[winner] ** 2 / paths))
        if total[winner] <= max(noise, 1e-9 * paths):
            return
        action[live[winner] // (items + 1)] = live[winner] % (items + 1)
