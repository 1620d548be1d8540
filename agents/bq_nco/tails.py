"""What the network sees: the tail sub-problem of a state as tokens, one function per problem.

A tail holds nothing but what the rest of the solution depends on (bisimulation quotienting,
arXiv 2301.03313). Routing tails can be canonical: translated to the origin, turned so that the
destination lies on the x axis, and scaled, as the best completion does not depend on any of these.
Canonical tails also have distances as features of edges.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import torch
from array_api_compat import torch as xp

from or_envs.core.arrays import gather
from or_envs.core.problem import AnyProblem
from or_envs.knapsack.problem import Knapsack, KnapsackInstance, KnapsackState
from or_envs.routing.atsp import ATSP, ATSPInstance
from or_envs.routing.cvrp import CVRP, CVRPInstance, CVRPState
from or_envs.routing.metric import legs_from, longest_leg
from or_envs.routing.orienteering import (
    TOLERANCE,
    Orienteering,
    OrienteeringInstance,
    OrienteeringState,
    within,
)
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSP, TSPInstance

_TINY = 1e-9
#: Demands beyond this multiple of the load look alike.
_MOST = 2.0


@dataclasses.dataclass(frozen=True)
class Tail:
    """A batch of tail sub-problems with n tokens each.

    Attributes
    ----------
    features
        (B, n, F) float32.
    edges
        From row to column, (B, n, n, E) float32, or ``None``.
    allowed
        Outputs that may be chosen, bool (B, n, K).
    present
        Tokens that are there, bool (B, n); ``None`` if all are.
    actions
        The environment's action for each output, integers (B, n, K).
    links
        How likely it is that one token follows the other, as a relaxation has it, symmetric
        (B, n, n), or ``None``; see :mod:`agents.bq_nco.relaxation`.
    """

    features: torch.Tensor
    edges: torch.Tensor | None
    allowed: torch.Tensor
    present: torch.Tensor | None
    actions: torch.Tensor
    links: torch.Tensor | None = None

    def rows(self, index: torch.Tensor) -> Tail:
        """Pick rows."""
        return Tail(
            self.features[index],
            None if self.edges is None else self.edges[index],
            self.allowed[index],
            None if self.present is None else self.present[index],
            self.actions[index],
            None if self.links is None else self.links[index],
        )


class TailView(Protocol):
    """From instances and states (torch, not final) to tails."""

    #: Features per token, features per edge, outputs per token.
    num_features: int
    num_edges: int
    num_outputs: int
    #: Whether features of edges say what those of tokens do not.
    mixes_edges: bool
    #: Whether the first token is an origin and the last a destination.
    has_ends: bool
    #: Whether solutions may leave tokens out, so that the network tells which ones as well.
    has_members: bool

    def __call__(self, instance: Any, state: Any) -> Tail:
        """Return the tails of a batch."""


def candidates(problem: str, instance: Any, state: Any) -> torch.Tensor:
    """Nodes that may still be chosen, bool (B, N)."""
    remaining: torch.Tensor = state.remaining
    if problem == Orienteering.__name__:
        remaining = remaining & within(xp, instance, state.current, state.left)
    return remaining


def nearest(problem: str, instance: Any, state: Any, count: int) -> tuple[Any, Any]:
    """Return a routing problem's instance and state with the ``count`` nearest candidates only.

    They are for the network to look at, not for the environment. On instances larger than those of
    training it saves time, and keeps tails as small as the network knows them: what lies outside
    also counts as no farther than what is left. So where candidates of a TSP are left out and the
    destination is farther than the others, it moves straight towards the current city until it is
    as far as the farthest of them.
    """
    keep = candidates(problem, instance, state)
    if keep.shape[1] <= count:
        return instance, state
    away = legs_from(xp, instance, state.current).masked_fill(~keep, torch.inf)
    closest = away.topk(count, dim=1, largest=False).indices
    near = torch.zeros_like(keep).scatter(1, closest, True) & keep
    if problem == TSP.__name__:
        crowded = keep.sum(dim=1) > count
        instance = _draw_in(instance, state.current, near, crowded)
    return instance, dataclasses.replace(state, remaining=near)


def _draw_in(
    instance: TSPInstance, current: torch.Tensor, near: torch.Tensor, rows: torch.Tensor
) -> TSPInstance:
    """Move city 0 of ``rows`` (B,) towards ``current`` (B,), see :func:`nearest`."""
    points = instance.coordinates
    here = points[torch.arange(len(points), device=points.device), current]
    reach = ((points - here[:, None]).norm(dim=2) * near).amax(dim=1)
    way = points[:, 0] - here
    share = (reach / way.norm(dim=1).clamp(min=_TINY)).clamp(max=1.0)
    share = torch.where(rows, share, 1.0)[:, None]
    return dataclasses.replace(
        instance, coordinates=torch.cat([(here + share * way)[:, None], points[:, 1:]], dim=1)
    )


def view_of(
    problem: AnyProblem | str, canonical: bool = True, penalty: str = "distance"
) -> TailView:
    """Return the view of a problem, or of the name of its class.

    Parameters
    ----------
    problem, canonical
        See the module.
    penalty
        Of :class:`agents.bq_nco.network.BQNetwork`; with "squared", tails need no edges.

    Raises
    ------
    ValueError
        If there is none.
    """
    name = problem if isinstance(problem, str) else type(problem).__name__.replace("Compiled", "")
    if name not in VIEWS:
        raise ValueError(f"env: BQ-NCO knows {', '.join(VIEWS)}, got {name}")
    if penalty not in ("distance", "squared"):
        raise ValueError(f"penalty: expected 'distance' or 'squared', got {penalty!r}")
    if penalty == "squared":
        if not canonical or name not in ("TSP", "CVRP"):
            raise ValueError(
                f"penalty: expected 'distance' except for canonical TSP and CVRP, got {penalty!r}"
            )
        bare: TailView = VIEWS[name](canonical, pairs=False)
        return bare
    view: TailView = VIEWS[name](canonical)
    return view


def _compact(remaining: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Numbers of the remaining nodes, (B, m), and which of them are there (``None`` if all).

    m is the largest number of any row; rows with fewer are filled up with other nodes.
    """
    counts = remaining.sum(dim=1)
    most = int(counts.max())
    order = torch.argsort((~remaining).to(torch.int8), dim=1, stable=True)[:, :most]
    if int(counts.min()) == most:
        return order, None
    return order, torch.arange(most, device=order.device)[None, :] < counts[:, None]


def _with_ends(nodes: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Tokens (B, m + 2): the origin, the nodes, and node 0."""
    return torch.cat([first[:, None], nodes, torch.zeros_like(first)[:, None]], dim=1)


def _true_ends(present: torch.Tensor | None) -> torch.Tensor | None:
    if present is None:
        return None
    ends = torch.ones_like(present[:, :1])
    return torch.cat([ends, present, ends], dim=1)


def _middle(inner: torch.Tensor) -> torch.Tensor:
    """Allowed outputs (B, m + 2, K): the ends never are."""
    ends = torch.zeros_like(inner[:, :1])
    return torch.cat([ends, inner, ends], dim=1)


def _geometry(
    points: torch.Tensor,
    canonical: bool,
    present: torch.Tensor | None = None,
    size: torch.Tensor | None = None,
) -> torch.Tensor:
    """Features (B, n, 2 or 4) of points whose first is the origin and last the destination.

    Canonical: coordinates in the frame of origin and destination, and the distances to both, in
    units of ``size`` (B,), by default the largest distance from the origin. Where origin and
    destination are the same place, the farthest point takes the destination's part.
    """
    if not canonical:
        return points
    moved = points - points[:, :1]
    away = moved.norm(dim=2)
    longest, farthest = (away if present is None else away * present).max(dim=1)
    if size is None:
        size = longest
    unit = size.clamp(min=_TINY)[:, None]
    closed = away[:, -1] <= _TINY
    end = torch.where(closed[:, None], moved[torch.arange(len(moved)), farthest], moved[:, -1])
    length = end.norm(dim=1, keepdim=True)
    axis = torch.where(length > _TINY, end / length.clamp(min=_TINY), end.new_tensor([1.0, 0.0]))
    along = (moved * axis[:, None, :]).sum(dim=2)
    across = moved[..., 1] * axis[:, None, 0] - moved[..., 0] * axis[:, None, 1]
    home = (points - points[:, -1:]).norm(dim=2)
    return torch.stack([along, across, away, home], dim=2) / unit[..., None]


def _distances(geometry: torch.Tensor, wanted: bool) -> torch.Tensor | None:
    """Distances (B, n, n, 1) between points in canonical coordinates."""
    if not wanted:
        return None
    points = geometry[..., :2].float()
    return (points[:, :, None, :] - points[:, None, :, :]).norm(dim=3, keepdim=True)


def _columns(*columns: torch.Tensor) -> torch.Tensor:
    return torch.cat([c if c.ndim == 3 else c[..., None] for c in columns], dim=2).float()


class TSPTail:
    """Origin, remaining cities, destination."""

    mixes_edges, num_outputs, has_ends, has_members = False, 1, True, False

    def __init__(self, canonical: bool, pairs: bool = True) -> None:
        self.canonical = canonical
        self.num_edges = int(canonical and pairs)
        self.num_features = 4 if canonical else 2

    def __call__(self, instance: TSPInstance, state: TourState) -> Tail:
        """Return the tails of a batch."""
        nodes, present = _compact(state.remaining)
        tokens = _with_ends(nodes, state.current)
        points = gather(xp, instance.coordinates, tokens)
        inside = torch.ones_like(nodes, dtype=torch.bool) if present is None else present
        there = _true_ends(present)
        geometry = _geometry(points, self.canonical, there)
        return Tail(
            _columns(geometry),
            _distances(geometry, self.num_edges > 0),
            _middle(inside[..., None]),
            there,
            tokens[..., None],
        )


class ATSPTail:
    """Origin, remaining cities, destination; distances both ways are features of edges.

    Canonical: distances are in units of their mean, and cities have the smallest and the mean
    distance to and from the others as features.
    """

    num_edges, mixes_edges, num_outputs, has_ends = 2, True, 1, True
    has_members = False

    def __init__(self, canonical: bool) -> None:
        self.canonical = canonical
        self.num_features = 6 if canonical else 2

    def __call__(self, instance: ATSPInstance, state: TourState) -> Tail:
        """Return the tails of a batch."""
        nodes, _ = _compact(state.remaining)
        tokens = _with_ends(nodes, state.current)
        rows = gather(xp, instance.distances, tokens)
        there = torch.gather(rows, 2, tokens[:, None, :].expand(-1, tokens.shape[1], -1))
        # Ways to the origin, from the destination and between the two do not belong to the tail.
        there[:, :, 0] = 0.0
        there[:, -1, :] = 0.0
        there[:, 0, -1] = 0.0
        size = there.mean(dim=(1, 2)) if self.canonical else longest_leg(xp, instance)
        there = there / size.clamp(min=_TINY)[:, None, None]
        edges = torch.stack([there, there.transpose(1, 2)], dim=3).float()
        features = _columns(there[:, 0, :], there[:, :, -1])
        if self.canonical:
            # Ways that do not belong to the tail, and those from a city to itself, are none.
            barred = torch.eye(there.shape[1], dtype=torch.bool, device=there.device).clone()
            barred[:, 0] = barred[-1, :] = barred[0, -1] = True
            blocked = there.masked_fill(barred, torch.inf)
            summary = [blocked.amin(dim=axis).nan_to_num(posinf=0.0) for axis in (1, 2)]
            summary += [there.mean(dim=axis) for axis in (1, 2)]
            features = _columns(features, *summary)
        inside = torch.ones_like(nodes, dtype=torch.bool)[..., None]
        return Tail(features, edges, _middle(inside), None, tokens[..., None])


class CVRPTail:
    """Origin, customers to serve, depot; outputs are "directly" and "by way of the depot"."""

    mixes_edges, num_outputs, has_ends, has_members = False, 2, True, False

    def __init__(self, canonical: bool, pairs: bool = True) -> None:
        self.canonical = canonical
        self.num_edges = int(canonical and pairs)
        self.num_features = (4 if canonical else 2) + 5

    def __call__(self, instance: CVRPInstance, state: CVRPState) -> Tail:
        """Return the tails of a batch."""
        nodes, _ = _compact(state.remaining)
        tokens = _with_ends(nodes, state.current)
        points = gather(xp, instance.coordinates, tokens)
        units = gather(xp, instance.demand, nodes)
        demand = torch.nn.functional.pad(units / instance.capacity[:, None], (1, 1))
        total = units.sum(dim=1).clamp(min=_TINY)
        shares = [state.load / instance.capacity, state.load / total, instance.capacity / total]
        # More than the rest needs is as good as what it needs.
        vehicle = [share.clamp(max=1.0)[:, None].expand_as(demand) for share in shares]
        # How much of the load a customer takes.
        part = torch.nn.functional.pad(units / state.load[:, None].clamp(min=_TINY), (1, 1))
        direct = units <= state.load[:, None]
        around = (state.current != 0)[:, None].expand_as(direct)
        # Outputs of the ends are never allowed; their actions mean nothing.
        first = 2 * (tokens - 1).clamp(min=0)
        geometry = _geometry(points, self.canonical)
        return Tail(
            _columns(geometry, demand, part.clamp(max=_MOST), *vehicle),
            _distances(geometry, self.num_edges > 0),
            _middle(torch.stack([direct, around], dim=2)),
            None,
            torch.stack([first, first + 1], dim=2),
        )


class OrienteeringTail:
    """Origin, customers within reach, depot; lengths are in units of the length left.

    Canonical: edges also have what would be left after both customers and the way home, and whether
    that is enough; customers have their share of all prizes, and the share that can be reached by
    way of them.
    """

    mixes_edges, num_outputs, has_ends, has_members = False, 1, True, True

    def __init__(self, canonical: bool) -> None:
        self.canonical = canonical
        self.num_edges = 3 if canonical else 0
        self.num_features = 8 if canonical else 4

    def __call__(self, instance: OrienteeringInstance, state: OrienteeringState) -> Tail:
        """Return the tails of a batch."""
        reach = within(xp, instance, state.current, state.left)
        nodes, present = _compact(state.remaining & reach)
        tokens = _with_ends(nodes, state.current)
        points = gather(xp, instance.coordinates, tokens)
        left = state.left + TOLERANCE
        there = _true_ends(present)
        geometry = _geometry(points, self.canonical, there, left)
        inside = torch.ones_like(nodes, dtype=torch.bool) if present is None else present
        # What was collected at the origin does not belong to the tail.
        prize = torch.nn.functional.pad(gather(xp, instance.prize, nodes) * inside, (1, 1))
        share = prize / prize.max(dim=1, keepdim=True).values.clamp(min=_TINY)
        way = (points - points[:, :1]).norm(dim=2) + (points - points[:, -1:]).norm(dim=2)
        slack = 1.0 - way / left[:, None] if self.canonical else left[:, None].expand_as(share)
        allowed = _middle(inside[..., None])
        features = _columns(geometry, share, slack)
        edges = _distances(geometry, self.canonical)
        if edges is not None:
            away, home = features[:, :, None, 2], features[:, None, :, 3]
            spare = 1.0 - away - edges[..., 0] - home
            different = ~torch.eye(spare.shape[1], dtype=torch.bool, device=spare.device)
            both = (spare >= 0.0) & different & allowed[:, None, :, 0]
            edges = torch.stack([edges[..., 0], spare.clamp(min=-1.0), both.float()], dim=3)
            worth = prize / prize.sum(dim=1, keepdim=True).clamp(min=_TINY)
            after = worth + (both * worth[:, None, :]).sum(dim=2)
            features = _columns(features, worth, after)
        return Tail(features, edges, allowed, there, tokens[..., None])


class KnapsackTail:
    """Items that fit; weights are in units of the capacity left."""

    num_features, num_edges, mixes_edges = 4, 0, False
    num_outputs, has_ends, has_members = 1, False, False

    def __init__(self, canonical: bool) -> None:
        self.canonical = canonical

    def __call__(self, instance: KnapsackInstance, state: KnapsackState) -> Tail:
        """Return the tails of a batch."""
        items, present = _compact(state.remaining)
        there = torch.ones_like(items, dtype=torch.bool) if present is None else present
        value = gather(xp, instance.value, items) * there
        weight = gather(xp, instance.weight, items) * there
        left = state.left[:, None].clamp(min=_TINY)
        density = value / weight.clamp(min=_TINY)
        share = left / weight.sum(dim=1, keepdim=True).clamp(min=_TINY)
        features = _columns(
            weight / left,
            value / value.max(dim=1, keepdim=True).values.clamp(min=_TINY),
            density / density.max(dim=1, keepdim=True).values.clamp(min=_TINY),
            share.expand_as(value),
        )
        return Tail(features, None, there[..., None], present, items[..., None])


#: Name of a problem's class -> its view.
VIEWS: dict[str, Any] = {
    TSP.__name__: TSPTail,
    ATSP.__name__: ATSPTail,
    CVRP.__name__: CVRPTail,
    Orienteering.__name__: OrienteeringTail,
    Knapsack.__name__: KnapsackTail,
}
