"""What an action means: orders, order-up-to levels, shares, or changes of a reference policy."""

from __future__ import annotations

from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np

from or_envs.core.arrays import Array
from or_envs.inventory.network import InventoryInstance, InventoryState, Network

ActionMode = Literal["orders", "levels", "shares", "residual"]


class ActionDecoder:
    """Turns actions (B, E) into orders (B, E) in units of goods.

    - "orders": the order itself, 0..``order_limit``; whole numbers (MultiDiscrete) if ``integer``.
    - "levels": order-up-to levels; the order raises the echelon position of the buyer to the level.
      The echelon position counts what is on hand at the node and at all that it supplies, what is
      on its way to any of them, less what customers wait for.
    - "shares": in [0, 1]; of the supplier's stock, or of ``order_limit`` where it is outside.
    - "residual": what is added to the order of the base-stock policy with levels
      ``reference_level``, in -``order_limit``..``order_limit``.

    Parameters
    ----------
    network
        Nodes and edges.
    mode
        Which of the four.
    order_limit
        Largest order of every edge, (E,), > 0.
    reference_level
        Levels of the base-stock policy that "residual" changes, (E,).
    integer
        Whether orders are whole numbers; only with "orders".
    normalized
        Whether the Box is [-1, 1], mapped to the whole range, as continuous agents like it.

    Raises
    ------
    ValueError
        If the mode is unknown or the options do not go together.
    """

    def __init__(
        self,
        network: Network,
        mode: ActionMode,
        order_limit: np.ndarray,
        reference_level: np.ndarray,
        integer: bool,
        normalized: bool,
    ) -> None:
        if mode not in get_args(ActionMode):
            allowed = ", ".join(repr(m) for m in get_args(ActionMode))
            raise ValueError(f"action_mode: expected one of {allowed}, got {mode!r}")
        if integer and mode != "orders":
            raise ValueError(f"action_mode: whole orders need 'orders', got {mode!r}")
        if integer and normalized:
            raise ValueError("normalized: expected False where orders are whole numbers, got True")
        #: One of the four; another word where a subclass gives actions another meaning.
        self.mode: str = mode
        #: The kernels replace it by their own.
        self.position = echelon_position
        self.integer = integer
        self.normalized = normalized
        self._outside = ~network.incidence(0).any(axis=0)
        self._limit = order_limit
        self._reference = reference_level
        low = {
            "orders": np.zeros_like(order_limit),
            "levels": np.zeros_like(order_limit),
            "shares": np.zeros_like(order_limit),
            "residual": -order_limit,
        }[mode]
        high = {
            "orders": order_limit,
            "levels": reference_level + order_limit,
            "shares": np.ones_like(order_limit),
            "residual": order_limit,
        }[mode]
        self.low, self.high = low, high
        self.space: gym.spaces.Box | gym.spaces.MultiDiscrete | gym.spaces.Discrete
        if integer:
            self.space = gym.spaces.MultiDiscrete(order_limit.astype(np.int64) + 1)
        elif normalized:
            self.space = gym.spaces.Box(-1.0, 1.0, order_limit.shape, np.float64)
        else:
            self.space = gym.spaces.Box(low, high, dtype=np.float64)

    def orders(
        self, xp: Any, instance: InventoryInstance, state: InventoryState, action: Array
    ) -> Array:
        """Orders (B, E), >= 0."""
        number, device = state.on_hand.dtype, state.on_hand.device
        value = xp.astype(action, number) if action.dtype != number else action
        if self.mode == "orders" and not self.normalized:
            return value

        def constant(x: Any) -> Array:
            return xp.asarray(x, dtype=number, device=device)

        if self.normalized:
            low, high = constant(self.low), constant(self.high)
            value = low + (value + 1) * (high - low) / 2
        if self.mode == "shares":
            stock = at_suppliers(
                xp, instance, xp.maximum(state.on_hand, xp.zeros_like(value[:, :1]))
            )
            outside = constant(self._outside.astype(np.float64))
            value = value * (stock + outside * constant(self._limit))
        elif self.mode in ("levels", "residual"):
            level = value if self.mode == "levels" else constant(self._reference)
            base = level - self.position(xp, instance, state)
            base = xp.maximum(base, xp.zeros_like(base))
            value = base if self.mode == "levels" else base + value
        return xp.maximum(value, xp.zeros_like(value))


def at_suppliers(xp: Any, instance: InventoryInstance, values: Array) -> Array:
    """Values of nodes (B, N) at the supplier of every edge, (B, E); 0 outside."""
    return xp.matmul(values, xp.astype(instance.supplier[0, ...], values.dtype))


def at_buyers(xp: Any, instance: InventoryInstance, values: Array) -> Array:
    """Values of nodes (B, N) at the buyer of every edge, (B, E)."""
    return xp.matmul(values, xp.astype(instance.buyer[0, ...], values.dtype))


def sum_over_supplied(xp: Any, instance: InventoryInstance, values: Array) -> Array:
    """Sum of the values of edges (B, E) over what every node supplies, (B, N)."""
    return xp.matmul(values, xp.astype(instance.supplier[0, ...], values.dtype).T)


def sum_over_bought(xp: Any, instance: InventoryInstance, values: Array) -> Array:
    """Sum of the values of edges (B, E) over what every node buys, (B, N)."""
    return xp.matmul(values, xp.astype(instance.buyer[0, ...], values.dtype).T)


def on_order(xp: Any, state: InventoryState) -> Array:
    """Units of every edge that are ordered and have not arrived, (B, E)."""
    units = xp.sum(state.pipeline, axis=2) + state.backorders
    if state.orders.shape[2] > 0:
        units = units + xp.sum(state.orders, axis=2)
    return units


def echelon_position(xp: Any, instance: InventoryInstance, state: InventoryState) -> Array:
    """Echelon inventory position of the buyer of every edge, (B, E).

    On hand and on order at the node, and on hand and in transit below it (negative stock, of
    customers who wait, included).
    """
    arriving = sum_over_bought(xp, instance, xp.sum(state.pipeline, axis=2))
    own = sum_over_bought(xp, instance, on_order(xp, state))
    number = state.on_hand.dtype
    below = xp.astype(instance.below[0, ...], number)
    total = xp.matmul(state.on_hand + arriving, below.T) + own - arriving
    return at_buyers(xp, instance, total)
