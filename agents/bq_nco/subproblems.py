"""Training data: random tail sub-problems of solved instances, cut on the device by index.

One draw gives instances and states in the environment's own terms, and the actions that the
solution takes next. All draws of a batch have nearly the same size, so that nothing is padded.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from array_api_compat import torch as xp

from agents.bq_nco.relaxation import CERTAIN
from agents.bq_nco.tails import nearest
from or_envs.core.arrays import gather
from or_envs.knapsack.problem import KnapsackInstance, KnapsackState
from or_envs.routing import tree_shares
from or_envs.routing.atsp import ATSPInstance
from or_envs.routing.cvrp import CVRPInstance, CVRPState
from or_envs.routing.orienteering import OrienteeringInstance, OrienteeringState
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSP, TSPInstance

#: 1-trees of the relaxation of a whole tour, and tours that are relaxed at a time.
_TREES, _TOGETHER = 60, 100


@dataclasses.dataclass(frozen=True)
class Draw:
    """Sub-problems with the solution's next step.

    Attributes
    ----------
    instance, state
        Torch, B rows.
    targets
        Actions that are as good as each other, integers (B, J); -1 fills up rows with fewer.
    members
        Nodes that the rest of the solution visits, bool (B, N), where it may leave some out
        (orienteering); else ``None``.
    places
        Place of each node on the path from origin to destination, integers (B, N), where all nodes
        have one (TSP); else ``None``.
    """

    instance: Any
    state: Any
    targets: torch.Tensor
    members: torch.Tensor | None = None
    places: torch.Tensor | None = None

    def rows(self, index: torch.Tensor) -> Draw:
        """Pick rows."""
        return Draw(
            self.instance.rows(index),
            self.state.rows(index),
            self.targets[index],
            None if self.members is None else self.members[index],
            None if self.places is None else self.places[index],
        )


class Subproblems(abc.ABC):
    """Solved instances of one problem on a device.

    Parameters
    ----------
    instance
        The instances, M rows (torch).
    actions
        Their solutions as the environment plays them in mode "bq", integers (M, T); -1 after the
        end.
    """

    @abc.abstractmethod
    def __init__(self, instance: Any, actions: torch.Tensor) -> None: ...

    @abc.abstractmethod
    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """Draw sub-problems of one random size, about ``tokens`` tokens in all."""


def _integer(rng: torch.Generator, low: int, high: int) -> int:
    """Uniform on low..high."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def _on_device(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """Return a generator of the device, which makes large draws without a copy."""
    if device.type == "cpu":
        return rng
    seed = int(torch.randint(2**62, (), generator=rng))
    return torch.Generator(device).manual_seed(seed)


def _pick(rng: torch.Generator, num: int, upper: int) -> torch.Tensor:
    """``num`` integers uniform on 0..upper - 1, on the device of ``rng``."""
    return torch.randint(upper, (num,), generator=rng, device=rng.device)


def _flip(rng: torch.Generator, points: torch.Tensor) -> torch.Tensor:
    """One of the eight symmetries of the unit square for each row of (B, n, 2)."""
    bits = torch.randint(2, (3, len(points), 1), generator=rng, device=rng.device)
    x = torch.where(bits[0] > 0, 1 - points[..., 0], points[..., 0])
    y = torch.where(bits[1] > 0, 1 - points[..., 1], points[..., 1])
    swap = bits[2] > 0
    return torch.stack([torch.where(swap, y, x), torch.where(swap, x, y)], dim=2)


def _no_visits(remaining: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(remaining[:, :0], dtype=torch.long)


def _tours(actions: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(actions, (1, 0))


def _doubtful(tours: torch.Tensor) -> torch.Tensor:
    """Cities of tours (M, N, 2) with an edge that is in doubt, as tour times N plus place.

    It must not be the tour's own edges that count: where the relaxation is nearly certain of an
    edge, only tours without it would be drawn.
    """
    num, cities, _ = tours.shape
    closed = torch.cat([tours, tours[:, :1]], dim=1).cpu().numpy()
    found = []
    for rows in np.array_split(np.arange(num), num // _TOGETHER + 1):
        present = np.ones((len(rows), cities + 1), np.bool_)
        shares = tree_shares.relax(closed[rows], present, _TREES).shares
        # The last point is the first city again.
        shares[:, 0] += shares[:, -1]
        shares[:, :, 0] += shares[:, :, -1]
        shares = shares[:, :-1, :-1]
        row, place = np.nonzero(((shares < CERTAIN) & (shares > 1 - CERTAIN)).any(axis=2))
        found.append(rows[row] * cities + place)
    return torch.from_numpy(np.concatenate(found))


def _after(first: int, num: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """Bool (num, size), true from node ``first`` on."""
    return (torch.arange(size, device=like.device) >= first).expand(num, size)


class TSPSubproblems(Subproblems):
    """Infixes of tours: any start, both directions, 4 to N + 1 cities, mirrored at random.

    Parameters
    ----------
    instance, actions
        See :class:`Subproblems`.
    largest
        Cities of the largest infix, if not N + 1.
    neighbours
        Of the policy, which sees so many cities nearest to the origin: infixes whose next city is
        not one of them are left out. 0: it sees all.
    doubtful
        Whether infixes begin at cities with an edge, of the tour or not, of which the tour's
        relaxation by 1-trees is not certain (:mod:`or_envs.routing.tree_shares`), if there is any:
        elsewhere nearly every next step is what the relaxation of the infix says.
    """

    def __init__(
        self,
        instance: TSPInstance,
        actions: torch.Tensor,
        largest: int | None = None,
        neighbours: int = 0,
        doubtful: bool = False,
    ) -> None:
        self.points = gather(xp, instance.coordinates, _tours(actions))
        self.largest = largest
        self.neighbours = neighbours
        #: Where infixes may begin: tour times cities, plus the city's place.
        self.starts = torch.arange(self.points.shape[0] * self.points.shape[1])
        if doubtful and len(found := _doubtful(self.points)):
            self.starts = found
        self.starts = self.starts.to(self.points.device)

    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """See the class."""
        luck = _on_device(rng, self.points.device)
        cities = self.points.shape[1]
        most = min(cities + 1, self.largest or cities + 1)
        size = _integer(rng, min(4, most), most)
        num = max(tokens // min(size, self.neighbours + 2 if self.neighbours else size), 1)
        start = self.starts[_pick(luck, num, len(self.starts))]
        rows, start = start // cities, start % cities
        direction = 2 * _pick(luck, num, 2) - 1
        steps = torch.arange(size, device=rows.device)
        places = (start[:, None] + direction[:, None] * steps) % cities
        flat = (rows[:, None] * cities + places).flatten()
        points = self.points.reshape(-1, 2)[flat].reshape(num, size, 2)
        # The environment's city 0 is the destination; then the origin and the rest follow.
        points = _flip(luck, torch.cat([points[:, -1:], points[:, :-1]], dim=1))
        remaining = _after(2, num, size, rows)
        current = torch.ones_like(rows)
        state = TourState(current, remaining, _no_visits(remaining), remaining.sum(dim=1))
        places = torch.roll(steps, 1).expand(num, size)
        draw = Draw(TSPInstance.euclidean(points), state, 2 * current[:, None], places=places)
        if not self.neighbours:
            return draw
        _, seen = nearest(TSP.__name__, draw.instance, draw.state, self.neighbours)
        # Hardly ever does the solution go farther than that.
        return draw.rows(torch.nonzero(seen.remaining[:, 2])[:, 0])


class ATSPSubproblems(Subproblems):
    """Infixes of tours: any start, 4 to N + 1 cities."""

    def __init__(self, instance: ATSPInstance, actions: torch.Tensor) -> None:
        tours = _tours(actions)
        rows = gather(xp, instance.distances, tours)
        self.distances = torch.gather(rows, 2, tours[:, None, :].expand_as(rows))

    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """See the class."""
        luck = _on_device(rng, self.distances.device)
        cities = self.distances.shape[1]
        size = _integer(rng, min(4, cities + 1), cities + 1)
        num = max(tokens // size, 1)
        rows = _pick(luck, num, len(self.distances))
        start = _pick(luck, num, cities)
        steps = torch.arange(-1, size - 1, device=rows.device)
        steps[0] = size - 1
        places = (start[:, None] + steps) % cities
        block = self.distances[rows[:, None, None], places[:, :, None], places[:, None, :]]
        remaining = _after(2, num, size, rows)
        current = torch.ones_like(rows)
        state = TourState(current, remaining, _no_visits(remaining), remaining.sum(dim=1))
        return Draw(ATSPInstance(block), state, 2 * current[:, None])


class CVRPSubproblems(Subproblems):
    """Routes in a random direction each, the farthest-reaching first; cut at the end of a route.

    Which route comes first makes no difference to the cost, but a rule spares the network from
    having to guess. That of arXiv 2301.03313 (appendix E.3), the fullest first, depends on the
    solution; which customer is the farthest can be seen.
    """

    def __init__(self, instance: CVRPInstance, actions: torch.Tensor) -> None:
        customer = actions // 2 + 1
        opens = (actions % 2 == 1).clone()
        opens[:, 0] = True
        num, size = customer.shape
        route = opens.cumsum(dim=1) - 1
        places = gather(xp, instance.coordinates, customer)
        away = (places - instance.coordinates[:, :1]).norm(dim=2)
        reach = torch.zeros_like(away).scatter_reduce(1, route, away, "amax")
        # Stable, so that a route's customers keep their order.
        position = torch.argsort(torch.argsort(-reach, dim=1, stable=True), dim=1)
        order = torch.argsort(torch.gather(position, 1, route), dim=1, stable=True)
        self.customer = torch.gather(customer, 1, order)
        route = torch.gather(route, 1, order)
        opens = torch.ones_like(opens)
        opens[:, 1:] = route[:, 1:] != route[:, :-1]
        self.route = opens.cumsum(dim=1) - 1
        places = torch.arange(size, device=customer.device).expand(num, size)
        self.first = self._per_route(places, "amin", size)
        self.last = self._per_route(places, "amax", -1)
        self.demand = gather(xp, instance.demand, self.customer)
        self.points = gather(xp, instance.coordinates, self.customer)
        self.depot = instance.coordinates[:, 0]
        self.capacity = instance.capacity

    def _per_route(self, places: torch.Tensor, how: str, start: int) -> torch.Tensor:
        """Smallest or largest place of each customer's route, (M, N)."""
        table = torch.full_like(places, start)
        table = table.scatter_reduce(1, self.route, places, how)
        return torch.gather(table, 1, self.route)

    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """See the class."""
        luck = _on_device(rng, self.points.device)
        size = self.customer.shape[1]
        length = _integer(rng, min(2, size), size)
        num = max(tokens // (length + 2), 1)
        rows = _pick(luck, num, len(self.customer))
        # A random end of a route with enough customers before it.
        ends = self.last[rows] == torch.arange(size, device=rows.device)
        ends[:, : length - 1] = False
        chance = torch.rand(ends.shape, generator=luck, device=luck.device)
        end = (chance * ends).argmax(dim=1)
        start = end - length + 1
        reverse = torch.randint(2, (num, size), generator=luck, device=luck.device)
        reverse = torch.gather(reverse, 1, self.route[rows]) > 0
        places = torch.arange(size, device=rows.device).expand(num, size)
        mirrored = self.first[rows] + self.last[rows] - places
        order = torch.where(reverse, mirrored, places)
        demand = torch.gather(self.demand[rows], 1, order)
        points = gather(xp, self.points[rows], order)
        # The origin is the customer before the start, or the depot; the load is what is left there.
        before = (start - 1).clamp(min=0)
        opening = torch.gather(self.first[rows], 1, start[:, None])[:, 0] == start
        came = torch.gather(self.first[rows], 1, before[:, None])
        driven = ((places >= came) & (places < start[:, None])).to(demand.dtype)
        capacity = self.capacity.expand(len(self.customer))[rows]
        home = start == 0
        load = capacity - (demand * driven).sum(dim=1)
        inner = start[:, None] + torch.arange(length, device=rows.device)
        nodes = torch.cat(
            [
                self.depot.expand(len(self.customer), 2)[rows][:, None],
                gather(xp, points, before[:, None]),
                gather(xp, points, inner),
            ],
            dim=1,
        )
        units = torch.nn.functional.pad(torch.gather(demand, 1, inner), (1, 0))
        instance = CVRPInstance.euclidean(_flip(luck, nodes), units, capacity)
        remaining = _after(2, num, length + 2, rows)
        current = (~home).long()
        state = CVRPState(current, remaining, load, _no_visits(remaining))
        around = (opening & ~home).long()
        # A route may as well be driven from its other end.
        other = torch.gather(self.last[rows], 1, start[:, None])[:, 0] - start
        other = torch.where(opening, 2 * other, 0)
        targets = (2 + around)[:, None] + torch.stack([torch.zeros_like(other), other], dim=1)
        return Draw(instance, state, targets)


class OrienteeringSubproblems(Subproblems):
    """Suffixes of routes in a random direction, with the customers that were left out.

    Every step of every route is as likely. With every number of customers before the cut as likely,
    half of the updates would see the ends of the few longest routes.
    """

    def __init__(self, instance: OrienteeringInstance, actions: torch.Tensor) -> None:
        num, size = actions.shape[0], instance.prize.shape[1] - 1
        self.length = (actions > 0).sum(dim=1)
        places = torch.arange(int(self.length.max()), device=actions.device)
        #: How many routes go on after so many customers: every step is as likely to be drawn.
        self.going_on = (self.length[:, None] > places).sum(dim=0).cpu().double()
        # Visited customers in order, then the others.
        rank = torch.full((num, size + 1), size + 1, device=actions.device)
        steps = torch.arange(actions.shape[1], device=actions.device).expand_as(actions)
        rank = rank.scatter(1, actions.clamp(min=0), torch.where(actions > 0, steps, size + 1))
        self.order = torch.argsort(rank[:, 1:], dim=1, stable=True) + 1
        self.instance = instance

    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """See the class."""
        luck = _on_device(rng, self.order.device)
        size = self.order.shape[1]
        start = int(torch.multinomial(self.going_on, 1, generator=rng))
        able = torch.nonzero(self.length > start)[:, 0]
        num = max(tokens // (size - start + 2), 1)
        rows = able[_pick(luck, num, len(able))]
        places = torch.arange(size, device=rows.device).expand(num, size)
        length = self.length[rows][:, None]
        backwards = _pick(luck, num, 2)[:, None] > 0
        places = torch.where(backwards & (places < length), length - 1 - places, places)
        order = torch.gather(self.order[rows], 1, places)
        instance = self.instance.rows(rows)
        points = gather(xp, instance.coordinates, order)
        depot = instance.coordinates[:, :1]
        path = torch.cat([depot, points[:, :start]], dim=1)
        left = instance.budget - (path[:, 1:] - path[:, :-1]).norm(dim=2).sum(dim=1)
        nodes = _flip(luck, torch.cat([depot, path[:, -1:], points[:, start:]], dim=1))
        prize = torch.gather(instance.prize, 1, order)[:, start:]
        prize = torch.nn.functional.pad(prize, (1, 0))
        remaining = _after(2, num, nodes.shape[1], rows)
        current = torch.full_like(rows, min(start, 1))
        state = OrienteeringState(
            current, remaining, left, _no_visits(remaining), torch.zeros_like(remaining[:, 0])
        )
        sub = OrienteeringInstance.euclidean(nodes, prize, left)
        first = torch.full_like(rows, 2)
        # The whole route may as well be driven from its other end.
        other = first + self.length[rows] - 1 if start == 0 else first
        last = 2 + self.length[rows][:, None] - start
        members = remaining & (torch.arange(nodes.shape[1], device=rows.device) < last)
        return Draw(sub, state, torch.stack([first, other], dim=1), members)


class KnapsackSubproblems(Subproblems):
    """Some items of the solution are packed; all others of it are as good as each other."""

    def __init__(self, instance: KnapsackInstance, actions: torch.Tensor) -> None:
        size = instance.weight.shape[1]
        chosen = torch.zeros(len(actions), size + 1, dtype=torch.bool, device=actions.device)
        stop = torch.where(actions < 0, size, actions)
        self.chosen = chosen.scatter(1, stop, torch.ones_like(stop, dtype=torch.bool))[:, :size]
        self.instance = instance

    def draw(self, rng: torch.Generator, tokens: int) -> Draw:
        """See the class."""
        luck = _on_device(rng, self.chosen.device)
        size = self.chosen.shape[1]
        num = max(tokens // size, 1)
        rows = _pick(luck, num, len(self.chosen))
        chosen, instance = self.chosen[rows], self.instance.rows(rows)
        share = torch.rand(num, 1, generator=luck, device=luck.device)
        count = (share * chosen.sum(dim=1, keepdim=True)).long()
        order = torch.rand(num, size, generator=luck, device=luck.device) + (~chosen)
        packed = chosen & (torch.argsort(torch.argsort(order, dim=1), dim=1) < count)
        left = instance.capacity - (instance.weight * packed).sum(dim=1)
        remaining = ~packed & (instance.weight <= left[:, None] * (1 + 1e-6))
        state = KnapsackState(
            remaining, left, _no_visits(remaining), torch.zeros_like(remaining[:, 0])
        )
        items = torch.arange(size, device=rows.device).expand(num, size)
        targets = torch.where(chosen & ~packed, items, -1)
        return Draw(instance, state, targets)


#: Name of a problem's class -> its training data.
SUBPROBLEMS: dict[str, Callable[..., Subproblems]] = {
    "TSP": TSPSubproblems,
    "ATSP": ATSPSubproblems,
    "CVRP": CVRPSubproblems,
    "Orienteering": OrienteeringSubproblems,
    "Knapsack": KnapsackSubproblems,
}
