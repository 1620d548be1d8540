"""What a policy knows of a network: its structure and data, and how to read observations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from or_envs.inventory.problem import InventoryNetwork

#: Data that an observation may hold instead, where they differ between instances.
_DATA = (
    "holding_cost",
    "shortage_cost",
    "price",
    "unit_cost",
    "lead_time",
    "demand_mean",
    "demand_std",
)


class NetworkView(nn.Module):
    """Structure and data of an inventory network as tensors, built from a description in JSON.

    Parameters
    ----------
    description
        What :func:`describe` returns.
    """

    supplier: torch.Tensor
    buyer: torch.Tensor
    below: torch.Tensor
    limit: torch.Tensor
    outside: torch.Tensor
    flow: torch.Tensor
    lead_time: torch.Tensor
    demand_mean: torch.Tensor

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        self.description = description
        self.layout = {name: tuple(shape) for name, shape in description["layout"].items()}
        self.scale = float(description["scale"])
        self.integer = bool(description["integer"])
        self.must_empty = bool(description["must_empty"])
        self.edges = [(int(supplier), int(buyer)) for supplier, buyer in description["edges"]]
        self.num_nodes = int(description["num_nodes"])
        self.num_stores = int(description["num_stores"])
        self.num_edges = len(self.edges)
        #: Whether any node supplies another.
        self.internal = any(supplier >= 0 for supplier, _ in self.edges)
        self.first_store = self.num_nodes - self.num_stores
        for name in ("supplier", "buyer", "below", "limit", *_DATA):
            tensor = torch.tensor(description[name], dtype=torch.get_default_dtype())
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("outside", 1 - self.supplier.sum(dim=0), persistent=False)
        mean = self.below[:, self.first_store :] @ self.demand_mean
        self.register_buffer("flow", mean @ self.buyer, persistent=False)

    def parts(self, observation: torch.Tensor) -> dict[str, torch.Tensor]:
        """Split observations (B, size) by the layout; units stay divided by ``scale``."""
        found = {}
        start = 0
        for name, shape in self.layout.items():
            size = math.prod(shape)
            found[name] = observation[:, start : start + size].reshape(-1, *shape)
            start += size
        return found

    def data(self, parts: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        """Data of the instances, (B, ...) if they are observed, else (1, ...); demand in units."""
        if name in parts:
            return parts[name] * self.scale if name.startswith("demand") else parts[name]
        value: torch.Tensor = getattr(self, name)
        return value[None]


def describe(problem: InventoryNetwork) -> dict[str, Any]:
    """Describe a problem's network and data by what JSON can hold."""
    data, network = problem.setting.data, problem.network
    description: dict[str, Any] = {
        "layout": {name: list(shape) for name, shape in problem.layout.items()},
        "scale": problem.scale,
        "integer": problem.setting.integer,
        "must_empty": network.must_empty,
        "edges": [list(edge) for edge in network.edges],
        "num_nodes": network.num_nodes,
        "num_stores": network.num_stores,
        "limit": problem.setting.order_limit.tolist(),
    }
    for name in ("supplier", "buyer", "below", *_DATA):
        description[name] = np.asarray(getattr(data, name))[0].tolist()
    return description
