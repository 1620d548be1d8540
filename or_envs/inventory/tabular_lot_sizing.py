"""Lot-sizing with so few states that everything about it can be computed."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, get_args

import numpy as np

from or_envs.core.arrays import Array
from or_envs.core.random import Generators
from or_envs.inventory.network import (
    OUTSIDE,
    Demand,
    InventoryInstance,
    InventoryState,
    Network,
    make_instance,
)
from or_envs.inventory.problem import InventoryNetwork, Setting

#: Demand of the periods, or its mean.
PATH = (2.0, 3.0, 1.0, 4.0, 0.0, 2.0, 5.0, 1.0)
LARGEST_ORDER = 5

Uncertainty = Literal["known", "poisson"]


@dataclasses.dataclass(frozen=True)
class Path:
    """Demand with the mean ``values`` of the periods: exactly that, or Poisson."""

    values: tuple[float, ...]
    poisson: bool

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Demand of all periods, (B, T, 1)."""
        values = np.array(self.values)
        drawn = [rng.poisson(values) if self.poisson else values for rng in rngs]
        return np.stack(drawn)[:, :, None].astype(np.float64)


class TabularLotSizing(InventoryNetwork):
    """One item, eight periods, orders of 0..5; fixed cost 6, holding cost 1, lost sale 4 a unit.

    Goods arrive before the period's demand. The same task with and without noise: made to see what
    the noise of a policy's own choices does. The optimum is known by backward induction.
    The observation ends with the period, one-hot. Leftovers are worth nothing.

    Parameters
    ----------
    instance
        "known": demand is the path, and nothing is random; "poisson": the path is its mean.

    Raises
    ------
    ValueError
        If there is no such instance.
    """

    instance_names: ClassVar[tuple[str, ...]] = get_args(Uncertainty)
    totals: ClassVar[bool] = True

    def __init__(self, instance: Uncertainty = "known") -> None:
        if instance not in self.instance_names:
            allowed = ", ".join(self.instance_names)
            raise ValueError(f"instance: expected one of {allowed}, got {instance!r}")
        network = Network(nodes=("store",), num_stores=1, edges=((OUTSIDE, 0),), backlog=False)
        data = make_instance(
            network,
            lead_time=[0],
            holding_cost=[1.0],
            shortage_cost=[4.0],
            fixed_cost=[6.0],
            demand_mean=[float(np.mean(PATH))],
            demand_std=[float(np.sqrt(np.mean(PATH)))],
            calendar=np.eye(len(PATH)),
        )
        law = Path(PATH, instance == "poisson")
        limit = np.array([float(LARGEST_ORDER)])
        setting = Setting(network, data, law, order_limit=limit, integer=True)
        super().__init__(setting, horizon=len(PATH))
        self.ends = "terminated"

    def transition(
        self, instance: InventoryInstance, post_state: InventoryState, exogenous: Demand | None
    ) -> tuple[InventoryState, Array, Array]:
        """Meet demand and pay the period's costs; the task ends with the last period."""
        state, reward, _ = super().transition(instance, post_state, exogenous)
        return state, reward, state.period >= self.horizon
