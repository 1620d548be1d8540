"""The graph policy of arXiv 2306.11246: messages along the edges of the network."""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.utils import degree, scatter

from agents.hdpo.allocation import positive, proportional
from agents.hdpo.policies import NetworkPolicy, mlp
from agents.hdpo.symmetry import node_features


class GraphPolicy(NetworkPolicy):
    """Orders are read off the embeddings of edges after a few rounds of messages.

    The graph has the network's edges, an edge from every store to its customers, and, where goods
    may be kept, an edge from every supplying node to itself, whose output is what it wants to keep.
    Weights are shared by all nodes, all edges and all rounds, so that permuting stores permutes
    their orders.
    """

    def build(
        self,
        embedding: int = 32,
        net_arch: list[int] | None = None,
        rounds: int = 1,
        activation_fn: type[nn.Module] = nn.ELU,
    ) -> None:
        """Make the five networks.

        Parameters
        ----------
        embedding
            Size of the embeddings of nodes and edges.
        net_arch
            Hidden layers of each network (default: 32, 32).
        rounds
            Rounds of messages, at least 1.
        activation_fn
            Activation, also after the last layer of the embeddings.
        """
        if rounds < 1:
            raise ValueError(f"rounds: expected an integer >= 1, got {rounds}")
        assert self.observation_space.shape is not None
        view = self.view
        hidden = [32, 32] if net_arch is None else list(net_arch)
        suppliers = view.supplier.sum(dim=1).nonzero()[:, 0].tolist()
        kept = [] if view.must_empty else suppliers
        customers = range(view.first_store, view.num_nodes)
        # Outside and customers are the node after the last, whose embedding is 0.
        void = view.num_nodes
        source = [s if s >= 0 else void for s, _ in view.edges] + [*kept, *customers]
        target = [b for _, b in view.edges] + kept + [void] * len(customers)
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.int64), persistent=False)
        self.register_buffer("source", torch.tensor(source), persistent=False)
        self.register_buffer("target", torch.tensor(target), persistent=False)
        for name, ends in (("in_degree", self.target), ("out_degree", self.source)):
            number = degree(ends, void + 1)[:void].clamp(min=1)
            self.register_buffer(name, number[:, None], persistent=False)
        features = node_features(view, torch.zeros(1, self.observation_space.shape[0])).shape[2]
        self.rounds = rounds

        def embed(inputs: int) -> nn.Sequential:
            return nn.Sequential(mlp(inputs, hidden, embedding, activation_fn), activation_fn())

        self.node_net = embed(features)
        self.edge_net = embed(2 * embedding + 1)
        self.node_update = embed(3 * embedding)
        self.edge_update = embed(3 * embedding)
        self.output = mlp(embedding, hidden, 1, activation_fn)

    in_degree: torch.Tensor
    out_degree: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    kept: torch.Tensor

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        view = self.view
        parts = view.parts(observation)
        nodes = self.node_net(node_features(view, observation))
        lead_time = view.data(parts, "lead_time").expand(len(observation), -1)
        extra = lead_time.new_zeros(len(observation), len(self.source) - view.num_edges)
        times = torch.cat([lead_time, extra], dim=1)[:, :, None]
        edges = self.edge_net(torch.cat([*self._ends(nodes, len(self.source)), times], dim=2))
        num, read = view.num_edges, view.num_edges + len(self.kept)
        for step in range(self.rounds):
            received = self._sum(edges, self.target) / self.in_degree.sqrt()
            sent = self._sum(edges, self.source) / self.out_degree.sqrt()
            nodes = nodes + self.node_update(torch.cat([nodes, received, sent], dim=2))
            if step == self.rounds - 1:  # nobody reads the last message to the customers
                edges = edges[:, :read]
            source, target = self._ends(nodes, edges.shape[1])
            edges = edges + self.edge_update(torch.cat([edges, source, target], dim=2))
        outputs = positive(self.output(edges)[:, :, 0])
        wanted = view.flow * outputs[:, :num]
        if not view.internal:
            return wanted
        on_hand = parts["on_hand"] * view.scale
        if not len(self.kept):
            return proportional(view, wanted, on_hand)
        keep = torch.zeros_like(on_hand).index_copy(1, self.kept, outputs[:, num:] * view.scale)
        return proportional(view, wanted, on_hand, keep)

    def _sum(self, edges: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Sum of the embeddings of edges over the nodes that they start or end at, (B, N, F)."""
        void = self.view.num_nodes
        return scatter(edges, ends, dim=1, dim_size=void + 1, reduce="sum")[:, :void]

    def _ends(self, nodes: torch.Tensor, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of source and target of the first ``num`` edges, (B, num, F) each."""
        padded = torch.cat([nodes, torch.zeros_like(nodes[:, :1])], dim=1)
        return padded[:, self.source[:num]], padded[:, self.target[:num]]
