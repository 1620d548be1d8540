"""What the relaxation of the way home by 1-trees tells the network about tokens and their links.

The network then knows what a linear program knows of the whole tail, and learns what is left: which
of the edges that the relaxation cannot decide on are in the shortest way.
"""

from __future__ import annotations

import dataclasses

import torch
from array_api_compat import torch as xp

from agents.bq_nco.tails import Tail
from or_envs.core.arrays import gather
from or_envs.routing import tree_shares
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance

#: Features that the relaxation adds to those of a token.
NUM_FEATURES = 6
#: Cities, the nearest ones to the current city, that trees span at most: the time of a tree is that
#: number squared.
WIDEST = 100
#: 1-trees for each likely next city.
LOOK_AHEAD = 60
#: Share of 1-trees that leaves no doubt of an edge.
CERTAIN = 0.99
#: One of so many steps without doubt is learned from as well.
_ALSO = 10
#: The network is not told of larger multipliers, in mean edges.
_LARGEST = 10.0


def relaxed(tail: Tail, instance: TSPInstance, state: TourState, trees: int) -> Tail:
    """Return the tail with what the relaxation of the way from the current city home knows.

    Tokens get the shares of trees with their edges to the origin and to the destination, their
    multiplier in units of the mean edge, how much longer than the best one both edges are by their
    reduced costs, and how much longer the relaxation gets if the way goes there first, both as
    exp(-difference in mean edges).

    Parameters
    ----------
    tail
        Of the instance and the state, or with the nearest cities only.
    instance, state
        B rows, at most :data:`WIDEST` cities remaining.
    trees
        1-trees to take.
    """
    most = int(state.remaining.sum(dim=1).max())
    order = torch.argsort((~state.remaining).to(torch.int8), dim=1, stable=True)[:, :most]
    present = torch.gather(state.remaining, 1, order)
    nodes = torch.nn.functional.pad(order, (1, 1))
    nodes[:, 0] = state.current
    points = gather(xp, instance.coordinates, nodes).float()
    there = torch.nn.functional.pad(present, (1, 1), value=True)
    found = tree_shares.relax(points.cpu().numpy(), there.cpu().numpy(), trees, LOOK_AHEAD)
    shares, multipliers, mean, increases = (
        torch.from_numpy(getattr(found, field.name)).to(points.device)
        for field in dataclasses.fields(found)
    )
    mean = mean.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    inner = torch.nn.functional.pad(present, (1, 1))
    features = [shares[:, 0], shares[:, -1], (multipliers / mean).clamp(-_LARGEST, _LARGEST)]
    for end in (0, -1):
        away = (points - points[:, [end]]).norm(dim=2) + multipliers
        away = away.masked_fill(~inner, torch.inf)
        least = away.amin(dim=1, keepdim=True).nan_to_num(posinf=0.0)
        features.append(((least - away) / mean).exp())
    features.append((-increases / mean).exp())
    # Where the tail's tokens are among these.
    place = torch.zeros_like(state.remaining, dtype=torch.long)
    place = place.scatter(1, order, torch.arange(1, most + 1, device=order.device).expand_as(order))
    at = torch.gather(place, 1, tail.actions[..., 0])
    at[:, 0], at[:, -1] = 0, most + 1
    links = torch.gather(shares, 1, at[:, :, None].expand(-1, -1, most + 2))
    links = torch.gather(links, 2, at[:, None, :].expand(-1, at.shape[1], -1))
    extra = torch.gather(
        torch.stack(features, dim=2), 1, at[:, :, None].expand(-1, -1, NUM_FEATURES)
    )
    if tail.present is not None:
        links = links * tail.present[:, :, None] * tail.present[:, None, :]
    return dataclasses.replace(tail, features=torch.cat([tail.features, extra], dim=2), links=links)


def worth_learning(tail: Tail) -> torch.Tensor:
    """Which rows of a tail to learn from, by their numbers; at least one.

    Most steps along a tour are what the relaxation says without doubt. The others are what the
    network is for, so that few of those are enough.
    """
    assert tail.links is not None
    certain = torch.nonzero(tail.links[:, 0].amax(dim=1) >= CERTAIN)[:, 0]
    keep = torch.ones_like(tail.allowed[:, 0, 0])
    keep[certain] = torch.arange(len(certain), device=certain.device) % _ALSO == 0
    return torch.nonzero(keep)[:, 0]
