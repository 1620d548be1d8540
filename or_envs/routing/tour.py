"""What TSP and asymmetric TSP share: a tour through all cities from city 0."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import gymnasium as gym
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.problem import Problem
from or_envs.routing import metric
from or_envs.routing.modes import Mode, check_mode, record_visit

InstanceT = TypeVar("InstanceT", bound=Arrays)


@dataclasses.dataclass(frozen=True)
class TourState(Arrays):
    """What is left to do: a path from ``current`` through ``remaining`` to city 0.

    Attributes
    ----------
    current
        City where the salesman is, integers (B,).
    remaining
        Cities still to visit, bool (B, N).
    visits
        In direct mode, the step in which each city was visited, 0 if not yet, integers (B, N);
        else (B, 0).
    left
        How many cities remain, integers (B,). It follows from ``remaining``; counting them again
        would take a third of the time of a step.
    """

    current: Array
    remaining: Array
    visits: Array
    left: Array


class Tour(Problem[InstanceT, TourState, Arrays]):
    """Base of the tour problems; see :class:`or_envs.routing.tsp.TSP`."""

    num_cities: int
    mode: Mode

    def _spaces(self, num_cities: int, mode: Mode) -> None:
        if not isinstance(num_cities, int) or num_cities < 2:
            raise ValueError(f"num_cities: expected an integer >= 2, got {num_cities!r}")
        check_mode(mode)
        self.num_cities = num_cities
        self.mode = mode
        self.max_steps = num_cities - 1
        self.action_space = gym.spaces.Discrete(num_cities)

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: InstanceT) -> TourState:
        """Stand in city 0 with every other city to visit."""
        floating = instance.leaves()[0]
        xp = array_namespace(floating)
        num, cities, device = instance.num, self.num_cities, floating.device
        later = xp.broadcast_to(xp.arange(cities, device=device) > 0, (num, cities))
        columns = cities if self.mode == "direct" else 0
        return TourState(
            xp.zeros(num, dtype=xp.int64, device=device),
            xp.asarray(later, copy=True),
            xp.zeros((num, columns), dtype=xp.int64, device=device),
            xp.full(num, cities - 1, dtype=xp.int64, device=device),
        )

    def post_decision(
        self, instance: InstanceT, state: TourState, action: Array
    ) -> tuple[TourState, Array]:
        """Travel to the city ``action``, and home from the last one."""
        xp = array_namespace(state.remaining)
        # Half as wide integers are compared in two thirds of the time.
        cities = xp.arange(self.num_cities, dtype=xp.int32, device=action.device)
        others = cities[None, :] != xp.astype(action, xp.int32)[:, None]
        left = state.left - xp.astype(gather(xp, state.remaining, action), state.left.dtype)
        length, home = metric.leg_and_home(xp, instance, state.current, action)
        length = xp.where(left == 0, length + home, length)
        visits = state.visits
        if self.mode == "direct":
            visits = record_visit(xp, visits, ~others)
        return TourState(action, state.remaining & others, visits, left), -length

    def transition(
        self, instance: InstanceT, post_state: TourState, exogenous: Arrays | None
    ) -> tuple[TourState, Array, Array]:
        """Nothing random happens; the task ends when no city remains."""
        floating = instance.leaves()[0]
        xp = array_namespace(floating)
        nothing = xp.zeros(post_state.num, dtype=floating.dtype, device=floating.device)
        return post_state, nothing, post_state.left == 0

    def action_mask(self, instance: InstanceT, state: TourState) -> Array:
        """Remaining cities, (B, N)."""
        return state.remaining

    def worst_completion(self, instance: InstanceT, state: TourState) -> Array:
        """No leg is longer than the longest, for every way still to go."""
        xp = array_namespace(state.remaining)
        longest = metric.longest_leg(xp, instance)
        return -longest * (xp.astype(state.left, longest.dtype) + 1)

    def explain_invalid(self, action: Any) -> str:
        """Name the rule and the city."""
        return f"city {int(action)} is already visited (or is the start, city 0)"
