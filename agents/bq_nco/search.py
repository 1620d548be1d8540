"""Decoders: greedy and sampled construction, beams, symmetries, starts, re-construction.

All play the environment's own dynamics on torch. Instances are torch batches; ``total_reward`` of
what they return is the environment's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from array_api_compat import torch as xp

from agents.bq_nco.policy import BQPolicy
from agents.bq_nco.tails import candidates
from or_envs.core.arrays import gather
from or_envs.core.problem import AnyProblem
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSP, TSPInstance

_PLANE = ("TSP", "CVRP", "Orienteering")
_ROUTING = (*_PLANE, "ATSP")


@dataclasses.dataclass(frozen=True)
class Construction:
    """Complete solutions of B instances.

    Attributes
    ----------
    total_reward
        (B,).
    actions
        (B, T) integers, -1 after the end of an episode.
    """

    total_reward: torch.Tensor
    actions: torch.Tensor


@torch.no_grad()
def construct(
    policy: BQPolicy,
    problem: AnyProblem,
    instance: Any,
    state: Any = None,
    deterministic: bool = True,
    neighbours: int = 0,
    visit: Callable[[torch.Tensor, Any, Any, torch.Tensor, torch.Tensor], None] | None = None,
) -> Construction:
    """Follow the policy to the end, greedily or by sampling; finished episodes drop out.

    See :meth:`agents.bq_nco.policy.BQPolicy.decide` for ``neighbours``. ``visit`` is called at
    every step with the rows that are not finished, their instances and states, actions, and the
    policy's probabilities of these.
    """
    state = problem.initial(instance) if state is None else state
    num, device = state.num, state.remaining.device
    total = torch.zeros(num, dtype=instance.leaves()[0].dtype, device=device)
    actions = torch.full((num, problem.max_steps), -1, device=device)
    rows = torch.arange(num, device=device)
    for step in range(problem.max_steps):
        chosen, chance = policy.choose(instance, state, deterministic, neighbours)
        if visit is not None:
            visit(rows, instance, state, chosen, chance)
        state, reward = problem.post_decision(instance, state, chosen)
        state, outcome, over = problem.transition(instance, state, None)
        total[rows] += reward + outcome
        actions[rows, step] = chosen
        if over.all():
            return Construction(total, actions[:, : step + 1])
        if over.any():
            going = torch.nonzero(~over)[:, 0]
            rows, instance, state = rows[going], instance.rows(going), state.rows(going)
    return Construction(total, actions)


@torch.no_grad()
def beam(
    policy: BQPolicy, problem: AnyProblem, instance: Any, width: int, state: Any = None
) -> Construction:
    """Keep the ``width`` partial solutions of the largest probability; return the best one.

    Raises
    ------
    ValueError
        If ``width`` is less than 1.
    """
    if width < 1:
        raise ValueError(f"width: expected an integer >= 1, got {width}")
    num = instance.num
    state = problem.initial(instance) if state is None else state
    device = state.remaining.device
    every = torch.arange(num, device=device).repeat_interleave(width)
    instance, state = instance.rows(every), state.rows(every)
    total = torch.zeros(num * width, dtype=instance.leaves()[0].dtype, device=device)
    # At first all beams of an instance are the same: only one may have children.
    chance = torch.full((num, width), -torch.inf, device=device)
    chance[:, 0] = 0.0
    chance = chance.flatten()
    over = torch.zeros(num * width, dtype=torch.bool, device=device)
    actions = torch.full((num * width, problem.max_steps), -1, device=device)
    for step in range(problem.max_steps):
        live = torch.nonzero(~over & torch.isfinite(chance))[:, 0]
        some, now = instance.rows(live), state.rows(live)
        chosen_of, log = _children(policy, some, now)
        columns = log.shape[1]
        # A finished solution, or one without children, goes on as itself.
        table = torch.full((num * width, columns), -torch.inf, device=device)
        table[:, 0] = torch.where(over, 0.0, -torch.inf)
        table[live] = log
        moves = torch.full((num * width, columns), -1, device=device)
        moves[live] = chosen_of
        scores = (chance[:, None] + table).reshape(num, width * columns)
        best, place = scores.topk(min(width, scores.shape[1]), dim=1)
        if best.shape[1] < width:
            missing = width - best.shape[1]
            best = torch.nn.functional.pad(best, (0, missing), value=-torch.inf)
            place = torch.nn.functional.pad(place, (0, missing))
        parent = place // columns + width * torch.arange(num, device=device)[:, None]
        parent = parent.flatten()
        move = moves[parent, (place % columns).flatten()]
        chance, over, total = best.flatten(), over[parent], total[parent]
        instance, state, actions = instance.rows(parent), state.rows(parent), actions[parent]
        playing = torch.nonzero(~over & torch.isfinite(chance))[:, 0]
        if not len(playing):
            break
        post, reward = problem.post_decision(
            instance.rows(playing), state.rows(playing), move[playing]
        )
        post, outcome, done = problem.transition(instance.rows(playing), post, None)
        total[playing] += reward + outcome
        actions[playing, step] = move[playing]
        state = _put(state, playing, post)
        over[playing] = done
        if bool((over | ~torch.isfinite(chance)).all()):
            break
    total = torch.where(torch.isfinite(chance), total, -torch.inf).reshape(num, width)
    winner = total.argmax(dim=1) + width * torch.arange(num, device=device)
    return Construction(total.flatten()[winner], actions[winner])


def _solve(
    policy: BQPolicy, problem: AnyProblem, instance: Any, width: int, state: Any = None
) -> Construction:
    """By a beam; greedily, which is faster than a beam of one, if it is no wider."""
    if width == 1:
        return construct(policy, problem, instance, state)
    return beam(policy, problem, instance, width, state)


def _children(policy: BQPolicy, instance: Any, state: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Actions (B, C) and their log-probabilities; a row without a choice has one child, stop."""
    if bool(candidates(policy.problem, instance, state).any(dim=1).all()):
        scores, actions = policy.scores(instance, state)
        return actions, scores.log_softmax(dim=1)
    # Only at the start of an instance that allows nothing.
    actions = policy.decide(instance, state)[:, None]
    return actions, torch.zeros_like(actions, dtype=torch.float32)


def _put(state: Any, rows: torch.Tensor, new: Any) -> Any:
    def put(old: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
        merged = old.clone()
        merged[rows] = fresh
        return merged

    return state.map(put, new)


def many_starts(policy: BQPolicy, instance: TSPInstance, starts: int) -> Construction:
    """Best greedy tour from ``starts`` cities, spread evenly over the numbers of the cities."""
    cities = instance.coordinates.shape[1]
    problem = TSP(cities)
    best: Construction | None = None
    for start in torch.linspace(0, cities - 1, min(starts, cities)).round().long().tolist():
        turned = TSPInstance.euclidean(instance.coordinates.roll(-start, dims=1))
        found = construct(policy, problem, turned)
        tours = torch.nn.functional.pad(found.actions, (1, 0))
        tours = (tours + start) % cities
        # Begin at city 0 again.
        zero = (tours == 0).long().argmax(dim=1)
        places = (zero[:, None] + torch.arange(cities, device=zero.device)) % cities
        found = Construction(found.total_reward, torch.gather(tours, 1, places)[:, 1:])
        best = found if best is None else better(best, found)
    assert best is not None
    return best


@torch.no_grad()
def both_ends(policy: BQPolicy, instance: TSPInstance) -> Construction:
    """Greedy tours that grow at both ends: each step is taken where the policy is surer of it.

    The rest of a tour is a way between two ends, and may be walked from either. A choice that is
    hard today may have been made by the other end tomorrow. It takes twice the time of greedy
    construction.
    """
    num, cities, _ = instance.coordinates.shape
    device = instance.coordinates.device
    every = torch.arange(num, device=device)
    # Node 0 and a node more are the ends: seen from the first end in one half of the rows, and from
    # the other in the other half.
    points = torch.cat([instance.coordinates, instance.coordinates[:, :1]], dim=1).repeat(2, 1, 1)
    remaining = torch.ones(points.shape[:2], dtype=torch.bool, device=device)
    remaining[:, [0, cities]] = False
    current = torch.full((2 * num,), cities, device=device)
    empty = torch.zeros((2 * num, 0), dtype=torch.long, device=device)
    ways = torch.zeros((2, num, cities), dtype=torch.long, device=device)
    lengths = torch.zeros((2, num), dtype=torch.long, device=device)
    for _ in range(cities - 1):
        state = TourState(current, remaining, empty, remaining.sum(dim=1))
        scores, actions = policy.scores(TSPInstance.euclidean(points), state)
        chance, place = scores.softmax(dim=1).max(dim=1)
        side = (chance[num:] > chance[:num]).long()
        city = actions.gather(1, place[:, None]).reshape(2, num)[side, every]
        ways[side, every, lengths[side, every]] = city
        lengths[side, every] += 1
        rows, spot = every + num * side, instance.coordinates[every, city]
        remaining[every, city] = remaining[every + num, city] = False
        points[rows, cities] = spot
        points[every + num * (1 - side), 0] = spot
    # The first way, and back along the second.
    place = torch.arange(cities - 1, device=device).expand(num, -1)
    back = torch.gather(ways[1], 1, cities - 2 - place)
    tours = torch.where(place < lengths[0][:, None], ways[0, :, :-1], back)
    return _closed(instance, torch.nn.functional.pad(tours, (1, 0)))


def _closed(instance: TSPInstance, tours: torch.Tensor) -> Construction:
    """What tours (B, N) that begin at city 0 are as solutions."""
    points = gather(xp, instance.coordinates, tours)
    length = (points - points.roll(-1, dims=1)).norm(dim=2).sum(dim=1)
    return Construction(-length, tours[:, 1:])


def symmetries(policy: BQPolicy, problem: AnyProblem, instance: Any) -> Construction:
    """Best greedy solution of an instance in the plane turned and mirrored, eight times in all.

    It is the "x8 augmentation" of arXiv 2010.16011. A canonical policy does not see turns, which
    leaves it two different answers.
    """
    points = instance.coordinates
    low, high = points.amin(dim=1, keepdim=True), points.amax(dim=1, keepdim=True)
    best: Construction | None = None
    for swap in (False, True):
        for mirrored in ((), (0,), (1,), (0, 1)):
            turned = points.clone()
            for axis in mirrored:
                turned[..., axis] = (low + high)[..., axis] - turned[..., axis]
            turned = turned.flip(2) if swap else turned
            found = construct(policy, problem, dataclasses.replace(instance, coordinates=turned))
            best = found if best is None else better(best, found)
    assert best is not None
    return best


def better(one: Construction, other: Construction) -> Construction:
    """The better solution of each instance."""
    wins = other.total_reward > one.total_reward
    steps = max(one.actions.shape[1], other.actions.shape[1])
    one, other = (
        dataclasses.replace(
            each,
            actions=torch.nn.functional.pad(
                each.actions, (0, steps - each.actions.shape[1]), value=-1
            ),
        )
        for each in (one, other)
    )
    return Construction(
        torch.where(wins, other.total_reward, one.total_reward),
        torch.where(wins[:, None], other.actions, one.actions),
    )


@torch.no_grad()
def reconstruct(
    policy: BQPolicy,
    instance: TSPInstance,
    actions: torch.Tensor,
    iterations: int,
    rng: torch.Generator,
    largest: int = 100,
    width: int = 1,
) -> Construction:
    """Improve tours by re-solving random segments with the same policy (RRC, arXiv 2310.07985).

    Each iteration cuts all tours at a random place into segments of one random size, turns them
    round at random, and re-solves as many as there are, side by side (PRC, arXiv 2403.19561).
    Shorter segments replace the old ones.

    Parameters
    ----------
    policy
        Of the TSP.
    instance
        B instances with Euclidean distances.
    actions
        Their tours, (B, N - 1).
    iterations
        How many times.
    rng
        Of the cuts, on the CPU.
    largest
        Cities of the largest segment.
    width
        Of the beam that solves segments; 1: greedily.
    """
    cities = instance.coordinates.shape[1]
    tours = torch.nn.functional.pad(actions, (1, 0))
    num, device = len(tours), tours.device
    for _ in range(iterations):
        size = int(torch.randint(4, min(cities, largest) + 1, (), generator=rng))
        start = int(torch.randint(cities, (), generator=rng))
        tours = tours.roll(-start, dims=1)
        if int(torch.randint(2, (), generator=rng)):
            tours = tours.flip(1)
        many = cities // size
        old = tours[:, : many * size].reshape(num * many, size)
        coordinates = instance.coordinates.repeat_interleave(many, dim=0)
        points = gather(xp, coordinates, old)
        # City 0 of the sub-problem is the destination, city 1 the origin.
        path = TSPInstance.euclidean(points.roll(1, dims=1))
        remaining = torch.arange(size, device=device).expand(num * many, size) > 1
        current = torch.ones(num * many, dtype=torch.long, device=device)
        empty = torch.zeros((num * many, 0), dtype=torch.long, device=device)
        state = TourState(current, remaining, empty, remaining.sum(dim=1))
        found = _solve(policy, TSP(size), path, width, state)
        length = (points[:, 1:] - points[:, :-1]).norm(dim=2).sum(dim=1)
        shorter = -found.total_reward < length - 1e-6
        new = torch.gather(old, 1, found.actions[:, : size - 2] - 1)
        new = torch.cat([old[:, :1], new, old[:, -1:]], dim=1)
        merged = torch.where(shorter[:, None], new, old).reshape(num, many * size)
        tours = torch.cat([merged, tours[:, many * size :]], dim=1)
    zero = (tours == 0).long().argmax(dim=1)
    places = (zero[:, None] + torch.arange(cities, device=device)) % cities
    return _closed(instance, torch.gather(tours, 1, places))


def decoder(name: str, policy: BQPolicy, problem: AnyProblem) -> Callable[[Any], Construction]:
    """Return the search of a name: from a torch batch of instances to solutions.

    "greedy"; "beam:W"; for problems in the plane "symmetries"; for routing "nearest:K", greedy
    among the K nearest nodes; for the TSP "both_ends", "starts:S", "reconstruct:I", which starts
    from the greedy tours, and "reconstruct:I:W", which starts from and re-solves by beams.

    Raises
    ------
    ValueError
        If the name is another, or is not for the problem.
    """
    kind, *given = name.split(":")
    # How many numbers each takes.
    known = {"reconstruct": (1, 2), **dict.fromkeys(("greedy", "symmetries", "both_ends"), (0,))}
    known |= dict.fromkeys(("beam", "nearest", "starts"), (1,))
    if len(given) not in known.get(kind, ()) or not all(n.isdigit() and int(n) for n in given):
        raise ValueError(
            "decoder: expected greedy, beam:W, symmetries, nearest:K, both_ends, starts:S,"
            f" reconstruct:I or reconstruct:I:W with numbers >= 1, got {name!r}"
        )
    number, width, *_ = [*map(int, given), 1, 1]
    able = {"symmetries": _PLANE, "nearest": _ROUTING}
    able |= dict.fromkeys(("both_ends", "starts", "reconstruct"), ("TSP",))
    if policy.problem not in able.get(kind, (policy.problem,)):
        raise ValueError(
            f"decoder: {name!r} is for {', '.join(able[kind])} only, got {policy.problem}"
        )
    if kind == "beam":
        return lambda instance: beam(policy, problem, instance, number)
    if kind == "symmetries":
        return lambda instance: symmetries(policy, problem, instance)
    if kind == "both_ends":
        return lambda instance: both_ends(policy, instance)
    if kind == "starts":
        return lambda instance: many_starts(policy, instance, number)
    if kind == "reconstruct":

        def improved(instance: TSPInstance) -> Construction:
            first = _solve(policy, problem, instance, width)
            rng = torch.Generator().manual_seed(0)
            return reconstruct(policy, instance, first.actions, number, rng, width=width)

        return improved
    neighbours = number if kind == "nearest" else 0
    return lambda instance: construct(policy, problem, instance, neighbours=neighbours)
