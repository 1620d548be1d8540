"""The car that must swing itself up a hill: a test bed for learning from demonstrations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, uniform

POWER, GRAVITY = 0.0015, 0.0025
MIN_POSITION, MAX_POSITION, MAX_SPEED, GOAL = -1.2, 0.6, 0.07, 0.45
#: Where the car may stand at the start.
START = (-0.6, -0.4)


@dataclasses.dataclass(frozen=True)
class MountainCarInstance(Arrays):
    """Where the car stands at the start, (B,)."""

    position: Array


@dataclasses.dataclass(frozen=True)
class MountainCarState(Arrays):
    """Position and velocity of the car, (B,) each."""

    position: Array
    velocity: Array


class MountainCar(Problem[MountainCarInstance, MountainCarState, Any]):
    """Gymnasium's ``MountainCarContinuous-v0`` as a problem: batched, and with a referee.

    The engine is too weak to drive up: the car has to swing (Moore, PhD thesis, Cambridge, 1990).
    Random play hardly ever sees the goal, and force costs; so standing still is a trap.

    - Action: Box(1), force in [-1, 1].
    - Observation: float32, position and velocity (2).
    - Reward: -force^2 / 10 a step, 100 in the goal; no unit.
    - End: terminated at position 0.45 on the way up, truncated after ``horizon`` steps.
    - ``reset(options=...)``: "position", where the car stands at the start, (B,) or one for all.

    Parameters
    ----------
    horizon
        Time limit T >= 1 in steps.

    Raises
    ------
    ValueError
        If the horizon is outside its range.
    """

    #: Rewards depend on the forces only, and on whether the goal is reached.
    differentiable: ClassVar[bool] = False
    option_keys: ClassVar[tuple[str, ...]] = ("position",)
    drawing: ClassVar[str | None] = "or_envs.mountain_car.rendering:draw"

    def __init__(self, horizon: int = 999) -> None:
        if not isinstance(horizon, int) or horizon < 1:
            raise ValueError(f"horizon: expected an integer >= 1, got {horizon!r}")
        self.horizon = self.max_steps = horizon
        self.ends = "truncated"
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float64)
        low = np.array([MIN_POSITION, -MAX_SPEED], dtype=np.float32)
        high = np.array([MAX_POSITION, MAX_SPEED], dtype=np.float32)
        self.observation_space = gym.spaces.Box(low, high, dtype=np.float32)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> MountainCarInstance:
        """Draw where the cars stand."""
        low, high = START
        return MountainCarInstance(low + (high - low) * uniform(rngs, ()))

    def apply_options(
        self, instance: MountainCarInstance, exogenous: None, options: Mapping[str, Any]
    ) -> tuple[MountainCarInstance, None]:
        """Force "position"."""
        if "position" in options:
            position, num = np.asarray(options["position"], dtype=np.float64), instance.num
            if position.shape not in ((), (num,)):
                raise ValueError(
                    f"options: 'position' must have shape () or ({num},), got {position.shape}"
                )
            if not ((position >= MIN_POSITION) & (position < GOAL)).all():
                raise ValueError(f"options: 'position' must be in [{MIN_POSITION}, {GOAL})")
            instance = MountainCarInstance(np.broadcast_to(position, num).copy())
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: MountainCarInstance) -> MountainCarState:
        """Stand still."""
        xp = array_namespace(instance.position)
        rest = xp.zeros_like(instance.position)
        return MountainCarState(instance.position + rest, rest)

    def post_decision(
        self, instance: MountainCarInstance, state: MountainCarState, action: Array
    ) -> tuple[MountainCarState, Array]:
        """Drive for one step."""
        xp = array_namespace(state.position)
        force = xp.astype(action[:, 0], state.position.dtype)
        velocity = state.velocity + force * POWER - GRAVITY * xp.cos(3 * state.position)
        velocity = xp.clip(velocity, -MAX_SPEED, MAX_SPEED)
        position = xp.clip(state.position + velocity, MIN_POSITION, MAX_POSITION)
        # The wall on the left takes all speed.
        stopped = (position == MIN_POSITION) & (velocity < 0)
        velocity = xp.where(stopped, xp.zeros_like(velocity), velocity)
        return MountainCarState(position, velocity), -0.1 * force**2

    def transition(
        self, instance: MountainCarInstance, post_state: MountainCarState, exogenous: None
    ) -> tuple[MountainCarState, Array, Array]:
        """See whether the goal is reached; nothing is random."""
        xp = array_namespace(post_state.position)
        terminal = (post_state.position >= GOAL) & (post_state.velocity >= 0)
        return post_state, 100.0 * xp.astype(terminal, post_state.position.dtype), terminal

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: MountainCarInstance, state: MountainCarState) -> Array:
        """Position and velocity, (B, 2)."""
        xp = array_namespace(state.position)
        return xp.stack([state.position, state.velocity], axis=1)
