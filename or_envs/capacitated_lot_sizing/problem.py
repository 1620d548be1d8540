"""Capacitated lot-sizing of several items with setup times and lost sales (CLSP)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance, generate
from or_envs.core.arrays import Array, Arrays
from or_envs.core.problem import Problem
from or_envs.core.random import Generators
from or_envs.uncapacitated_lot_sizing.periods import at_period, from_period, one_if_zero


@dataclasses.dataclass(frozen=True)
class CapacitatedLotSizingState(Arrays):
    """Stock and time; the post-decision state has the same form.

    Attributes
    ----------
    inventory
        Units in stock, (B, n).
    period
        Periods played, integers (B,).
    """

    inventory: Array
    period: Array


class CapacitatedLotSizing(
    Problem[CapacitatedLotSizingInstance, CapacitatedLotSizingState, Arrays]
):
    """Divide each period's capacity among items with known demand.

    An item that is produced in a period takes a setup (time tau_i and money K_i) and a_i time per
    unit; setups do not carry over. Stock pays holding cost; demand that cannot be met is lost at a
    cost, so every plan is feasible. The store starts empty::

        min  sum_it K_i y_it + h_i s_it + rho_i z_it
        s_i,t-1 + x_it + z_it = d_it + s_it,   sum_i (a_i x_it + tau_i y_it) <= C_t

    - Action: Box [0, 1]^n (float64, so that a solver's plan loses nothing), the share of the
      period's capacity that each item asks for, setup included. Shares that sum to more than 1
      are divided by their sum. An item whose share is not longer than its setup time is not set
      up, produces nothing and pays nothing; every other one produces for the rest of its share.
      Every feasible plan is an action: (tau_i y_i + a_i x_i) / C_t.
    - Observation: float32 >= 0: stock (n), demand of this and the coming periods (T n, 0 beyond
      the end), both divided by the instance's largest demand d; coming capacity (T), setup time
      and d times unit time (n each), divided by the largest capacity; setup cost, d times holding
      cost and d times lost-sales cost (n each), divided by the largest of them; t / T. All but
      stock and times are at most 1.
    - Reward: minus setup cost (decision), minus holding and lost-sales cost (outcome); money.
    - End: terminated after T periods; stock that is left is worth nothing. Nothing is random but
      the instance, see :func:`or_envs.capacitated_lot_sizing.instances.generate`.

    Parameters
    ----------
    n_items
        Items n >= 1.
    horizon
        Periods T >= 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    drawing: ClassVar[str | None] = "or_envs.capacitated_lot_sizing.rendering:draw"

    def __init__(self, n_items: int = 4, horizon: int = 12) -> None:
        for name, value in (("n_items", n_items), ("horizon", horizon)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
        self.n_items = n_items
        self.horizon = horizon
        self.max_steps = horizon
        self.action_space = gym.spaces.Box(0.0, 1.0, (n_items,), np.float64)
        size = n_items * (horizon + 6) + horizon + 1
        self.observation_space = gym.spaces.Box(0.0, np.inf, (size,), np.float32)

    def sample_instances(self, rngs: Generators) -> CapacitatedLotSizingInstance:
        """Draw random instances."""
        return generate(self.n_items, self.horizon, rngs)

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: CapacitatedLotSizingInstance) -> CapacitatedLotSizingState:
        """Start with an empty store."""
        demand = instance.demand
        xp = array_namespace(demand)
        return CapacitatedLotSizingState(
            xp.zeros_like(demand[:, 0, :]),
            xp.zeros(demand.shape[0], dtype=xp.int64, device=demand.device),
        )

    def post_decision(
        self,
        instance: CapacitatedLotSizingInstance,
        state: CapacitatedLotSizingState,
        action: Array,
    ) -> tuple[CapacitatedLotSizingState, Array]:
        """Set up, pay for it and produce; see the class for requests that do not fit."""
        xp = array_namespace(state.inventory)
        share = xp.astype(action, state.inventory.dtype)
        total = xp.sum(share, axis=1, keepdims=True)
        share = share / xp.where(total > 1, total, xp.ones_like(total))
        time = share * at_period(xp, instance.capacity, state.period)[:, None]
        setup = time > instance.setup_time
        quantity = (time - instance.setup_time) / instance.unit_time
        quantity = xp.where(setup, quantity, xp.zeros_like(quantity))
        cost = xp.sum(instance.setup_cost * xp.astype(setup, quantity.dtype), axis=1)
        return CapacitatedLotSizingState(state.inventory + quantity, state.period), -cost

    def transition(
        self,
        instance: CapacitatedLotSizingInstance,
        post_state: CapacitatedLotSizingState,
        exogenous: Arrays | None,
    ) -> tuple[CapacitatedLotSizingState, Array, Array]:
        """Serve the period's demand, lose what is short and pay holding cost on the rest."""
        xp = array_namespace(post_state.inventory)
        left = post_state.inventory - at_period(xp, instance.demand, post_state.period)
        zero = xp.zeros_like(left)
        inventory, lost = xp.maximum(left, zero), xp.maximum(-left, zero)
        cost = xp.sum(instance.holding_cost * inventory + instance.lost_sales_cost * lost, axis=1)
        period = post_state.period + 1
        return CapacitatedLotSizingState(inventory, period), -cost, period >= self.horizon

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(
        self, instance: CapacitatedLotSizingInstance, state: CapacitatedLotSizingState
    ) -> Array:
        """Stock and all data from this period on; see the class."""
        xp = array_namespace(state.inventory)
        num, number = state.inventory.shape[0], state.inventory.dtype
        largest = one_if_zero(xp, xp.max(xp.max(instance.demand, axis=2), axis=1)[:, None])
        longest = xp.max(instance.capacity, axis=1)[:, None]
        money = [
            instance.setup_cost + 0 * largest,
            instance.holding_cost * largest,
            instance.lost_sales_cost * largest,
        ]
        dearest = one_if_zero(xp, xp.max(xp.concat(money, axis=1), axis=1, keepdims=True))
        demand = from_period(xp, instance.demand / largest[:, :, None], state.period)
        rows = xp.zeros((num, 1), dtype=number, device=state.inventory.device)
        return xp.concat(
            [
                state.inventory / largest,
                xp.reshape(demand, (num, -1)),
                from_period(xp, instance.capacity / longest, state.period),
                instance.setup_time / longest + rows,
                instance.unit_time * largest / longest + rows,
                *(values / dearest + rows for values in money),
                xp.astype(state.period, number)[:, None] / self.horizon,
            ],
            axis=1,
        )


def shares(
    instance: CapacitatedLotSizingInstance, period: Any, quantity: np.ndarray, setup: np.ndarray
) -> np.ndarray:
    """Actions (B, n) that produce the given units and take the given setups (numpy).

    Parameters
    ----------
    period
        Periods that the actions are for, integers (B,).
    quantity
        Units, (B, n).
    setup
        Whether the item is set up, bool (B, n); units of other items are ignored.
    """
    time = setup * (instance.setup_time + instance.unit_time * quantity)
    capacity: np.ndarray = at_period(np, instance.capacity, period)
    return np.clip(time / capacity[:, None], 0.0, 1.0)
