"""Numba kernels of the knapsack in mode "bq", behind the same function names.

They state the equations of :mod:`or_envs.knapsack.problem` a second time, for speed only;
``check_problem`` compares the two on random episodes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import Any

import numba
import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.knapsack.problem import Knapsack, KnapsackInstance, KnapsackState


class CompiledKnapsack(Knapsack):
    """A knapsack on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: Knapsack) -> None:
        self.__dict__.update(problem.__dict__)

    def post_decision(
        self, instance: KnapsackInstance, state: KnapsackState, action: Array
    ) -> tuple[KnapsackState, Array]:
        """Compiled form of :meth:`Knapsack.post_decision`."""
        remaining, left, stopped, reward = _pack(
            instance.value, instance.weight, state.remaining, state.left, action
        )
        return KnapsackState(remaining, left, state.visits, stopped), reward

    def transition(
        self, instance: KnapsackInstance, post_state: KnapsackState, exogenous: Arrays | None
    ) -> tuple[KnapsackState, Array, Array]:
        """Compiled form of :meth:`Knapsack.transition`."""
        over = _over(post_state.remaining, post_state.over)
        return post_state, np.zeros(len(post_state.left)), over

    def action_mask(self, instance: KnapsackInstance, state: KnapsackState) -> Array:
        """Compiled form of :meth:`Knapsack.action_mask`."""
        return _fits(state.remaining)

    def observation(self, instance: KnapsackInstance, state: KnapsackState) -> dict[str, Any]:
        """Compiled form of :meth:`Knapsack.observation`."""
        value, weight, remaining, left = _seen(
            instance.value, instance.weight, state.remaining, state.left
        )
        return {"value": value, "weight": weight, "remaining": remaining, "left": left}


@numba.njit(cache=True)
def _pack(value, weight, remaining, left, action):
    rows, items = remaining.shape
    after = np.empty((rows, items), np.bool_)
    rest = np.empty(rows)
    stopped = np.empty(rows, np.bool_)
    reward = np.empty(rows)
    for b in range(rows):
        item = action[b]
        stopped[b] = item == items
        if stopped[b]:
            rest[b] = left[b]
            reward[b] = 0.0
        else:
            rest[b] = max(left[b] - weight[b, item], 0.0)
            reward[b] = value[b, item]
        for k in range(items):
            after[b, k] = remaining[b, k] & (weight[b, k] <= rest[b])
        if not stopped[b]:
            after[b, item] = False
    return after, rest, stopped, reward


@numba.njit(cache=True)
def _over(remaining, stopped):
    over = np.empty(len(remaining), np.bool_)
    for b in range(len(remaining)):
        over[b] = True
        if not stopped[b]:
            for k in range(remaining.shape[1]):
                if remaining[b, k]:
                    over[b] = False
                    break
    return over


@numba.njit(cache=True)
def _fits(remaining):
    rows, items = remaining.shape
    mask = np.empty((rows, items + 1), np.bool_)
    for b in range(rows):
        stop = True
        for k in range(items):
            mask[b, k] = remaining[b, k]
            stop &= not remaining[b, k]
        mask[b, items] = stop
    return mask


@numba.njit(cache=True, error_model="numpy")
def _seen(value, weight, remaining, left):
    rows, items = remaining.shape
    shown = np.zeros((rows, items), np.float32)
    heavy = np.zeros((rows, items), np.float32)
    there = np.zeros((rows, items), np.float32)
    share = np.empty((rows, 1), np.float32)
    for b in range(rows):
        dearest, heaviest = value[b, 0], weight[b, 0]
        for k in range(items):
            dearest = max(dearest, value[b, k])
            heaviest = max(heaviest, weight[b, k])
        share[b, 0] = min(left[b] / (items * heaviest), 1.0)
        for k in range(items):
            if remaining[b, k]:
                there[b, k] = 1.0
                shown[b, k] = value[b, k] / dearest
                heavy[b, k] = weight[b, k] / heaviest
    return shown, heavy, there, share
