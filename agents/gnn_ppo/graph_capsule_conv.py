"""Graph capsule convolution in the form of torch-geometric."""

from __future__ import annotations

import torch
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from agents.gnn_ppo.graph_capsule import Capsules


class GraphCapsuleConv(Capsules, MessagePassing):
    """Graph capsule convolution of graphs as lists of edges, batched as torch-geometric does."""

    def forward(
        self, x: torch.Tensor, edge_index: torch.Tensor, edge_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return new features (n, outputs).

        Parameters
        ----------
        x
            Features (n, inputs).
        edge_index, edge_weight
            Both directions of every edge, (2, E), without loops, and their weights (E,), all 1 if
            there are none.
        """
        source, target = edge_index
        weight = x.new_ones(len(source)) if edge_weight is None else edge_weight
        degree: torch.Tensor = scatter(weight, target, dim=0, dim_size=len(x), reduce="sum")
        if self.normalization == "published":
            own = (degree - 1.0)[:, None]
        else:
            inverse = torch.where(degree > 0, 1 / degree.clamp(min=1e-12), 0.0)
            own = (degree > 0).to(x.dtype)[:, None]
            if self.normalization == "rw":
                weight = inverse[target] * weight
            else:
                weight = inverse[target].sqrt() * weight * inverse[source].sqrt()

        def laplacian(features: torch.Tensor) -> torch.Tensor:
            received: torch.Tensor = self.propagate(edge_index, x=features, weight=weight)  # type: ignore[operator]
            return own * features - received

        return self.convolve(x, laplacian)

    def message(self, x_j: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Weighted features of the sources."""
        return weight[:, None] * x_j
