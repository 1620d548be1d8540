"""What all rules of inventory networks share: positions, limits, whole orders."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np

from or_envs.inventory.actions import echelon_position, on_order
from or_envs.inventory.network import InventoryInstance, InventoryState
from or_envs.inventory.problem import InventoryNetwork


def check_orders(problem: InventoryNetwork) -> None:
    """Refuse problems whose actions are not orders.

    Raises
    ------
    ValueError
        If the problem is no inventory network, or has another ``action_mode``.
    """
    if not isinstance(problem, InventoryNetwork):
        raise ValueError(f"problem: expected an inventory network, got {type(problem).__name__}")
    decoder = problem.decoder
    if decoder.mode != "orders" or decoder.normalized:
        raise ValueError(
            f"problem: expected action_mode='orders' and normalized=False, got {decoder.mode!r}"
            f" and {decoder.normalized}"
        )


def check_single_echelon(problem: InventoryNetwork, suppliers: int = 1) -> None:
    """Refuse networks in which a node supplies another or a store has another number of suppliers.

    Raises
    ------
    ValueError
        Naming what the rule needs.
    """
    check_orders(problem)
    network = problem.network
    if network.num_internal or network.num_edges != suppliers * network.num_stores:
        raise ValueError(
            f"problem: expected stores with {suppliers} outside supplier(s) each, got"
            f" {network.num_nodes} nodes and {network.num_edges} edges"
        )


def playable(problem: InventoryNetwork, orders: np.ndarray) -> np.ndarray:
    """Orders (B, E) within the limits of the action space, and whole where goods are."""
    orders = np.clip(orders, 0.0, problem.setting.order_limit)
    return np.rint(orders).astype(np.int64) if problem.setting.integer else orders


def local_position(instance: InventoryInstance, state: InventoryState) -> np.ndarray:
    """On hand and on order at the buyer of every edge, less what it owes, (B, E)."""
    buyer, supplier = instance.buyer[0].astype(float), instance.supplier[0].astype(float)
    owed = state.backorders @ supplier.T
    own = state.on_hand + on_order(xp, state) @ buyer.T - owed
    position: np.ndarray = own @ buyer
    return position


def echelon(instance: InventoryInstance, state: InventoryState) -> np.ndarray:
    """Echelon position of the buyer of every edge, (B, E)."""
    position: np.ndarray = echelon_position(xp, instance, state)
    return position
