"""The multi-period newsvendor of arXiv 1911.10641: every episode has its own prices and demand."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from or_envs.core.random import Generators, uniform
from or_envs.inventory.actions import ActionMode
from or_envs.inventory.demand import Poisson
from or_envs.inventory.network import OUTSIDE, InventoryInstance, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting


class Newsvendor(InventoryNetwork):
    """One store with lost sales, whose data are drawn anew in every episode and shown.

    Price U(0, 100), unit cost U(0, price), holding cost U(0, min(unit cost, 5)), cost of a lost
    sale U(0, 10), mean of the Poisson demand U(0, 200). Leftovers stay in stock. The published
    limit of 4,000 units in stock never binds for a sensible policy and is left out.

    Parameters
    ----------
    instance
        "aws": lead time 5, as published.
    horizon, warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`; orders are 0..2,000.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    instance_names: ClassVar[tuple[str, ...]] = ("aws",)
    totals: ClassVar[bool] = True

    def __init__(
        self,
        instance: Literal["aws"] = "aws",
        horizon: int = 40,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = True,
    ) -> None:
        if instance != "aws":
            raise ValueError(f"instance: expected 'aws', got {instance!r}")
        network = Network(nodes=("store",), num_stores=1, edges=((OUTSIDE, 0),), backlog=False)
        data = make_instance(  # means; episodes have their own
            network,
            lead_time=[5],
            holding_cost=[2.0],
            shortage_cost=[5.0],
            price=[50.0],
            unit_cost=[25.0],
            demand_mean=[100.0],
            demand_std=[10.0],
        )
        setting = Setting(network, data, Poisson(), order_limit=np.array([2000.0]))
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)

    def sample_instances(self, rngs: Generators) -> InventoryInstance:
        """Draw the data of every episode."""
        draws = uniform(rngs, (5, 1))
        price = 100 * draws[:, 0]
        cost = price * draws[:, 1]
        mean = 200 * draws[:, 4]
        return dataclasses.replace(
            super().sample_instances(rngs),
            price=price,
            unit_cost=cost,
            holding_cost=np.minimum(cost, 5.0) * draws[:, 2],
            shortage_cost=10 * draws[:, 3],
            demand_mean=mean,
            demand_std=np.sqrt(mean),
        )
