"""Compiled checks of action batches."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def outside(actions, sizes):
    """Return the first row with a component outside 0..size - 1, or -1; actions (B, J)."""
    for row in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            if actions[row, j] < 0 or actions[row, j] >= sizes[j]:
                return row
    return -1


@numba.njit(cache=True)
def masked(mask, actions, offsets):
    """Return which rows hold a masked action, bool (B,), and whether any does."""
    rows = actions.shape[0]
    illegal = np.zeros(rows, np.bool_)
    found = False
    for row in range(rows):
        allowed = mask[row if mask.shape[0] > 1 else 0]
        for j in range(actions.shape[1]):
            if not allowed[offsets[j] + actions[row, j]]:
                illegal[row] = True
                found = True
    return illegal, found


@numba.njit(cache=True)
def advance(steps, frozen, terminated, limit):
    """Count a step in every row that is not frozen; a row is cut at ``limit`` if that is > 0.

    Returns the new counts, which rows are truncated, which are over, and whether any is.
    """
    rows = steps.shape[0]
    counts = steps.copy()
    truncated = np.zeros(rows, np.bool_)
    over = np.zeros(rows, np.bool_)
    found = False
    for row in range(rows):
        if not frozen[row]:
            counts[row] += 1
        truncated[row] = limit > 0 and counts[row] >= limit and not terminated[row]
        over[row] = terminated[row] or truncated[row]
        found |= over[row]
    return counts, truncated, over, found


@numba.njit(cache=True)
def pick_allowed(draws, mask, sizes, offsets):
    """Return the allowed action that each uniform draw (B, J) falls on, component by component."""
    rows, components = draws.shape
    actions = np.zeros((rows, components), np.int64)
    for row in range(rows):
        allowed = mask[row if mask.shape[0] > 1 else 0]
        for j in range(components):
            count = 0
            for k in range(sizes[j]):
                count += allowed[offsets[j] + k]
            left = int(draws[row, j] * count)
            for k in range(sizes[j]):
                if allowed[offsets[j] + k]:
                    if left == 0:
                        actions[row, j] = k
                        break
                    left -= 1
    return actions
