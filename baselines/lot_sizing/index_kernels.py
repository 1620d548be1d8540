"""Numba kernels of the index policy: local search on the items' post-decision values."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np


class Tables(NamedTuple):
    """Data of one instance and the post-decision values of its items.

    ``values[t, first[i] + column * rows[i] + stock]`` is the value of item i after the decision of
    period t. ``column[offset[i] + mask]`` finds the column of a set of machines, -1 for sets
    that are too large to be stored; ``bit[m, i]`` is machine m's bit in it, 0 if it cannot make i.
    """

    values: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    column: np.ndarray
    offset: np.ndarray
    bit: np.ndarray
    output: np.ndarray
    loss: np.ndarray
    setup_cost: np.ndarray


@numba.njit(cache=True, nogil=True, error_model="numpy")
def item_value(tables, t, i, stock, mask):
    """Post-decision value of item i; inf for sets of machines that are not stored."""
    column = tables.column[tables.offset[i] + mask]
    if column < 0:
        return np.inf
    rows = tables.rows[i]
    return tables.values[t, tables.first[i] + column * rows + min(stock, rows - 1)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def made_by(tables, setup, m, i):
    """Units and setup cost if machine m, set up for ``setup`` (0 = none), makes item i."""
    if setup == i + 1:
        return tables.output[m, i], 0.0
    return tables.output[m, i] - tables.loss[m, i], tables.setup_cost[m, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add(tables, t, setup, action, stock, mask, value):
    """Fill post-decision stocks, masks and values (n,) of a decision and return its setup cost.

    ``stock`` holds the stocks before the decision. Machines that cannot make their item, or are
    too many on it, are made idle in ``action``.
    """
    cost = 0.0
    mask[:] = 0
    for m in range(action.shape[0]):
        i = action[m] - 1
        if i < 0:
            continue
        bit = tables.bit[m, i]
        if bit == 0 or tables.column[tables.offset[i] + (mask[i] | bit)] < 0:
            action[m] = 0
            continue
        units, setup_cost = made_by(tables, setup[m], m, i)
        stock[i] += units
        mask[i] |= bit
        cost += setup_cost
    for i in range(stock.shape[0]):
        value[i] = item_value(tables, t, i, stock[i], mask[i])
    return cost


@numba.njit(cache=True, nogil=True, error_model="numpy")
def change_values(tables, t, setup, action, stock, mask, value, change):
    """Fill ``change`` (M, n + 1): what giving machine m item a (0 = idle) instead adds to cost.

    Items that a machine cannot make, and its present one, get inf.
    """
    machines, items = tables.bit.shape
    change[:] = np.inf
    for m in range(machines):
        now = action[m] - 1
        base = 0.0
        if now >= 0:
            units, cost = made_by(tables, setup[m], m, now)
            rest = item_value(tables, t, now, stock[now] - units, mask[now] ^ tables.bit[m, now])
            base = rest - value[now] - cost
            change[m, 0] = base
        for i in range(items):
            bit = tables.bit[m, i]
            if i == now or bit == 0:
                continue
            units, cost = made_by(tables, setup[m], m, i)
            with_it = item_value(tables, t, i, stock[i] + units, mask[i] | bit)
            change[m, i + 1] = base + cost + with_it - value[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def descend(tables, t, setup, action, stock, mask, value, change):
    """Take the best change of one machine until none lowers the cost; ``action`` is the start.

    ``stock`` (n,) holds the stocks before the decision; the other arrays are scratch space, and
    all describe the final decision afterwards. Returns its setup cost.
    """
    cost = add(tables, t, setup, action, stock, mask, value)
    while True:
        change_values(tables, t, setup, action, stock, mask, value, change)
        place = change.argmin()
        m, new = place // change.shape[1], place % change.shape[1]
        # Rounding must not let two decisions take turns.
        if change[m, new] > -1e-9:
            return cost
        for i, sign in ((action[m] - 1, -1), (new - 1, 1)):
            if i < 0:
                continue
            units, setup_cost = made_by(tables, setup[m], m, i)
            stock[i] += sign * units
            cost += sign * setup_cost
            mask[i] ^= tables.bit[m, i]
            value[i] = item_value(tables, t, i, stock[i], mask[i])
        action[m] = new


@numba.njit(cache=True, nogil=True, error_model="numpy")
def index_policy(tables, inventory, setup, period, action):
    """Fill decisions (B, M) of :class:`baselines.lot_sizing.index_policy.IndexPolicy`."""
    machines, items = tables.bit.shape
    stock = np.empty(items, np.int64)
    mask = np.empty(items, np.int64)
    value = np.empty(items)
    change = np.empty((machines, items + 1))
    for b in range(len(action)):
        stock[:] = inventory[b]
        action[b] = setup[b]
        descend(tables, period[b], setup[b], action[b], stock, mask, value, change)
