"""Capacitated vehicle routing problem (CVRP)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.options import force, require
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, rows_of_set
from or_envs.routing import generators, metric
from or_envs.routing.modes import Mode, check_mode, record_visit, unit_spaces


@dataclasses.dataclass(frozen=True)
class CVRPInstance(Arrays):
    """Customers, their demands, and vehicles of one size; node 0 is the depot.

    Attributes
    ----------
    coordinates
        (B, N + 1, 2), units of length.
    distances
        (B, N + 1, N + 1) where they are not Euclidean (files round them); else (B, 0, 0).
    demand
        (B, N + 1), whole units, 0 at the depot.
    capacity
        Units that a vehicle holds, (B,).
    """

    coordinates: Array
    distances: Array
    demand: Array
    capacity: Array

    @classmethod
    def euclidean(cls, coordinates: Array, demand: Array, capacity: Array) -> CVRPInstance:
        """Return the instance with Euclidean distances; the depot's demand is left out."""
        xp = array_namespace(coordinates)
        num, device = coordinates.shape[0], coordinates.device
        nothing = xp.zeros((num, 0, 0), dtype=coordinates.dtype, device=device)
        depot = xp.zeros((num, 1), dtype=coordinates.dtype, device=device)
        demand = xp.concat([depot, xp.astype(demand, coordinates.dtype)], axis=1)
        return cls(coordinates, nothing, demand, xp.astype(capacity, coordinates.dtype))


@dataclasses.dataclass(frozen=True)
class CVRPState(Arrays):
    """What is left to do from ``current`` with a partly loaded vehicle.

    Attributes
    ----------
    current
        Node where the vehicle is, integers (B,).
    remaining
        Customers to serve, bool (B, N + 1); the depot never is.
    load
        Units left in the vehicle, (B,).
    visits
        In direct mode, the step in which each customer was served, 0 if not yet, integers
        (B, N + 1); else (B, 0).
    """

    current: Array
    remaining: Array
    load: Array
    visits: Array


class CVRP(Problem[CVRPInstance, CVRPState, Arrays]):
    """Serve every customer by routes from the depot, on a shortest total way.

    - Action, mode "bq" (arXiv 2301.03313): Discrete(2 N). 2 c: drive to customer c + 1 directly;
      2 c + 1: by way of the depot, where the vehicle is filled. Directly only where the load is
      enough; by way of the depot only from a customer (at the depot it would be the same move
      twice). N steps.
    - Action, mode "direct": Discrete(N + 1), the next node; 0 is the depot, not twice in a row. The
      last step goes to the depot. N + number of routes steps.
    - Observation, mode "bq": the tail sub-problem only. Dict of float32 "coordinates" (N, 2) of
      customers and "demand" (N,) as a share of the capacity, both zero where they are served,
      "remaining" (N,), "origin" (2,), "depot" (2,), and "load" (1,) as a share of the capacity.
    - Observation, mode "direct": the same of all customers, and "visits" (N,), when each was served
      as a share of 2 N (0: not yet).
    - Coordinates in observations are scaled as in :class:`or_envs.routing.tsp.TSP`.
    - Reward: minus the distance travelled; the last customer's step includes the way home ("bq").
    - End: terminated when every customer is served and, in mode "direct", the vehicle is home.
    - ``reset(options=...)``: "coordinates" (N + 1, 2), "demand" (N + 1,) with the depot's 0,
      "capacity" (), or these with a batch axis.
    - A masked action ends the episode; the penalty is the largest distance in the bounding box for
      two ways per customer still to serve, and one.

    Parameters
    ----------
    num_customers
        N >= 1. Of a file it is read.
    instance
        "uniform": nodes uniform in the unit square, demands 1..9. "clustered": nodes as in TSP.
        "kool": the test set of arXiv 1803.08475, see :class:`or_envs.routing.tsp.TSP`. Any other
        value is the path of a CVRPLIB file, with its own rule of distances; the number of vehicles
        is free.
    capacity
        Units; ``None``: 20, 30, 40, 50, 80, 100, 250 from 10, 20, 50, 100, 200, 500, 1000 customers
        on. Not for files.
    mode
        "bq" or "direct".

    Raises
    ------
    ValueError
        If an argument is outside its range, or the file is malformed (field and line are named).
    """

    option_keys: ClassVar[tuple[str, ...]] = ("coordinates", "demand", "capacity")
    drawing: ClassVar[str | None] = "or_envs.routing.rendering:draw_routes"

    def __init__(
        self,
        num_customers: int = 50,
        instance: str = "uniform",
        capacity: int | None = None,
        mode: Mode = "bq",
    ) -> None:
        check_mode(mode)
        self._given: CVRPInstance | None = None
        if instance not in generators.PLANES:
            from or_envs.routing.tsplib import read_cvrp

            if capacity is not None:
                raise ValueError(f"capacity: expected None with a file, got {capacity!r}")
            self._given = read_cvrp(instance, f"one of {', '.join(generators.PLANES)}")
            num_customers = self._given.coordinates.shape[1] - 1
        if not isinstance(num_customers, int) or num_customers < 1:
            raise ValueError(f"num_customers: expected an integer >= 1, got {num_customers!r}")
        if capacity is not None and (not isinstance(capacity, int) or capacity < 9):
            raise ValueError(
                f"capacity: expected an integer >= 9 (the largest demand), got {capacity!r}"
            )
        self.num_customers = num_customers
        self.instance_name = instance
        self.capacity = capacity or int(generators.at_most(generators.CAPACITY, num_customers))
        self.mode: Mode = mode
        direct = mode == "direct"
        self.max_steps = 2 * num_customers if direct else num_customers
        self.action_space = gym.spaces.Discrete(num_customers + 1 if direct else 2 * num_customers)

        self.observation_space = unit_spaces(
            mode,
            num_customers,
            coordinates=(num_customers, 2),
            demand=(num_customers,),
            remaining=(num_customers,),
            origin=(2,),
            depot=(2,),
            load=(1,),
        )

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> CVRPInstance:
        """Draw nodes, then demands; see the class."""
        if self._given is not None:
            return self._given.repeat(len(rngs))
        if self.instance_name == "kool":
            rows = rows_of_set(rngs, generators.KOOL_NUM)
            nodes, demand = (part[rows] for part in generators.kool_cvrp(self.num_customers))
        else:
            nodes = generators.PLANES[self.instance_name](rngs, self.num_customers + 1)
            demand = np.stack([rng.integers(1, 10, self.num_customers) for rng in rngs])
        return CVRPInstance.euclidean(nodes, demand, np.full(len(rngs), self.capacity))

    def apply_options(
        self, instance: CVRPInstance, exogenous: Arrays | None, options: Mapping[str, Any]
    ) -> tuple[CVRPInstance, Arrays | None]:
        """Force data; distances are Euclidean if "coordinates" are given."""
        instance = force(instance, options)
        require(instance.capacity > 0, "options: 'capacity'", "> 0", instance.capacity)
        fits = (instance.demand >= 0) & (instance.demand <= instance.capacity[:, None])
        fits[:, 0] = instance.demand[:, 0] == 0
        require(fits, "options: 'demand'", "0 at the depot, else 0..capacity", instance.demand)
        if "coordinates" in options:
            data = (instance.coordinates, instance.demand[:, 1:], instance.capacity)
            instance = CVRPInstance.euclidean(*data)
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: CVRPInstance) -> CVRPState:
        """Stand at the depot, full, with every customer to serve."""
        xp = array_namespace(instance.demand)
        num, nodes = instance.num, self.num_customers + 1
        device = instance.demand.device
        later = xp.broadcast_to(xp.arange(nodes, device=device) > 0, (num, nodes))
        columns = nodes if self.mode == "direct" else 0
        return CVRPState(
            xp.zeros(num, dtype=xp.int64, device=device),
            xp.asarray(later, copy=True),
            instance.capacity + xp.zeros_like(instance.demand[:, 0]),
            xp.zeros((num, columns), dtype=xp.int64, device=device),
        )

    def post_decision(
        self, instance: CVRPInstance, state: CVRPState, action: Array
    ) -> tuple[CVRPState, Array]:
        """Drive, and serve."""
        xp = array_namespace(instance.demand)
        number = instance.demand.dtype
        depot = xp.zeros_like(action)
        if self.mode == "direct":
            node, filled = action, action == 0
        else:
            node, filled = action // 2 + 1, action % 2 == 1
        nodes = xp.arange(self.num_customers + 1, dtype=action.dtype, device=action.device)
        chosen = nodes[None, :] == node[:, None]
        remaining = state.remaining & ~chosen
        load = xp.where(filled, instance.capacity, state.load)
        load = load - gather(xp, instance.demand, node)
        length = metric.leg(xp, instance, state.current, node)
        if self.mode == "bq":
            home = metric.leg_to_start(xp, instance, node)
            around = metric.leg_to_start(xp, instance, state.current)
            around = around + metric.leg(xp, instance, depot, node)
            length = xp.where(filled, around, length)
            length = length + home * xp.astype(~xp.any(remaining, axis=1), number)
        visits = record_visit(xp, state.visits, chosen & state.remaining)
        return CVRPState(node, remaining, load, visits), -length

    def transition(
        self, instance: CVRPInstance, post_state: CVRPState, exogenous: Arrays | None
    ) -> tuple[CVRPState, Array, Array]:
        """Nothing random happens; see the class for the end."""
        xp = array_namespace(instance.demand)
        over = ~xp.any(post_state.remaining, axis=1)
        if self.mode == "direct":
            over = over & (post_state.current == 0)
        return post_state, xp.zeros_like(post_state.load), over

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: CVRPInstance, state: CVRPState) -> dict[str, Array]:
        """Show the tail, or everything; see the class."""
        coordinates = instance.coordinates
        xp = array_namespace(coordinates)
        low, size = metric.unit_frame(xp, coordinates)
        unit = (coordinates - low) / size[:, None, None]
        remaining = xp.astype(state.remaining[:, 1:], coordinates.dtype)
        share = instance.demand[:, 1:] / instance.capacity[:, None]
        seen = {
            "coordinates": unit[:, 1:, :] * remaining[:, :, None],
            "demand": share * remaining,
            "remaining": remaining,
            "origin": gather(xp, unit, state.current),
            "depot": xp.asarray(unit[:, 0, :], copy=True),
            "load": (state.load / instance.capacity)[:, None],
        }
        if self.mode == "direct":
            seen["coordinates"], seen["demand"] = unit[:, 1:, :], share
            visits = xp.astype(state.visits[:, 1:], coordinates.dtype)
            seen["visits"] = visits / (2.0 * self.num_customers)
        return seen

    def action_mask(self, instance: CVRPInstance, state: CVRPState) -> Array:
        """Allowed moves, (B, 2 N) or (B, N + 1); see the class."""
        xp = array_namespace(instance.demand)
        direct = state.remaining & (instance.demand <= state.load[:, None])
        if self.mode == "direct":
            home = (state.current != 0)[:, None]
            return xp.concat([home, direct[:, 1:]], axis=1)
        around = state.remaining & (state.current != 0)[:, None]
        both = xp.stack([direct[:, 1:], around[:, 1:]], axis=2)
        return xp.reshape(both, (state.num, 2 * self.num_customers))

    def worst_completion(self, instance: CVRPInstance, state: CVRPState) -> Array:
        """Two ways of the longest distance for every customer to serve, and one."""
        xp = array_namespace(instance.demand)
        left = xp.sum(xp.astype(state.remaining, instance.demand.dtype), axis=1)
        return -metric.longest_leg(xp, instance) * (2 * left + 1)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rules and the customer."""
        number = int(action)
        if self.mode == "direct":
            if number == 0:
                return "the vehicle is at the depot already"
            return f"customer {number} is served already, or its demand is above the load"
        customer = number // 2 + 1
        if number % 2:
            return f"customer {customer} is served already, or the vehicle is at the depot"
        return f"customer {customer} is served already, or its demand is above the load"

    def compiled(self) -> CVRP:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not CVRP or self.mode == "direct" or self._given is not None:
            return self
        from or_envs.routing.kernels import CompiledCVRP

        return CompiledCVRP(self)
