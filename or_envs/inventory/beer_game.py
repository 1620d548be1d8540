"""The beer game: four players in a chain, orders and goods both take time."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np

from or_envs.core.arrays import Array
from or_envs.inventory.actions import (
    ActionDecoder,
    ActionMode,
    at_buyers,
    on_order,
    sum_over_bought,
    sum_over_supplied,
)
from or_envs.inventory.demand import DemandLaw, Normal, Step, UniformInteger
from or_envs.inventory.network import (
    OUTSIDE,
    InventoryInstance,
    InventoryState,
    Network,
    make_instance,
)
from or_envs.inventory.problem import InventoryNetwork, Setting

BeerActionMode = Literal["relative", "orders"]

#: Changes of the last received order that the relative action chooses from.
CHANGES = (-2, -1, 0, 1, 2)

#: Data of the published cases, retailer first: holding and shortage cost, lead times of goods and
#: orders, base-stock levels, initial stock, goods and orders in every slot under way, demand.
CASES: dict[str, dict[str, Any]] = {
    "basic": {
        "holding": (2.0, 2.0, 2.0, 2.0),
        "shortage": (2.0, 0.0, 0.0, 0.0),
        "goods": (2, 2, 2, 4),
        "orders": (2, 2, 2, 0),
        "levels": (8, 8, 0, 0),
        "stock": 0,
        "under_way": 0,
        "demand": (UniformInteger(0, 2), 1.0, (2 / 3) ** 0.5),
    },
    "U08": {
        "holding": (0.5, 0.5, 0.5, 0.5),
        "shortage": (1.0, 1.0, 1.0, 1.0),
        "goods": (2, 2, 2, 2),
        "orders": (2, 2, 2, 1),
        "levels": (19, 20, 20, 14),
        "stock": 12,
        "under_way": 4,
        "demand": (UniformInteger(0, 8), 4.0, (80 / 12) ** 0.5),
    },
    "N10": {
        "holding": (1.0, 0.75, 0.5, 0.25),
        "shortage": (10.0, 0.0, 0.0, 0.0),
        "goods": (2, 2, 2, 2),
        "orders": (2, 2, 2, 1),
        "levels": (48, 43, 41, 30),
        "stock": 10,
        "under_way": 10,
        "demand": (Normal(whole=True), 10.0, 2.0),
    },
    "C48": {
        "holding": (0.5, 0.5, 0.5, 0.5),
        "shortage": (1.0, 1.0, 1.0, 1.0),
        "goods": (2, 2, 2, 2),
        "orders": (2, 2, 2, 1),
        "levels": (32, 32, 32, 24),
        "stock": 12,
        "under_way": 4,
        "demand": (Step(4.0, 8.0, 4), 8.0, 0.0),
    },
}


class BeerGame(InventoryNetwork):
    """Four players order from each other without seeing the customers (data of arXiv 1708.05924).

    An order takes some periods to reach the supplier and the goods some more to come back; what a
    supplier cannot ship stays ordered and costs it a penalty. Goods are whole units. In the
    published game players see the orders of a period before they decide; here a period starts with
    the decision, so that they see those of the period before: the same game, one step later.

    - Action "relative" (default): for every player an index into ``CHANGES``; it orders what it was
      last asked for, plus the change, at least 0. "orders": the order itself.
    - Observation and reward: see :class:`or_envs.inventory.problem.InventoryNetwork`; rewards are
      those of the whole chain.

    Parameters
    ----------
    instance
        "basic", "U08", "N10" or "C48".
    player
        ``None``: one action for each of the four, the plant first. 0..3: the action of the retailer
        (0), wholesaler, distributor or plant (3) only; the others play base stock with the
        published levels, on what they have and have on order less what they owe.
    horizon, warm_up, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`.
    action_mode
        "relative" or "orders".

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = tuple(CASES)
    totals: ClassVar[bool] = True

    def __init__(
        self,
        instance: Literal["basic", "U08", "N10", "C48"] = "basic",
        player: int | None = None,
        horizon: int = 100,
        warm_up: int = 0,
        action_mode: BeerActionMode = "relative",
        observe_data: bool = False,
    ) -> None:
        if instance not in CASES:
            raise ValueError(f"instance: expected one of {', '.join(CASES)}, got {instance!r}")
        if player is not None and player not in range(4):
            raise ValueError(f"player: expected None or an integer in 0..3, got {player!r}")
        if action_mode not in ("relative", "orders"):
            raise ValueError(f"action_mode: expected 'relative' or 'orders', got {action_mode!r}")
        case = CASES[instance]
        law: DemandLaw
        law, mean, std = case["demand"]
        network = Network(
            nodes=("plant", "distributor", "wholesaler", "retailer"),
            num_stores=1,
            edges=((OUTSIDE, 0), (0, 1), (1, 2), (2, 3)),
            backlog=True,
            backlog_orders=True,
        )
        goods, delays = case["goods"][::-1], case["orders"][::-1]
        # What arrives in the first period is there already: goods on hand, orders at the supplier.
        stock = float(case["stock"] + case["under_way"])
        pipeline = np.zeros((4, max(goods)))
        orders = np.zeros((4, max(delays)))
        for edge in range(4):
            pipeline[edge, : goods[edge] - 1] = case["under_way"]
            orders[edge, : max(delays[edge] - 1, 0)] = case["under_way"]
        penalty = case["shortage"][::-1]
        data = make_instance(
            network,
            lead_time=goods,
            holding_cost=case["holding"][::-1],
            shortage_cost=[penalty[3]],
            # What node k owes is what is unfilled on the edge to node k + 1.
            unfilled_cost=[0.0, *penalty[:3]],
            order_delay=delays,
            demand_mean=[mean],
            demand_std=[std],
            initial_on_hand=[stock] * 4,
            initial_backorders=np.where(np.array(delays) > 0, float(case["under_way"]), 0.0),
            initial_pipeline=pipeline,
            initial_orders=orders,
            initial_history=np.full((1, 4), float(case["under_way"])),
            history=1,
        )
        self.player = player
        self.levels = np.array(case["levels"][::-1], dtype=np.float64)
        limit = np.full(4, float(max(4 * mean, *case["levels"])))
        setting = Setting(network, data, law, order_limit=limit, integer=True)
        super().__init__(setting, horizon, warm_up, "orders", False, observe_data)
        self.decoder = _BeerDecoder(self.decoder, action_mode, player, self.levels)
        self.action_space = self.decoder.space


class _BeerDecoder(ActionDecoder):
    """Orders of all players from the actions of one or of all."""

    def __init__(
        self,
        decoder: ActionDecoder,
        mode: BeerActionMode,
        player: int | None,
        levels: np.ndarray,
    ) -> None:
        self.__dict__.update(copy.copy(decoder).__dict__)
        self._relative = mode == "relative"
        self._levels = levels
        # Player 0 is the retailer, whose edge is the last.
        edges = list(range(4)) if player is None else [3 - player]
        self._chosen = np.zeros((len(edges), 4))
        self._chosen[np.arange(len(edges)), edges] = 1.0
        limits = self.high[edges].astype(np.int64) + 1
        sizes = np.full(len(edges), len(CHANGES)) if self._relative else limits
        self.space = gym.spaces.MultiDiscrete(sizes)
        if self._relative:
            # Not plain orders any more: what plays those must not mistake them.
            self.mode: ActionMode = "residual"

    def orders(
        self, xp: Any, instance: InventoryInstance, state: InventoryState, action: Array
    ) -> Array:
        """Orders (B, 4), the plant's first."""
        number, device = state.on_hand.dtype, state.on_hand.device
        chosen = xp.asarray(self._chosen, dtype=number, device=device)
        order = xp.matmul(xp.astype(action, number), chosen)
        if self._relative:
            asked = at_buyers(xp, instance, state.history[:, -1, :])
            order = asked + order + float(CHANGES[0])
            order = xp.maximum(order, xp.zeros_like(order))
        if self._chosen.shape[0] == 4:
            return order
        mine = xp.sum(chosen, axis=0)
        owed = sum_over_supplied(xp, instance, state.backorders)
        own = state.on_hand + sum_over_bought(xp, instance, on_order(xp, state)) - owed
        levels = xp.asarray(self._levels, dtype=number, device=device)
        base = levels - at_buyers(xp, instance, own)
        return xp.where(mine > 0, order, xp.maximum(base, xp.zeros_like(base)))
