"""Numba kernels of the lot-sizing dynamics, behind the same function names.

They state the equations of :mod:`or_envs.lot_sizing.problem` a second time, for speed only;
``check_problem`` compares the two on random episodes.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numba
import numpy as np

from or_envs.core.arrays import Array
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


class CompiledLotSizing(LotSizing):
    """A lot-sizing problem on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: LotSizing) -> None:
        self.__dict__.update(problem.__dict__)
        self._terminal_period = self.horizon if self.finite_horizon else self.horizon + 1
        self._last_mask: tuple[Array, Array | None] = (None, None)

    def exogenous_at(self, exogenous: LotSizingDemand, step: Array) -> LotSizingDemand:
        """Compiled form of :meth:`LotSizing.exogenous_at`."""
        demand = exogenous.demand
        now = np.empty((len(step), demand.shape[2]))
        _demand_at(demand, step, now)
        return LotSizingDemand(now)

    def post_decision(
        self, instance: LotSizingInstance, state: LotSizingState, action: Array
    ) -> tuple[LotSizingState, Array]:
        """Compiled form of :meth:`LotSizing.post_decision`."""
        inventory = state.inventory.copy()
        reward = np.empty(len(inventory))
        _post_decision(
            instance.production,
            instance.setup_cost,
            instance.setup_loss,
            state.setup,
            action,
            self.allow_invalid,
            inventory,
            reward,
        )
        return LotSizingState(inventory, action, state.period), reward

    def transition(
        self,
        instance: LotSizingInstance,
        post_state: LotSizingState,
        exogenous: LotSizingDemand | None,
    ) -> tuple[LotSizingState, Array, Array]:
        """Compiled form of :meth:`LotSizing.transition`."""
        assert exogenous is not None
        rows = len(post_state.inventory)
        inventory = np.empty_like(post_state.inventory)
        period = np.empty(rows, np.int64)
        reward = np.empty(rows)
        terminal = np.empty(rows, np.bool_)
        _transition(
            instance.lost_sales_cost,
            instance.holding_cost,
            instance.max_inventory,
            post_state.inventory,
            post_state.period,
            exogenous.demand,
            self._terminal_period,
            inventory,
            period,
            reward,
            terminal,
        )
        return LotSizingState(inventory, post_state.setup, period), reward, terminal

    def expected_outcome(self, instance: LotSizingInstance, post_state: LotSizingState) -> Array:
        """Compiled form of :meth:`LotSizing.expected_outcome`."""
        reward = np.empty(len(post_state.inventory))
        _expected_outcome(
            instance.lost_sales_cost,
            instance.holding_cost,
            instance.max_inventory,
            instance.demand_probability,
            post_state.inventory,
            reward,
        )
        return reward

    def observation(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """Compiled form of :meth:`LotSizing.observation`."""
        if self.observation_mode != "full" or self._data is None:
            return super().observation(instance, state)
        size = self.n_items + self.n_machines * (self.n_items + 1) + self.finite_horizon
        seen = np.zeros((len(state.inventory), size), np.float32)
        _observation(
            instance.max_inventory,
            state.inventory,
            state.setup,
            state.period,
            self.horizon if self.finite_horizon else 0,
            seen,
        )
        return seen

    def action_mask(self, instance: LotSizingInstance, state: LotSizingState) -> Array | None:
        """Masks depend on the production data only, so the last one is kept."""
        production, mask = self._last_mask
        if production is not instance.production:
            mask = super().action_mask(instance, state)
            self._last_mask = (instance.production, mask)
        return mask


# The kernels fill arrays that they are given: handing arrays back costs more than a small step.


@numba.njit(cache=True)
def _demand_at(demand, step, now):
    for b in range(step.shape[0]):
        now[b] = demand[b, step[b]]


@numba.njit(cache=True, error_model="numpy")
def _post_decision(
    production, setup_cost, setup_loss, setup, action, as_published, inventory, reward
):
    rows, machines = action.shape
    shared = production.shape[0] == 1
    for b in range(rows):
        data = 0 if shared else b
        cost = 0.0
        for m in range(machines):
            item = action[b, m]
            if item == 0:
                continue
            output = production[data, m, item - 1]
            if item != setup[b, m]:
                cost += setup_cost[data, m, item - 1]
                loss = setup_loss[data, m, item - 1]
                output -= loss if as_published else min(loss, output)
            inventory[b, item - 1] += output
        reward[b] = -cost


@numba.njit(cache=True, error_model="numpy")
def _transition(
    lost_sales_cost,
    holding_cost,
    max_inventory,
    inventory,
    period,
    demand,
    terminal_period,
    next_inventory,
    next_period,
    reward,
    terminal,
):
    rows, items = inventory.shape
    shared = lost_sales_cost.shape[0] == 1
    for b in range(rows):
        data = 0 if shared else b
        cost = 0.0
        for i in range(items):
            left = inventory[b, i] - demand[b, i]
            if left < 0.0:
                cost -= lost_sales_cost[data, i] * left
                left = 0.0
            left = min(left, max_inventory[data, i])
            cost += holding_cost[data, i] * left
            next_inventory[b, i] = left
        reward[b] = -cost
        next_period[b] = period[b] + 1
        terminal[b] = next_period[b] >= terminal_period


@numba.njit(cache=True, error_model="numpy")
def _expected_outcome(lost_sales_cost, holding_cost, max_inventory, law, inventory, reward):
    rows, items = inventory.shape
    shared = lost_sales_cost.shape[0] == 1
    for b in range(rows):
        data = 0 if shared else b
        cost = 0.0
        for i in range(items):
            for k in range(law.shape[2]):
                left = inventory[b, i] - k
                if left < 0.0:
                    cost -= law[data, i, k] * lost_sales_cost[data, i] * left
                else:
                    kept = min(left, max_inventory[data, i])
                    cost += law[data, i, k] * holding_cost[data, i] * kept
        reward[b] = -cost


@numba.njit(cache=True, error_model="numpy")
def _observation(max_inventory, inventory, setup, period, horizon, seen):
    rows, items = inventory.shape
    shared = max_inventory.shape[0] == 1
    for b in range(rows):
        data = 0 if shared else b
        for i in range(items):
            seen[b, i] = inventory[b, i] / max_inventory[data, i]
        for m in range(setup.shape[1]):
            seen[b, items + m * (items + 1) + setup[b, m]] = 1.0
        if horizon > 0:
            seen[b, -1] = period[b] / horizon
