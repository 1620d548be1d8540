"""Compiled checks of action batches. Handing arrays back is slow, so they fill given ones."""

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
def masked(mask, actions, offsets, illegal):
    """Mark in ``illegal``, bool (B,), the rows that hold a masked action; return whether any."""
    found = False
    for row in range(actions.shape[0]):
        allowed = mask[row if mask.shape[0] > 1 else 0]
        illegal[row] = False
        for j in range(actions.shape[1]):
            if not allowed[offsets[j] + actions[row, j]]:
                illegal[row] = True
                found = True
    return found


@numba.njit(cache=True)
def advance(steps, frozen, terminated, limit, truncated, over):
    """Count a step in every row that is not frozen; a row is cut at ``limit`` if that is > 0.

    Writes ``steps``, ``truncated`` and ``over``, each (B,), and returns whether any row is over.
    """
    found = False
    for row in range(steps.shape[0]):
        if not frozen[row]:
            steps[row] += 1
        truncated[row] = limit > 0 and steps[row] >= limit and not terminated[row]
        over[row] = terminated[row] or truncated[row]
        found |= over[row]
    return found


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
