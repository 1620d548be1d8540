"""Encoder of the job shop's observation "graph": the dynamic disjunctive graph.

Message passing of the family of arXiv 2106.01086, with means in place of sums and the edges that
arXiv 2302.02506's problem adds: who holds a machine that others wait for.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.utils import scatter

from agents.gnn_ppo.encoder import Encoded, Encoder, Seen
from or_envs.job_shop.observations import NODE_FEATURES

_WAITING = NODE_FEATURES.index("waiting")
_BLOCKING = NODE_FEATURES.index("finished, and blocking its machine")
_STANDS = NODE_FEATURES.index("on its machine")

#: Kinds of edges: from a job's operation to the one after it, and back; between operations on one
#: machine; from the one that stands on a machine to those that wait for it; from one that blocks a
#: machine to the one that stands on the machine that its job needs next.
RELATIONS = ("successor", "predecessor", "same_machine", "hold", "want")


@dataclasses.dataclass(frozen=True)
class Graph:
    """Operations that are left of a batch of shops, as one graph; n nodes.

    Attributes
    ----------
    features
        (n, 13).
    shop
        Row of the batch that each node belongs to, (n,).
    slot
        Place of each node among the (B J K) slots of operations, (n,).
    machine
        Machine of each node, numbered through the batch, (n,).
    edges
        (2, E) sources and targets of every kind of edge but "same_machine", whose mean follows from
        sums over machines: O(n) in place of O(n J).
    """

    features: torch.Tensor
    shop: torch.Tensor
    slot: torch.Tensor
    machine: torch.Tensor
    edges: dict[str, torch.Tensor]


def graph_of(seen: Seen) -> Graph:
    """Collect nodes and edges; :func:`or_envs.job_shop.graph.edges` has them as dense matrices."""
    nodes, machine = seen["nodes"], seen["machine"]
    rows, jobs, operations = machine.shape
    flat = machine.reshape(-1)
    slot = torch.nonzero(flat >= 0)[:, 0]
    shop = slot // (jobs * operations)
    features = nodes.reshape(-1, nodes.shape[-1])[slot]
    machines = int(machine.max()) + 1 if len(slot) else 1
    on = flat[slot] + machines * shop
    # Operations of a job are next to each other, and those that are left have no gaps.
    job = slot // operations
    before = torch.nonzero(job[1:] == job[:-1])[:, 0]
    successor = torch.stack([before, before + 1])
    # At most one operation stands on a machine.
    standing = torch.full((rows * machines,), -1, dtype=torch.long, device=flat.device)
    stands = torch.nonzero(features[:, _STANDS] > 0.5)[:, 0]
    standing[on[stands]] = stands
    waiting = torch.nonzero(features[:, _WAITING] > 0.5)[:, 0]
    hold = torch.stack([standing[on[waiting]], waiting])
    blocking = torch.nonzero(features[:, _BLOCKING] > 0.5)[:, 0]
    # What blocks has a successor, the next node.
    want = torch.stack([blocking, standing[on[blocking + 1]]])
    edges = {
        "successor": successor,
        "predecessor": successor.flip(0),
        "hold": hold[:, hold[0] >= 0],
        "want": want[:, want[1] >= 0],
    }
    return Graph(features, shop, slot, on, edges)


class JobGraph(Encoder):
    """Rounds of messages between operations; a job's candidate is its next operation.

    Parameters
    ----------
    width
        Width of the embeddings.
    layers
        Rounds of messages, >= 1.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__(width)
        if layers < 1:
            raise ValueError(f"layers: expected an integer >= 1, got {layers}")
        self.embed = nn.Linear(len(NODE_FEATURES), width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, seen: Seen) -> Encoded:
        """Embed a batch of observations."""
        graph = graph_of(seen)
        rows, jobs, operations = seen["machine"].shape
        first = F.relu(self.embed(graph.features))
        x = first
        for layer in self.layers:
            x = layer(x, first, graph, rows)
        x = F.relu(x)
        context = torch.cat([mean_of(x, graph.shop, rows), _max_of(x, graph.shop, rows)], dim=1)
        return Encoded(self._candidates(x, graph, rows * jobs, operations, jobs), context)

    def _candidates(
        self, x: torch.Tensor, graph: Graph, all_jobs: int, operations: int, jobs: int
    ) -> torch.Tensor:
        """Embeddings (B, J, F) of the operation that waits; of the first one left if none does."""
        job = graph.slot // operations
        place = torch.arange(len(job), device=x.device)
        # What waits is the first node of its job, or the second behind the one that blocks.
        first = torch.full((all_jobs,), len(job), dtype=torch.long, device=x.device)
        first = first.scatter_reduce(0, job, place, "amin")
        waiting = graph.features[:, _WAITING] > 0.5
        first[job[waiting]] = place[waiting]
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        return padded[first].reshape(-1, jobs, x.shape[1])


class Layer(nn.Module):
    """One round of messages: a network per kind of edge, then one over everything together.

    h' = norm(h + f_n(relu f_r(mean over r-neighbours of h) for r in RELATIONS | relu mean of all h
    | h | h_0)), where | is concatenation.

    Parameters
    ----------
    width
        Width of the embeddings.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.messages = nn.ModuleDict({name: nn.Linear(width, width) for name in RELATIONS})
        self.combine = nn.Sequential(
            nn.Linear((len(RELATIONS) + 3) * width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: torch.Tensor, first: torch.Tensor, graph: Graph, rows: int
    ) -> torch.Tensor:
        """Return new embeddings (n, F)."""
        means = {
            name: mean_of(x[source], target, len(x))
            for name, (source, target) in graph.edges.items()
        }
        means["same_machine"] = others_on_machine(x, graph)
        everything = mean_of(x, graph.shop, rows)[graph.shop]
        return self.update(x, first, means, everything)

    def update(
        self,
        x: torch.Tensor,
        first: torch.Tensor,
        means: dict[str, torch.Tensor],
        everything: torch.Tensor,
    ) -> torch.Tensor:
        """New embeddings from the means over neighbours, one per kind of edge, and over all."""
        received = [F.relu(self.messages[name](means[name])) for name in RELATIONS]
        joined = torch.cat([*received, F.relu(everything), x, first], dim=-1)
        return self.norm(x + self.combine(joined))  # type: ignore[no-any-return]


def mean_of(x: torch.Tensor, target: torch.Tensor, num: int) -> torch.Tensor:
    """Mean (num, F) of the rows that go to each target; 0 where none does."""
    mean: torch.Tensor = scatter(x, target, dim=0, dim_size=num, reduce="mean")
    return mean


def others_on_machine(x: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Mean (n, F) over the other operations on the node's machine; 0 where there are none."""
    num = int(graph.machine.max()) + 1 if len(x) else 0
    total: torch.Tensor = scatter(x, graph.machine, dim=0, dim_size=num, reduce="sum")
    count = torch.bincount(graph.machine, minlength=num).to(x.dtype)
    others = (count[graph.machine] - 1.0).clamp(min=1.0)
    return (total[graph.machine] - x) / others[:, None]


def _max_of(x: torch.Tensor, target: torch.Tensor, num: int) -> torch.Tensor:
    largest: torch.Tensor = scatter(x, target, dim=0, dim_size=num, reduce="max")
    return largest
