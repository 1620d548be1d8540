"""The beer game: four players in a chain, orders and goods both take time."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np

from or_envs.core.arrays import Array
from or_envs.inventory.actions import (
    ActionDecoder,
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

BeerActionMode = Literal["relative", "orders", "levels", "shares", "residual"]

#: Players by their number.
PLAYERS = ("retailer", "wholesaler", "distributor", "plant")


@dataclasses.dataclass(frozen=True)
class Case:
    """A published case; tuples are by player, the retailer first.

    Attributes
    ----------
    demand, mean, std
        Law of customer demand, and its mean and standard deviation.
    holding_cost
        Per unit on hand and period.
    shortage_cost
        Per unit owed to customers or to the next player, and period.
    lead_time
        Periods from shipment to arrival, as published.
    order_delay
        Periods from an order to its arrival at the supplier, as published.
    levels
        Local base-stock levels; those of the algorithm of Clark and Scarf where it applies.
    stock
        Units on hand of every player before the first period.
    under_way
        Units in every slot of orders and of goods under way.
    largest_change
        Largest change x of the published action, "received order + x".
    """

    demand: DemandLaw
    mean: float
    std: float
    holding_cost: tuple[float, float, float, float]
    shortage_cost: tuple[float, float, float, float]
    lead_time: tuple[int, int, int, int]
    order_delay: tuple[int, int, int, int]
    levels: tuple[int, int, int, int]
    stock: float
    under_way: float
    largest_change: int


#: The basic case and the three from the literature in arXiv 1708.05924 and its published code.
CASES: dict[str, Case] = {
    "basic": Case(
        demand=UniformInteger(0, 2),
        mean=1.0,
        std=(2 / 3) ** 0.5,
        holding_cost=(2.0, 2.0, 2.0, 2.0),
        shortage_cost=(2.0, 0.0, 0.0, 0.0),
        lead_time=(2, 2, 2, 4),
        order_delay=(2, 2, 2, 0),
        levels=(8, 8, 0, 0),
        stock=0.0,
        under_way=0.0,
        largest_change=2,
    ),
    "U08": Case(
        demand=UniformInteger(0, 8),
        mean=4.0,
        std=(80 / 12) ** 0.5,
        holding_cost=(0.5, 0.5, 0.5, 0.5),
        shortage_cost=(1.0, 1.0, 1.0, 1.0),
        lead_time=(2, 2, 2, 2),
        order_delay=(2, 2, 2, 1),
        levels=(19, 20, 20, 14),
        stock=12.0,
        under_way=4.0,
        largest_change=8,
    ),
    "N10": Case(
        demand=Normal(whole=True),
        mean=10.0,
        std=2.0,
        holding_cost=(1.0, 0.75, 0.5, 0.25),
        shortage_cost=(10.0, 0.0, 0.0, 0.0),
        lead_time=(2, 2, 2, 2),
        order_delay=(2, 2, 2, 1),
        levels=(48, 43, 41, 30),
        stock=10.0,
        under_way=10.0,
        largest_change=5,
    ),
    "C48": Case(
        demand=Step(4.0, 8.0, 4),
        mean=8.0,
        std=0.0,
        holding_cost=(0.5, 0.5, 0.5, 0.5),
        shortage_cost=(1.0, 1.0, 1.0, 1.0),
        lead_time=(2, 2, 2, 2),
        order_delay=(2, 2, 2, 1),
        levels=(32, 32, 32, 24),
        stock=12.0,
        under_way=4.0,
        largest_change=8,
    ),
}


class BeerGame(InventoryNetwork):
    """Four players order from each other; only the retailer sees customers (arXiv 1708.05924).

    An order takes some periods to reach the supplier and the goods some more to come back. What a
    supplier cannot ship stays ordered, at a cost per period to the supplier. The plant orders from
    outside, where goods never run out. Goods are whole units.

    In the published game a player decides after the period's order or demand has reached it; here
    a period starts with the decision. It is the same game: the decision of our period s is the
    published one of period s - 1, whose demand is the last that it knows. Counted from period
    s - 1, a supplier with stock ships the order after the published order delay and the goods are
    there after the published lead time. Within our periods that is one less altogether, which is
    taken off the order delay (with a delay of 0, the plant's in the basic case, off the lead time).
    A supplier can act on an order one period after shipping it, as published. Our first decision
    takes the place of the last of the published initial orders.

    - Action "relative" (default): for each player, x + m in 0..2 m; it orders what it was last
      asked for, plus x, at least 0. The published largest change m is 2 ("basic"), 5 ("N10") or 8.
      "orders": the order itself. With all four players also the other modes of
      :class:`or_envs.inventory.actions.ActionDecoder`, whose orders need not be whole.
      ``MultiDiscrete`` for four players (the plant first), ``Discrete`` for one.
    - Observation and reward: see :class:`or_envs.inventory.problem.InventoryNetwork`. Both are
      those of the whole chain; ``problem.layout`` says what belongs to whom.

    Parameters
    ----------
    instance
        "basic": demand U{0, 1, 2}; "U08": U{0..8}; "N10": N(10, 2), rounded; "C48": 4, 4, 4, 4, 8,
        8, ...
    player
        ``None``: one action for each of the four. 0..3: that of the retailer, wholesaler,
        distributor or plant only; the others play base stock with the published levels, on what
        they have and have on order less what they owe.
    horizon, warm_up, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`.
    action_mode
        "relative", "orders", or with ``player=None`` "levels", "shares" or "residual".

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
        normalized: bool = False,
        observe_data: bool = False,
    ) -> None:
        if instance not in CASES:
            raise ValueError(f"instance: expected one of {', '.join(CASES)}, got {instance!r}")
        if player is not None and (not isinstance(player, int) or player not in range(4)):
            raise ValueError(f"player: expected None or an integer in 0..3, got {player!r}")
        modes = get_args(BeerActionMode) if player is None else ("relative", "orders")
        if action_mode not in modes:
            allowed = ", ".join(repr(mode) for mode in modes)
            raise ValueError(f"action_mode: expected one of {allowed}, got {action_mode!r}")
        if normalized and (player is not None or action_mode == "relative"):
            raise ValueError("normalized: expected False where orders are whole numbers, got True")
        case = CASES[instance]
        network, data = _chain(case)
        limit = np.full(4, float(max(4 * case.mean, *case.levels)))
        setting = Setting(network, data, case.demand, order_limit=limit, integer=True)
        relative = action_mode == "relative"
        plain: Any = "orders" if relative else action_mode
        super().__init__(setting, horizon, warm_up, plain, normalized, observe_data)
        self.player = player
        if relative or player is not None:
            levels = np.array(case.levels[::-1], dtype=np.float64)
            change = case.largest_change if relative else None
            self.decoder = _WholeOrders(network, limit, levels, player, change)
            self.action_space = self.decoder.space


def _chain(case: Case) -> tuple[Network, InventoryInstance]:
    """The network, the plant first, and its data with the state before our first decision."""
    network = Network(
        nodes=PLAYERS[::-1],
        num_stores=1,
        edges=((OUTSIDE, 0), (0, 1), (1, 2), (2, 3)),
        backlog=True,
        backlog_orders=True,
    )
    delay = np.array(case.order_delay[::-1])
    goods = np.array(case.lead_time[::-1]) - (delay == 0)
    delay = np.maximum(delay - 1, 0)
    # What arrives in the first period is there already, and the first decision is the last slot.
    pipeline = np.where(np.arange(goods.max()) < goods[:, None] - 1, case.under_way, 0.0)
    orders = np.where(np.arange(delay.max()) < delay[:, None], case.under_way, 0.0)
    shortage = case.shortage_cost[::-1]
    data = make_instance(
        network,
        lead_time=goods,
        order_delay=delay,
        holding_cost=case.holding_cost[::-1],
        shortage_cost=[shortage[3]],
        # What node k owes is what is unfilled on the edge to node k + 1.
        unfilled_cost=[0.0, *shortage[:3]],
        demand_mean=[case.mean],
        demand_std=[case.std],
        initial_on_hand=[case.stock + case.under_way] * 4,
        initial_pipeline=pipeline,
        initial_orders=orders,
        initial_history=np.full((1, 4), case.under_way),
        history=1,
    )
    return network, data


class _WholeOrders(ActionDecoder):
    """Whole orders of the four players (B, 4), the plant first, from actions of one or of all.

    Parameters
    ----------
    network, order_limit
        As in :class:`or_envs.inventory.actions.ActionDecoder`.
    levels
        Local base-stock levels, (4,), of the players that have no action.
    player
        Number of the only player with an action, or ``None``.
    largest_change
        m if actions mean "last received order + action - m", ``None`` if they are orders.
    """

    def __init__(
        self,
        network: Network,
        order_limit: np.ndarray,
        levels: np.ndarray,
        player: int | None,
        largest_change: int | None,
    ) -> None:
        super().__init__(network, "orders", order_limit, levels, True, False)
        self._levels = levels
        self._change = largest_change
        # Player 0 is the retailer, whose edge is the last.
        edges = list(range(4)) if player is None else [3 - player]
        self._chosen = np.eye(4)[edges]
        sizes = order_limit[edges].astype(np.int64) + 1
        if largest_change is not None:
            sizes = np.full(len(edges), 2 * largest_change + 1)
        # Not plain orders of all edges: what plays those must not mistake them.
        kind: str = "orders" if largest_change is None else "relative"
        self.mode = kind if player is None else f"{kind} of player {player}"
        self.space = gym.spaces.MultiDiscrete(sizes)
        if player is not None:
            self.space = gym.spaces.Discrete(int(sizes[0]))

    def orders(
        self, xp: Any, instance: InventoryInstance, state: InventoryState, action: Array
    ) -> Array:
        """Orders (B, 4), >= 0."""
        number, device = state.on_hand.dtype, state.on_hand.device
        chosen = xp.asarray(self._chosen, dtype=number, device=device)
        value = xp.reshape(xp.astype(action, number), (-1, chosen.shape[0]))
        order = xp.matmul(value, chosen)
        if self._change is not None:
            asked = at_buyers(xp, instance, state.history[:, -1, :])
            order = asked + order - float(self._change)
            order = xp.maximum(order, xp.zeros_like(order))
        if chosen.shape[0] == 4:
            return order
        owed = sum_over_supplied(xp, instance, state.backorders)
        position = state.on_hand + sum_over_bought(xp, instance, on_order(xp, state)) - owed
        levels = xp.asarray(self._levels, dtype=number, device=device)
        base = levels - at_buyers(xp, instance, position)
        base = xp.maximum(base, xp.zeros_like(base))
        return xp.where(xp.sum(chosen, axis=0) > 0, order, base)
