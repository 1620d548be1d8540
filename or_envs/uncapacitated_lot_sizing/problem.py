"""Uncapacitated lot-sizing of one item with known demand (Wagner-Whitin)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.problem import Problem
from or_envs.core.random import Generators
from or_envs.uncapacitated_lot_sizing.instances import (
    UncapacitatedLotSizingInstance,
    generate,
    load,
)
from or_envs.uncapacitated_lot_sizing.periods import at_period, from_period, one_if_zero


@dataclasses.dataclass(frozen=True)
class UncapacitatedLotSizingState(Arrays):
    """What has been produced, told in periods: stock is the demand of periods t..covered - 1.

    Whole numbers, so that no rounding decides what is allowed; see
    :meth:`UncapacitatedLotSizing.stock`.

    Attributes
    ----------
    covered
        Periods 0..covered - 1 have their demand produced, integers t..T, (B,).
    period
        Periods played t, integers (B,).
    """

    covered: Array
    period: Array


class UncapacitatedLotSizing(
    Problem[UncapacitatedLotSizingInstance, UncapacitatedLotSizingState, Arrays]
):
    """When to produce, and for how many periods, at least cost?

    Demand d_t is known and must be met on time; a period with production pays the setup cost K_t
    and c_t per unit, and stock at the end of a period pays h_t per unit. The store starts empty::

        min  sum_t K_t y_t + c_t x_t + h_t s_t,   s_{t-1} + x_t = d_t + s_t

    A lot fills the stock up to the demand of a whole number of periods. By the zero-inventory
    property (some optimal plan produces only when stock is zero) such plans contain an optimum.
    Producing before the stock is used up is allowed, and never needed.

    - Action: Discrete(T + 1). 0 = produce nothing; k = produce as much as makes the stock the
      demand of this and the next k - 1 periods. Allowed are 0 when stock meets the period's
      demand, and every k that stays within the horizon and produces something.
    - Observation: float32 in [0, 1]: demand, setup cost, unit cost and holding cost of this and
      the coming periods (T each, 0 beyond the end), periods that stock covers / T, and t / T.
      Demand is divided by its maximum d; unit and holding costs are multiplied by d, and then all
      costs are divided by the largest of them, so units of goods and money play no role.
    - Reward: minus setup and unit cost (decision), minus holding cost (outcome); money.
    - End: terminated after T periods. Nothing is random but the instance.
    - A masked action ends the episode; the penalty is a setup in every period that is left, what
      is not yet produced at the highest unit cost, and all demand to come held from now on.

    Parameters
    ----------
    instance
        "random" for a new one in every episode (see
        :func:`or_envs.uncapacitated_lot_sizing.instances.generate`), or a shipped name (see
        :data:`or_envs.uncapacitated_lot_sizing.instances.NAMES`).
    horizon
        Periods T of random instances (default 12); refused for any other.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    drawing: ClassVar[str | None] = "or_envs.uncapacitated_lot_sizing.rendering:draw"

    def __init__(self, instance: str = "random", horizon: int | None = None) -> None:
        self._data: UncapacitatedLotSizingInstance | None = None
        if instance == "random":
            self.horizon = 12 if horizon is None else horizon
            if not isinstance(self.horizon, int) or self.horizon < 1:
                raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        else:
            if horizon is not None:
                raise ValueError("horizon: allowed only with instance='random'")
            self._data = load(instance)
            self.horizon = self._data.demand.shape[1]
        self.max_steps = self.horizon
        self.action_space = gym.spaces.Discrete(self.horizon + 1)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (4 * self.horizon + 2,), np.float32)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> UncapacitatedLotSizingInstance:
        """Draw random instances, or repeat the named one."""
        if self._data is None:
            return generate(self.horizon, rngs)
        demand = np.repeat(self._data.demand, len(rngs), axis=0)
        return dataclasses.replace(self._data, demand=demand)

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: UncapacitatedLotSizingInstance) -> UncapacitatedLotSizingState:
        """Start with an empty store."""
        demand = instance.demand
        xp = array_namespace(demand)
        zero = xp.zeros(demand.shape[0], dtype=xp.int64, device=demand.device)
        return UncapacitatedLotSizingState(zero, xp.asarray(zero, copy=True))

    def post_decision(
        self,
        instance: UncapacitatedLotSizingInstance,
        state: UncapacitatedLotSizingState,
        action: Array,
    ) -> tuple[UncapacitatedLotSizingState, Array]:
        """Pay setup and production, and fill the stock up."""
        xp = array_namespace(instance.demand)
        asked = xp.where(action > 0, state.period + action, state.covered)
        covered = xp.where(asked > state.covered, asked, state.covered)
        quantity = _demand_between(xp, instance, state.covered, covered)
        setup_cost = at_period(xp, instance.setup_cost, state.period)
        setup = xp.where(quantity > 0, setup_cost, xp.zeros_like(setup_cost))
        cost = setup + at_period(xp, instance.unit_cost, state.period) * quantity
        return UncapacitatedLotSizingState(covered, state.period), -cost

    def transition(
        self,
        instance: UncapacitatedLotSizingInstance,
        post_state: UncapacitatedLotSizingState,
        exogenous: Arrays | None,
    ) -> tuple[UncapacitatedLotSizingState, Array, Array]:
        """Serve the period's demand and pay holding cost on the rest."""
        xp = array_namespace(instance.demand)
        period = post_state.period + 1
        # Stock may end before t + 1 only where the period has no demand.
        covered = xp.where(post_state.covered > period, post_state.covered, period)
        state = UncapacitatedLotSizingState(covered, period)
        cost = at_period(xp, instance.holding_cost, post_state.period) * self.stock(instance, state)
        return state, -cost, period >= self.horizon

    def stock(
        self, instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
    ) -> Array:
        """Units in stock, (B,)."""
        xp = array_namespace(instance.demand)
        return _demand_between(xp, instance, state.period, state.covered)

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(
        self, instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
    ) -> Array:
        """Data from this period on; see the class."""
        xp = array_namespace(instance.demand)
        number = instance.demand.dtype
        largest = xp.max(instance.demand, axis=1, keepdims=True)
        values = [
            instance.demand,
            instance.setup_cost,
            instance.unit_cost * largest,
            instance.holding_cost * largest,
        ]
        # One row per instance, whichever of the fields are shared.
        dearest = [xp.max(value + 0 * largest, axis=1) for value in values[1:]]
        money = xp.max(xp.stack(dearest, axis=1), axis=1, keepdims=True)
        scales = [one_if_zero(xp, largest), *[one_if_zero(xp, money)] * 3]
        parts: list[Array] = [
            from_period(xp, value / scale, state.period)
            for value, scale in zip(values, scales, strict=True)
        ]
        parts.extend(
            xp.astype(count, number)[:, None] / self.horizon
            for count in (state.covered - state.period, state.period)
        )
        return xp.concat(parts, axis=1)

    def action_mask(
        self, instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
    ) -> Array:
        """Nothing if stock suffices, and lots that hold something and end in time, (B, T + 1)."""
        xp = array_namespace(instance.demand)
        number = instance.demand.dtype
        ends = xp.arange(1, self.horizon + 1, dtype=state.period.dtype, device=state.period.device)
        # Demand of periods covered..end - 1, for ends 1..T: what a lot up to there would hold.
        waiting = instance.demand * xp.astype(ends > state.covered[:, None], number)
        holds = xp.cumulative_sum(waiting, axis=1) > 0
        upto = state.period[:, None] + ends
        inside = upto <= self.horizon
        column = xp.where(inside, upto - 1, xp.zeros_like(upto))
        lots = gather(xp, holds, column) & inside
        last = state.period >= self.horizon
        now = at_period(xp, instance.demand, state.period)
        idle = (state.covered > state.period) | (now <= 0) | last
        return xp.concat([idle[:, None], lots], axis=1)

    def worst_completion(
        self, instance: UncapacitatedLotSizingInstance, state: UncapacitatedLotSizingState
    ) -> Array:
        """Every remaining period at its dearest; see the class."""
        xp = array_namespace(instance.demand)
        number = instance.demand.dtype
        periods = xp.arange(self.horizon, dtype=state.period.dtype, device=state.period.device)
        left = xp.astype(periods >= state.period[:, None], number)
        end = xp.full_like(state.period, self.horizon)
        demand = _demand_between(xp, instance, state.period, end)
        setups = xp.sum(instance.setup_cost * left, axis=1)
        held = xp.sum(instance.holding_cost * left, axis=1) * demand
        made = _demand_between(xp, instance, state.covered, end)
        return -(setups + held + xp.max(instance.unit_cost * left, axis=1) * made)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rule and the action."""
        if action == 0:
            return "action 0 produces nothing, but stock does not meet the period's demand"
        return f"action {int(action)} goes beyond the last period, or stock covers it already"


def _demand_between(
    xp: Any, instance: UncapacitatedLotSizingInstance, first: Array, end: Array
) -> Array:
    """Demand of periods first..end - 1, (B,)."""
    demand = instance.demand
    periods = xp.arange(demand.shape[1], dtype=first.dtype, device=first.device)
    inside = (periods >= first[:, None]) & (periods < end[:, None])
    return xp.sum(demand * xp.astype(inside, demand.dtype), axis=1)
