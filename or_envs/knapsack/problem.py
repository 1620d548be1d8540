"""0-1 knapsack problem (KP)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.options import force, require
from or_envs.core.problem import Problem
from or_envs.core.random import Generators
from or_envs.knapsack.generators import FAMILIES, draw
from or_envs.routing.modes import Mode, check_mode, record_visit, unit_spaces


@dataclasses.dataclass(frozen=True)
class KnapsackInstance(Arrays):
    """Items and a knapsack.

    Attributes
    ----------
    value
        (B, N), > 0.
    weight
        (B, N), > 0.
    capacity
        Largest total weight, (B,).
    """

    value: Array
    weight: Array
    capacity: Array


@dataclasses.dataclass(frozen=True)
class KnapsackState(Arrays):
    """Items that still fit, and the capacity left.

    Attributes
    ----------
    remaining
        Items neither packed nor too heavy, bool (B, N).
    left
        Capacity left, (B,).
    visits
        In direct mode, the step in which each item was packed, 0 if not yet, integers (B, N); else
        (B, 0).
    over
        Whether the packer stopped, bool (B,).
    """

    remaining: Array
    left: Array
    visits: Array
    over: Array


class Knapsack(Problem[KnapsackInstance, KnapsackState, Arrays]):
    """Pack items of the largest total value whose weight is at most the capacity.

    - Action: Discrete(N + 1). 0..N - 1 packs an item that fits; N stops, always allowed in mode
      "direct", in mode "bq" (arXiv 2301.03313) only where nothing fits.
    - Observation, mode "bq": the tail sub-problem only. Dict of float32 "value" (N,) and "weight"
      (N,) as shares of the instance's largest, both zero where items are packed or too heavy,
      "remaining" (N,), and "left" (1,), the capacity left in units of N times the largest weight,
      at most 1.
    - Observation, mode "direct": "value" and "weight" of all items, "remaining", "left", and
      "visits" (N,), when an item was packed as a share of N (0: not yet).
    - Reward: the item's value, in its own units.
    - End: terminated when nothing fits ("bq"), or at the stop.
    - ``reset(options=...)``: "value" (N,), "weight" (N,), "capacity" (), or these with a batch
      axis.
    - A masked action ends the episode with reward 0.

    Parameters
    ----------
    num_items
        N >= 1.
    family
        "uniform": values and weights uniform on (0, 1), and a capacity of 12.5 up to 99 items and
        25 from 100 on, as in POMO and Jumanji. Else whole numbers up to 1000 by Pisinger (2005):
        "uncorrelated", "weakly_correlated", "strongly_correlated", "inverse_strongly_correlated",
        "almost_strongly_correlated", "subset_sum"; capacity h / 101 of the total weight for h
        uniform on 1..100. "integers": values and weights uniform on 1..998, capacity 25,000, as in
        BQ-NCO.
    capacity
        Replaces the family's, > 0.
    mode
        "bq" or "direct".

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    option_keys: ClassVar[tuple[str, ...]] = ("value", "weight", "capacity")
    drawing: ClassVar[str | None] = "or_envs.knapsack.rendering:draw"

    def __init__(
        self,
        num_items: int = 50,
        family: str = "uniform",
        capacity: float | None = None,
        mode: Mode = "bq",
    ) -> None:
        check_mode(mode)
        if not isinstance(num_items, int) or num_items < 1:
            raise ValueError(f"num_items: expected an integer >= 1, got {num_items!r}")
        if family not in FAMILIES:
            raise ValueError(f"family: expected one of {', '.join(FAMILIES)}, got {family!r}")
        if capacity is not None and not 0 < capacity < np.inf:
            raise ValueError(f"capacity: expected a number > 0, got {capacity!r}")
        self.num_items = num_items
        self.family = family
        self.capacity = capacity
        self.mode: Mode = mode
        direct = mode == "direct"
        self.max_steps = num_items + 1 if direct else num_items
        self.action_space = gym.spaces.Discrete(num_items + 1)

        self.observation_space = unit_spaces(
            mode,
            num_items,
            value=(num_items,),
            weight=(num_items,),
            remaining=(num_items,),
            left=(1,),
        )

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> KnapsackInstance:
        """Draw items; see the class."""
        value, weight, capacity = draw(self.family, rngs, self.num_items)
        if self.capacity is not None:
            capacity = np.full(len(rngs), float(self.capacity))
        return KnapsackInstance(value, weight, capacity)

    def apply_options(
        self, instance: KnapsackInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[KnapsackInstance, Arrays | None]:
        """Force data."""
        instance = force(instance, options)
        require(instance.value > 0, "options: 'value'", "> 0", instance.value)
        require(instance.weight > 0, "options: 'weight'", "> 0", instance.weight)
        require(instance.capacity >= 0, "options: 'capacity'", ">= 0", instance.capacity)
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: KnapsackInstance) -> KnapsackState:
        """Start with an empty knapsack."""
        xp = array_namespace(instance.weight)
        num, device = instance.num, instance.weight.device
        columns = self.num_items if self.mode == "direct" else 0
        return KnapsackState(
            instance.weight <= instance.capacity[:, None],
            instance.capacity + xp.zeros_like(instance.weight[:, 0]),
            xp.zeros((num, columns), dtype=xp.int64, device=device),
            xp.zeros(num, dtype=xp.bool, device=device),
        )

    def post_decision(
        self, instance: KnapsackInstance, state: KnapsackState, action: Array
    ) -> tuple[KnapsackState, Array]:
        """Pack the item ``action``, or stop."""
        xp = array_namespace(instance.weight)
        stop = action == self.num_items
        item = xp.where(stop, xp.zeros_like(action), action)
        items = xp.arange(self.num_items, dtype=action.dtype, device=action.device)
        chosen = items[None, :] == action[:, None]
        nothing = xp.zeros_like(state.left)
        left = state.left - xp.where(stop, nothing, gather(xp, instance.weight, item))
        left = xp.maximum(left, nothing)  # below 0 only after the end, where steps mean nothing
        remaining = state.remaining & ~chosen & (instance.weight <= left[:, None])
        visits = record_visit(xp, state.visits, chosen)
        value = xp.where(stop, nothing, gather(xp, instance.value, item))
        return KnapsackState(remaining, left, visits, stop), value

    def transition(
        self, instance: KnapsackInstance, post_state: KnapsackState, exogenous: Arrays | None
    ) -> tuple[KnapsackState, Array, Array]:
        """Nothing random happens; see the class for the end."""
        xp = array_namespace(instance.weight)
        over = post_state.over
        if self.mode == "bq":
            over = over | ~xp.any(post_state.remaining, axis=1)
        return post_state, xp.zeros_like(post_state.left), over

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: KnapsackInstance, state: KnapsackState) -> dict[str, Array]:
        """Show the tail, or everything; see the class."""
        xp = array_namespace(instance.weight)
        remaining = xp.astype(state.remaining, instance.weight.dtype)
        value = instance.value / xp.max(instance.value, axis=1, keepdims=True)
        heaviest = xp.max(instance.weight, axis=1)
        weight = instance.weight / heaviest[:, None]
        share = state.left / (self.num_items * heaviest)
        seen = {
            "value": value * remaining,
            "weight": weight * remaining,
            "remaining": remaining,
            "left": xp.minimum(share, xp.ones_like(share))[:, None],
        }
        if self.mode == "direct":
            seen["value"], seen["weight"] = value, weight
            seen["visits"] = xp.astype(state.visits, weight.dtype) / self.num_items
        return seen

    def action_mask(self, instance: KnapsackInstance, state: KnapsackState) -> Array:
        """Items that fit, and whether stopping is allowed, (B, N + 1)."""
        xp = array_namespace(instance.weight)
        stop = ~xp.any(state.remaining, axis=1, keepdims=True)
        if self.mode == "direct":
            stop = xp.ones_like(stop)
        return xp.concat([state.remaining, stop], axis=1)

    def worst_completion(self, instance: KnapsackInstance, state: KnapsackState) -> Array:
        """Nothing more is packed."""
        return array_namespace(state.left).zeros_like(state.left)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rule and the item."""
        if int(action) == self.num_items:
            return "stopping is allowed only where nothing fits (mode 'bq')"
        return f"item {int(action)} is packed already, or too heavy"

    def compiled(self) -> Knapsack:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not Knapsack or self.mode == "direct":
            return self
        from or_envs.knapsack.kernels import CompiledKnapsack

        return CompiledKnapsack(self)
