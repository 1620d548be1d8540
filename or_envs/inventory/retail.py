"""Weekly retail sales of many products: warehouses and stores with lost sales, for profit."""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar, Literal

import numpy as np

from or_envs.core.arrays import Array
from or_envs.core.random import Generators, uniform
from or_envs.inventory import published
from or_envs.inventory.actions import ActionMode
from or_envs.inventory.network import Demand, InventoryInstance, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting
from or_envs.inventory.retail_data import (
    HISTORY,
    SPLITS,
    calendar,
    load_sales,
    synthetic_sales,
)
from or_envs.inventory.warehouses import bipartite, order_limits


@dataclasses.dataclass(frozen=True)
class RetailInstance(InventoryInstance):
    """A product in the network; ``product`` is its row of the sales tensor, integers (B,)."""

    product: Array


class RetailNetwork(InventoryNetwork):
    """Each episode is a product: weekly demand in all stores, known only up to now.

    Reward: sales at the product's price (U[6.3, 11.7], its margin), minus holding and purchase.
    Products are the same in all parts; time is held out. The agent sees the last 16 weeks of
    demand, the coming week's calendar and the data of the network.

    Parameters
    ----------
    instance
        "1x5": warehouses x stores. One warehouse with stores at lead times 2..5, or 2..5 warehouses
        with the published topology of 21 stores.
    sales
        Path of an own tensor (products, stores, weeks), see
        :func:`or_envs.inventory.retail_data.load_sales`; default: the synthetic look-alike.
    split
        "train", "dev" or "test": weeks 16-110, 104-140, 134-170, each after 16 weeks of history.
    horizon
        Weeks, at most those of the part (default: all of them).
    warm_up, action_mode, normalized, observe_data
        See :class:`or_envs.inventory.problem.InventoryNetwork`; published: a warm-up of 16.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the sales do not fit.
    """

    instance_names: ClassVar[tuple[str, ...]] = (
        *(f"1x{n}" for n in (1, 3, 5, 10, 15, 21)),
        *(f"{m}x21" for m in published.RETAIL_TOPOLOGIES),
    )

    def __init__(
        self,
        instance: str = "1x5",
        sales: str | None = None,
        split: Literal["train", "dev", "test"] = "train",
        horizon: int | None = None,
        warm_up: int = 0,
        action_mode: ActionMode = "orders",
        normalized: bool = False,
        observe_data: bool = True,
    ) -> None:
        match = re.fullmatch(r"(\d+)x(\d+)", str(instance))
        warehouses, stores = (int(match[1]), int(match[2])) if match else (0, 0)
        many = warehouses in published.RETAIL_TOPOLOGIES and stores == 21
        if not (warehouses == 1 and stores >= 1) and not many:
            raise ValueError(f"instance: expected 1xSTORES, or 2x21 to 5x21, got {instance!r}")
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        first, last = SPLITS[split]
        self._longest = last - first - HISTORY
        tensor = synthetic_sales(stores) if sales is None else load_sales(sales)
        if tensor.shape[1] != stores:
            raise ValueError(
                f"sales: expected {stores} stores as in {instance!r}, got {tensor.shape[1]}"
            )
        # What the agent may know of demand in general comes from the training weeks alone.
        past = tensor[:, :, slice(*SPLITS["train"])]
        self._mean, self._std = past.mean(axis=2), past.std(axis=2)
        self._weeks = tensor[:, :, first:last].transpose(0, 2, 1)
        self._price = published.price_of_products(len(tensor))
        if many:
            connections = published.edges_of(published.RETAIL_TOPOLOGIES[warehouses])
            purchase = list(published.PURCHASE_COST[:warehouses])
        else:
            leads = published.lead_times(stores, 5)
            connections = [(0, store, int(lead)) for store, lead in enumerate(leads)]
            purchase = [0.0]
        network, lead_time = bipartite(warehouses, stores, connections, backlog=False)
        mean = self._mean.mean(axis=0)
        holding = published.WAREHOUSE_HOLDING[:warehouses]
        data = make_instance(
            network,
            lead_time=lead_time,
            holding_cost=[*holding, *published.stores(stores).holding],
            shortage_cost=np.zeros(stores),
            price=np.full(stores, self._price.mean()),
            unit_cost=[*purchase, *[0.0] * len(connections)],
            demand_mean=mean,
            demand_std=self._std.mean(axis=0),
            calendar=calendar(first + HISTORY, self._longest + 1),
            history=HISTORY,
        )
        # The best-selling product must be able to fill its shelves.
        limits = order_limits(network, lead_time, self._mean.max(axis=0))
        setting = Setting(network, data, self, order_limit=limits)
        horizon = self._longest if horizon is None else horizon
        super().__init__(setting, horizon, warm_up, action_mode, normalized, observe_data)

    def _set_horizon(self, horizon: int, warm_up: int) -> None:
        super()._set_horizon(horizon, warm_up)
        if horizon > self._longest:
            raise ValueError(f"horizon: expected an integer in 1..{self._longest}, got {horizon}")

    def sample_instances(self, rngs: Generators) -> RetailInstance:
        """Draw a product for every episode."""
        draws = uniform(rngs, ())
        product = np.floor(draws * len(self._weeks)).astype(np.int64)
        base = super().sample_instances(rngs)
        seen = self._weeks[product, :HISTORY]
        inner = np.zeros((*seen.shape[:2], self.network.num_internal))
        values = {name: getattr(base, name) for name in base.names()}
        price = np.repeat(self._price[product, None], self.network.num_stores, axis=1)
        values |= {
            "price": price,
            "demand_mean": self._mean[product],
            "demand_std": self._std[product],
            "initial_history": np.concatenate([inner, seen], axis=2),
        }
        return RetailInstance(**values, product=product)

    def sample_exogenous(self, instance: InventoryInstance, rngs: Generators) -> Demand:
        """The weeks of every episode's product; nothing is random any more."""
        return Demand(self.sample(instance, rngs, self.horizon))

    def sample(self, instance: InventoryInstance, rngs: Generators, horizon: int) -> np.ndarray:
        """Demand (B, T, n): the problem is its own law of demand."""
        assert isinstance(instance, RetailInstance)
        return self._weeks[instance.product, HISTORY : HISTORY + horizon].copy()
