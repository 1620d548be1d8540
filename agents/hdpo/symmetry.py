"""The symmetry-aware policy: one small network, shared by all edges of a kind, and a context."""

from __future__ import annotations

import torch
from torch import nn

from agents.hdpo.allocation import positive, proportional
from agents.hdpo.policies import NetworkPolicy, mlp
from agents.hdpo.view import NetworkView


class SymmetryAwarePolicy(NetworkPolicy):
    """Wishes of edges by shared weights, from the buyer's own stock, its data and a common context.

    The context is a perceptron of the whole observation. With ``context_size=0`` there is none, and
    every store decides as if it were alone: the weight sharing of arXiv 2306.11246 for
    independent stores. Edges into stores and into other nodes have a network each.
    """

    stores: torch.Tensor
    others: torch.Tensor

    def build(
        self,
        context_size: int = 64,
        context_arch: list[int] | None = None,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ELU,
    ) -> None:
        """Make the context network and the two networks of edges."""
        if context_size < 0:
            raise ValueError(f"context_size: expected an integer >= 0, got {context_size}")
        assert self.observation_space.shape is not None
        hidden = [32, 32] if net_arch is None else list(net_arch)
        self.context: nn.Module | None = None
        if context_size:
            arch = [128] if context_arch is None else list(context_arch)
            inputs = self.observation_space.shape[0]
            self.context = nn.Sequential(
                mlp(inputs, arch, context_size, activation_fn), nn.Sigmoid()
            )
        features = edge_features(self.view, torch.zeros(1, self.observation_space.shape[0]))
        inputs = features.shape[2] + context_size
        view = self.view
        into_stores = [buyer >= view.first_store for _, buyer in view.edges]
        for name, kind in (("stores", True), ("others", False)):
            edges = [e for e, is_store in enumerate(into_stores) if is_store is kind]
            index = torch.tensor(edges, dtype=torch.int64)
            self.register_buffer(name, index, persistent=False)
        self.store_net = mlp(inputs, hidden, 1, activation_fn)
        self.other_net = mlp(inputs, hidden, 1, activation_fn) if not all(into_stores) else None

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        view = self.view
        features = edge_features(view, observation)
        if self.context is not None:
            context = self.context(observation)[:, None, :].expand(-1, view.num_edges, -1)
            features = torch.cat([features, context], dim=2)
        scores = self.store_net(features[:, self.stores])[:, :, 0]
        if self.other_net is not None:
            others = self.other_net(features[:, self.others])[:, :, 0]
            place = torch.argsort(torch.cat([self.others, self.stores]))
            scores = torch.cat([others, scores], dim=1)[:, place]
        wanted = view.flow * positive(scores)
        if not view.internal:
            return wanted
        on_hand = view.parts(observation)["on_hand"] * view.scale
        return proportional(view, wanted, on_hand)


def node_features(view: NetworkView, observation: torch.Tensor) -> torch.Tensor:
    """Stocks and data of every node, (B, N, F); units divided by ``scale``."""
    parts = view.parts(observation)
    num = len(observation)
    pipeline = torch.einsum("bep,ne->bnp", parts["pipeline"], view.buyer)
    columns = [parts["on_hand"][:, :, None], pipeline]
    if "history" in parts:
        columns.append(parts["history"].transpose(1, 2))
    columns.append(view.data(parts, "holding_cost")[:, :, None].expand(num, -1, -1))
    for name in ("shortage_cost", "price", "demand_mean", "demand_std"):
        value = view.data(parts, name)
        if name.startswith("demand"):
            value = value / view.scale
        inner = value.new_zeros(len(value), view.first_store)
        columns.append(torch.cat([inner, value], dim=1)[:, :, None].expand(num, -1, -1))
    if "calendar" in parts:
        columns.append(parts["calendar"][:, None, :].expand(-1, view.num_nodes, -1))
    return torch.cat(columns, dim=2)


def edge_features(view: NetworkView, observation: torch.Tensor) -> torch.Tensor:
    """Features of the buyer of every edge, and the edge's own lead time and cost, (B, E, F)."""
    parts = view.parts(observation)
    num = len(observation)
    at_buyer = torch.einsum("bnf,ne->bef", node_features(view, observation), view.buyer)
    own = [
        view.data(parts, name)[:, :, None].expand(num, -1, -1)
        for name in ("lead_time", "unit_cost")
    ]
    columns = [at_buyer, *own]
    if "backorders" in parts:
        columns.append(parts["backorders"][:, :, None])
    if "orders" in parts:
        columns.append(parts["orders"])
    return torch.cat(columns, dim=2)
