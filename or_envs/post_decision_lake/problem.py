"""A slippery frozen lake whose drift comes after the move: a test bed for post-decision values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, uniform
from or_envs.post_decision_lake.instances import STEPS, LakeInstance, generate

#: Reward of every landing in a hole, beside that of the landing.
HOLE_REWARD = -0.05
#: Probability that a drift follows the move.
DRIFT = 0.5


@dataclasses.dataclass(frozen=True)
class LakeState(Arrays):
    """Where the walker is; the post-decision state has the same form.

    Attributes
    ----------
    cell
        Integers 0..S - 1, (B,).
    sunk
        Whether a decision was taken in a hole, which ends the episode, bool (B,).
    period
        Moves played, integers (B,).
    """

    cell: Array
    sunk: Array
    period: Array


@dataclasses.dataclass(frozen=True)
class LakeDrift(Arrays):
    """What follows the moves.

    Attributes
    ----------
    drifts
        Whether a drift follows, bool (B, T); of one move, (B,).
    direction
        Uniforms on [0, 1) that pick its direction from the law of the cell, (B, T) or (B,).
    """

    drifts: Array
    direction: Array


class PostDecisionLake(Problem[LakeInstance, LakeState, LakeDrift]):
    """Walk on a lake where each intended move may be followed by a random drift.

    The model is the one that arXiv 2504.05150 plays, from the code published with it
    (leokan92/pdppo). A move goes to the neighbouring cell; at the edge of the lake it stays. That
    cell is the post-decision state. Then, with probability 1/2, a drift moves the walker to a
    neighbour, by a law of directions that belongs to the cell. Every landing, by move or by drift,
    gives 1 / (1 + Manhattan distance to the goal), and 1/20 less in a hole. Staying at the edge
    counts as a landing.

    Reaching the goal, by move or by drift, ends the episode. A hole does not: a drift may still
    lead out of it; but a decision taken in a hole ends the episode with reward 0. It pays to stay
    close to the goal for as long as possible and not to reach it.

    - Action: Discrete(4): left, down, right, up.
    - Observation: float32, one-hot cell (S); the map and the time are not shown.
    - Reward: landing of the move (decision), landing of the drift (outcome); no unit. The
      published code leaves the hole out of the decision's part, so that its two parts do not add
      up to its reward; here they do.
    - End: terminated in the goal or after a decision in a hole; truncated after ``horizon`` moves.
    - ``reset(options=...)``: "cell", the start, (B,) or one for all; not the goal.

    Parameters
    ----------
    size
        Cells per side, >= 2; the start is the top left, the goal the bottom right.
    map_seed
        Seed of the holes, >= 0. The drift laws are the same on all maps of a size.
    horizon
        Time limit T >= 1 in moves.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    differentiable: ClassVar[bool] = False
    option_keys: ClassVar[tuple[str, ...]] = ("cell",)
    drawing: ClassVar[str | None] = "or_envs.post_decision_lake.rendering:draw"

    def __init__(self, size: int = 10, map_seed: int = 0, horizon: int = 100) -> None:
        limits = (("size", size, 2), ("map_seed", map_seed, 0), ("horizon", horizon, 1))
        for name, value, low in limits:
            if not isinstance(value, int) or value < low:
                raise ValueError(f"{name}: expected an integer >= {low}, got {value!r}")
        self.size = size
        self.horizon = horizon
        self.max_steps = horizon
        self.ends = "truncated"
        self.action_space = gym.spaces.Discrete(4)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (size * size,), np.float32)
        self._data = generate(size, map_seed)
        #: Whether the ice of a cell is broken, bool (S,).
        self.hole = self._data.hole[0]

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> LakeInstance:
        """Repeat the map; nothing in it is random."""
        start = np.zeros(len(rngs), dtype=np.int64)
        return dataclasses.replace(self._data, start=start)

    def sample_exogenous(self, instance: LakeInstance, rngs: Generators) -> LakeDrift:
        """Draw for every move whether a drift follows, and the uniform of its direction."""
        draws = uniform(rngs, (2, self.horizon))
        return LakeDrift(draws[:, 0] < DRIFT, draws[:, 1].copy())

    def apply_options(
        self, instance: LakeInstance, exogenous: LakeDrift | None, options: Mapping[str, Any]
    ) -> tuple[LakeInstance, LakeDrift | None]:
        """Force "cell"."""
        if "cell" in options:
            cell, num, goal = np.asarray(options["cell"]), instance.num, self.size**2 - 1
            if cell.dtype.kind not in "iu" or cell.shape not in ((), (num,)):
                raise ValueError(
                    f"options: 'cell' must be integers of shape () or ({num},), got {cell!r}"
                )
            if not ((cell >= 0) & (cell < goal)).all():
                raise ValueError(
                    f"options: 'cell' must be in 0..{goal - 1} (the goal is {goal}), got"
                    f" {cell.min()} to {cell.max()}"
                )
            start = np.broadcast_to(cell, num).astype(np.int64)
            instance = dataclasses.replace(instance, start=start)
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: LakeInstance) -> LakeState:
        """Stand in the start cell."""
        xp = array_namespace(instance.start)
        zero = xp.zeros_like(instance.start)
        return LakeState(xp.asarray(instance.start, copy=True), zero != 0, zero)

    def post_decision(
        self, instance: LakeInstance, state: LakeState, action: Array
    ) -> tuple[LakeState, Array]:
        """Make the intended move, or sink."""
        xp = array_namespace(state.cell)
        sunk = self._in_hole(xp, instance, state.cell)
        cell = xp.where(sunk, state.cell, self._move(xp, state.cell, action))
        landing = self._landing(xp, instance, cell)
        reward = xp.where(sunk, xp.zeros_like(landing), landing)
        return LakeState(cell, sunk, state.period), reward

    def transition(
        self, instance: LakeInstance, post_state: LakeState, exogenous: LakeDrift | None
    ) -> tuple[LakeState, Array, Array]:
        """Drift, unless the move has ended the episode."""
        assert exogenous is not None
        xp = array_namespace(post_state.cell)
        here, goal = post_state.cell, self.size**2 - 1
        drifts = exogenous.drifts & ~post_state.sunk & (here != goal)
        law = xp.cumulative_sum(gather(xp, instance.drift_probability, here), axis=1)
        # The last sum may be below 1 by rounding; it is not looked at.
        passed = exogenous.direction[:, None] >= law[:, :3]
        direction = xp.sum(xp.astype(passed, here.dtype), axis=1)
        cell = xp.where(drifts, self._move(xp, here, direction), here)
        landing = self._landing(xp, instance, cell)
        reward = xp.where(drifts, landing, xp.zeros_like(landing))
        terminal = post_state.sunk | (cell == goal)
        return LakeState(cell, post_state.sunk, post_state.period + 1), reward, terminal

    def _move(self, xp: Any, cell: Array, direction: Array) -> Array:
        """Neighbour in the given direction, or the same cell at the edge, (B,)."""
        size = self.size
        row, column = cell // size, cell % size
        for number, (down, right) in enumerate(STEPS):
            chosen = xp.astype(direction == number, cell.dtype)
            row, column = row + down * chosen, column + right * chosen
        inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
        return xp.where(inside, row * size + column, cell)

    def _in_hole(self, xp: Any, instance: LakeInstance, cell: Array) -> Array:
        return gather(xp, instance.hole, cell)

    def _landing(self, xp: Any, instance: LakeInstance, cell: Array) -> Array:
        """Reward of landing in a cell, (B,)."""
        number = instance.drift_probability.dtype
        distance = 2 * (self.size - 1) - cell // self.size - cell % self.size
        hole = xp.astype(self._in_hole(xp, instance, cell), number)
        return 1.0 / (1.0 + xp.astype(distance, number)) + HOLE_REWARD * hole

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: LakeInstance, state: LakeState) -> Array:
        """One-hot cell, (B, S)."""
        xp = array_namespace(state.cell)
        cells = xp.arange(self.size**2, dtype=state.cell.dtype, device=state.cell.device)
        return xp.astype(state.cell[:, None] == cells, instance.drift_probability.dtype)
