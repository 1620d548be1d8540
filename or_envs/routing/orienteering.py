"""Orienteering problem (OP): prizes within a length."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.options import force, require
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, rows_of_set
from or_envs.routing import generators, metric
from or_envs.routing.modes import Mode, check_mode, record_visit, unit_spaces

Prizes = Literal["distance", "uniform", "constant"]

#: A route may be this much longer than the budget: lengths are sums of rounded numbers. Mask,
#: solvers and checks use the same.
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class OrienteeringInstance(Arrays):
    """Customers with prizes, and the length of a route; node 0 is the depot.

    Attributes
    ----------
    coordinates
        (B, N + 1, 2), units of length.
    distances
        (B, N + 1, N + 1) where they are not Euclidean (files round them); else (B, 0, 0).
    prize
        (B, N + 1), >= 0, 0 at the depot.
    budget
        Largest length of the route, (B,).
    """

    coordinates: Array
    distances: Array
    prize: Array
    budget: Array

    @classmethod
    def euclidean(cls, coordinates: Array, prize: Array, budget: Array) -> OrienteeringInstance:
        """Return the instance with Euclidean distances; the depot's prize is left out."""
        xp = array_namespace(coordinates)
        num, device = coordinates.shape[0], coordinates.device
        nothing = xp.zeros((num, 0, 0), dtype=coordinates.dtype, device=device)
        depot = xp.zeros((num, 1), dtype=coordinates.dtype, device=device)
        return cls(coordinates, nothing, xp.concat([depot, prize], axis=1), budget)


@dataclasses.dataclass(frozen=True)
class OrienteeringState(Arrays):
    """Where the traveller is, what is still worth a visit, and how far there is to go.

    Attributes
    ----------
    current
        Node, integers (B,).
    remaining
        Customers not visited, bool (B, N + 1), without those out of reach for ever.
    left
        Length left, (B,).
    visits
        In direct mode, the step in which each customer was visited, 0 if not yet, integers
        (B, N + 1); else (B, 0).
    over
        Whether the traveller went home, bool (B,).
    """

    current: Array
    remaining: Array
    left: Array
    visits: Array
    over: Array


class Orienteering(Problem[OrienteeringInstance, OrienteeringState, Arrays]):
    """Collect the largest sum of prizes on a closed route from the depot of at most a given length.

    - Action: Discrete(N + 1), the next node; 0 goes home and ends the episode. A customer is
      allowed if the way there and home from there is within the length left, up to 1e-6. Home is
      always allowed in mode "direct"; in mode "bq" (arXiv 2301.03313) only where no customer is, as
      one more visit never costs.
    - Observation, mode "bq": the tail sub-problem only. Dict of float32 "coordinates" (N, 2) of
      customers and "prize" (N,) as a share of the instance's largest, both zero where they are
      done or out of reach, "remaining" (N,), "origin" (2,), "depot" (2,), and "left" (1,), the
      length left in the units of the coordinates shown, at most 10.
    - Observation, mode "direct": the same of all customers, and "visits" (N,), when each was
      visited as a share of N (0: not yet).
    - Coordinates in observations are scaled as in :class:`or_envs.routing.tsp.TSP`.
    - Reward: the prize of the customer; 0 for going home.
    - End: terminated at home, and in mode "bq" when no customer is within reach.
    - ``reset(options=...)``: "coordinates" (N + 1, 2), "prize" (N + 1,) with the depot's 0,
      "budget" (), or these with a batch axis.
    - A masked action ends the episode with reward 0.

    Parameters
    ----------
    num_customers
        N >= 1. Of a file it is read.
    instance
        "uniform", "clustered" or "kool" as in :class:`or_envs.routing.tsp.TSP`, or the path of an
        OPLib file, with its own rule of distances.
    prizes
        "distance": 0.01 to 1, growing with the distance to the depot; "uniform": 0.01, 0.02, ...,
        1; "constant": 1 (arXiv 1803.08475). Not for files.
    budget
        Length > 0; ``None``: 2, 3, 4 from 20, 50, 100 customers on. Not for files.
    mode
        "bq" or "direct".

    Raises
    ------
    ValueError
        If an argument is outside its range, or the file is malformed (field and line are named).
    """

    option_keys: ClassVar[tuple[str, ...]] = ("coordinates", "prize", "budget")
    drawing: ClassVar[str | None] = "or_envs.routing.rendering:draw_route"
    differentiable: ClassVar[bool] = False  # prizes do not depend on the coordinates

    def __init__(
        self,
        num_customers: int = 50,
        instance: str = "uniform",
        prizes: Prizes = "distance",
        budget: float | None = None,
        mode: Mode = "bq",
    ) -> None:
        check_mode(mode)
        if prizes not in ("distance", "uniform", "constant"):
            raise ValueError(
                f"prizes: expected 'distance', 'uniform' or 'constant', got {prizes!r}"
            )
        self._given: OrienteeringInstance | None = None
        if instance not in generators.PLANES:
            from or_envs.routing.tsplib import read_orienteering

            if budget is not None:
                raise ValueError(f"budget: expected None with a file, got {budget!r}")
            self._given = read_orienteering(instance, f"one of {', '.join(generators.PLANES)}")
            num_customers = self._given.coordinates.shape[1] - 1
        if not isinstance(num_customers, int) or num_customers < 1:
            raise ValueError(f"num_customers: expected an integer >= 1, got {num_customers!r}")
        if budget is not None and not 0 < budget < np.inf:
            raise ValueError(f"budget: expected a number > 0, got {budget!r}")
        self.num_customers = num_customers
        self.instance_name = instance
        self.prizes: Prizes = prizes
        self.budget = budget or generators.at_most(generators.BUDGET, num_customers)
        self.mode: Mode = mode
        direct = mode == "direct"
        self.max_steps = num_customers + 1 if direct else num_customers
        self.action_space = gym.spaces.Discrete(num_customers + 1)

        self.observation_space = unit_spaces(
            mode,
            num_customers,
            coordinates=(num_customers, 2),
            prize=(num_customers,),
            remaining=(num_customers,),
            origin=(2,),
            depot=(2,),
        )
        self.observation_space["left"] = gym.spaces.Box(0.0, 10.0, (1,), np.float32)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> OrienteeringInstance:
        """Draw nodes, then prizes; see the class."""
        if self._given is not None:
            return self._given.repeat(len(rngs))
        size = self.num_customers
        if self.instance_name == "kool":
            rows = rows_of_set(rngs, generators.KOOL_NUM)
            nodes, prize = (p[rows] for p in generators.kool_orienteering(size, self.prizes))
        else:
            nodes = generators.PLANES[self.instance_name](rngs, size + 1)
            if self.prizes == "uniform":
                prize = np.stack([rng.integers(1, 101, size) for rng in rngs]) / 100.0
            else:
                prize = generators.prizes_of(nodes, self.prizes)
        budget = np.full(len(rngs), float(self.budget))
        return OrienteeringInstance.euclidean(nodes, prize, budget)

    def apply_options(
        self, instance: OrienteeringInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[OrienteeringInstance, Arrays | None]:
        """Force data; distances are Euclidean if "coordinates" are given."""
        instance = force(instance, options)
        require(instance.budget >= 0, "options: 'budget'", ">= 0", instance.budget)
        right = instance.prize >= 0
        right[:, 0] = instance.prize[:, 0] == 0
        require(right, "options: 'prize'", "0 at the depot, else >= 0", instance.prize)
        if "coordinates" in options:
            data = (instance.coordinates, instance.prize[:, 1:], instance.budget)
            instance = OrienteeringInstance.euclidean(*data)
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: OrienteeringInstance) -> OrienteeringState:
        """Stand at the depot with the whole length to go."""
        xp = array_namespace(instance.prize)
        num, nodes = instance.num, self.num_customers + 1
        device = instance.prize.device
        later = xp.broadcast_to(xp.arange(nodes, device=device) > 0, (num, nodes))
        columns = nodes if self.mode == "direct" else 0
        current = xp.zeros(num, dtype=xp.int64, device=device)
        left = instance.budget + xp.zeros_like(instance.prize[:, 0])
        remaining = self._reachable(xp, instance, current, xp.asarray(later, copy=True), left)
        visits = xp.zeros((num, columns), dtype=xp.int64, device=device)
        over = xp.zeros(num, dtype=xp.bool, device=device)
        return OrienteeringState(current, remaining, left, visits, over)

    def _reachable(
        self,
        xp: Any,
        instance: OrienteeringInstance,
        current: Array,
        remaining: Array,
        left: Array,
    ) -> Array:
        """Remaining customers; in the plane, where detours are longer, without those too far."""
        if self.mode == "direct" or instance.distances.shape[1]:
            return remaining
        return remaining & within(xp, instance, current, left)

    def post_decision(
        self, instance: OrienteeringInstance, state: OrienteeringState, action: Array
    ) -> tuple[OrienteeringState, Array]:
        """Travel, and collect the prize."""
        xp = array_namespace(instance.prize)
        nodes = xp.arange(self.num_customers + 1, dtype=action.dtype, device=action.device)
        chosen = nodes[None, :] == action[:, None]
        left = state.left - metric.leg(xp, instance, state.current, action)
        # Within the tolerance the rest may be below 0; it is shown, and must not be.
        left = xp.maximum(left, xp.zeros_like(left))
        remaining = state.remaining & ~chosen
        remaining = self._reachable(xp, instance, action, remaining, left)
        visits = record_visit(xp, state.visits, chosen & state.remaining)
        post = OrienteeringState(action, remaining, left, visits, action == 0)
        return post, gather(xp, instance.prize, action)

    def transition(
        self, instance: OrienteeringInstance, post_state: OrienteeringState, exogenous: Any
    ) -> tuple[OrienteeringState, Array, Array]:
        """Nothing random happens; see the class for the end."""
        xp = array_namespace(instance.prize)
        over = post_state.over
        if self.mode == "bq":
            over = over | ~xp.any(self._allowed(xp, instance, post_state), axis=1)
        return post_state, xp.zeros_like(post_state.left), over

    def _allowed(self, xp: Any, instance: OrienteeringInstance, state: OrienteeringState) -> Array:
        """Customers that may be next, bool (B, N + 1)."""
        return state.remaining & within(xp, instance, state.current, state.left)

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(
        self, instance: OrienteeringInstance, state: OrienteeringState
    ) -> dict[str, Array]:
        """Show the tail, or everything; see the class."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        low, size = metric.unit_frame(xp, coordinates)
        unit = (coordinates - low) / size[:, None, None]
        remaining = xp.astype(state.remaining[:, 1:], coordinates.dtype)
        largest = xp.max(instance.prize, axis=1, keepdims=True)
        largest = xp.where(largest > 0, largest, xp.ones_like(largest))
        share = instance.prize[:, 1:] / largest
        left = state.left / size
        seen = {
            "coordinates": unit[:, 1:, :] * remaining[:, :, None],
            "prize": share * remaining,
            "remaining": remaining,
            "origin": gather(xp, unit, state.current),
            "depot": xp.asarray(unit[:, 0, :], copy=True),
            "left": xp.minimum(left, xp.full_like(left, 10.0))[:, None],
        }
        if self.mode == "direct":
            seen["coordinates"], seen["prize"] = unit[:, 1:, :], share
            visits = xp.astype(state.visits[:, 1:], coordinates.dtype)
            seen["visits"] = visits / self.num_customers
        return seen

    def action_mask(self, instance: OrienteeringInstance, state: OrienteeringState) -> Array:
        """Allowed nodes, (B, N + 1); see the class."""
        xp = array_namespace(instance.prize)
        allowed = self._allowed(xp, instance, state)
        home = ~xp.any(allowed, axis=1, keepdims=True)
        if self.mode == "direct":
            home = xp.ones_like(home)
        return xp.concat([home, allowed[:, 1:]], axis=1)

    def worst_completion(self, instance: OrienteeringInstance, state: OrienteeringState) -> Array:
        """Nothing more is collected."""
        return array_namespace(state.left).zeros_like(state.left)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rule and the node."""
        if int(action) == 0:
            return "going home is allowed only where no customer is within reach (mode 'bq')"
        return f"customer {int(action)} is visited already, or too far"


def within(xp: Any, instance: OrienteeringInstance, current: Array, left: Array) -> Array:
    """Whether the way to each node and home is within the length left, bool (B, N + 1)."""
    way = metric.legs_from(xp, instance, current) + metric.legs_to_start(xp, instance)
    return way <= left[:, None] + TOLERANCE
