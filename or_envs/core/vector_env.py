"""Face two: the native vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from or_envs.core.batch import Batch, InvalidActionMode, pick
from or_envs.core.env import load_problem
from or_envs.core.problem import AnyProblem


class VectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Batched gymnasium environment of any problem.

    Sub-environment i of a batch reset with seed s is the single environment reset with s + i.
    ``infos`` are those of the single environment, batched: an array per key and, under the key
    with a leading underscore, which rows it is meant for.

    Parameters
    ----------
    problem
        A problem, or "module:Class" of one that is built with ``kwargs``.
    num_envs
        Batch size B, at least 1.
    autoreset_mode
        What follows the end of an episode, as gymnasium defines it. SAME_STEP (default): the row
        is reset at once, and the last observation is in ``infos["final_obs"]``.
    invalid_action
        As for the single environment.
    """

    def __init__(
        self,
        problem: str | AnyProblem,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        invalid_action: InvalidActionMode = "terminate",
        **kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs: expected an integer >= 1, got {num_envs}")
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            modes = ", ".join(repr(mode.value) for mode in AutoresetMode)
            raise ValueError(
                f"autoreset_mode: expected one of {modes}, got {autoreset_mode!r}"
            ) from None
        self.problem = load_problem(problem, **kwargs)
        self.num_envs = num_envs
        self.batch = Batch(self.problem, num_envs, invalid_action)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.problem.observation_space
        self.single_action_space = self.problem.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def instance(self) -> Any:
        """Instances of the running episodes."""
        return self.batch.instance

    @property
    def state(self) -> Any:
        """Current states."""
        return self.batch.state

    def action_masks(self) -> np.ndarray:
        """Allowed actions, bool (B, sum of action sizes)."""
        size = int(self.batch.actions.sizes.sum())
        mask = self.batch.mask()
        if mask is None:
            return np.ones((self.num_envs, size), dtype=np.bool_)
        return np.array(np.broadcast_to(mask, (self.num_envs, size)))

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all rows, or in those of the boolean array ``options["reset_mask"]``.

        A seed s seeds row i with s + i; a list seeds row by row (``None`` keeps a generator).
        """
        rest = dict(options or {})
        reset_mask = rest.pop("reset_mask", None)
        rows = None
        if reset_mask is not None:
            reset_mask = np.asarray(reset_mask)
            if reset_mask.dtype != np.bool_ or reset_mask.shape != (self.num_envs,):
                raise ValueError(
                    f"options: 'reset_mask' must be booleans of shape ({self.num_envs},),"
                    f" got {reset_mask.dtype} of shape {reset_mask.shape}"
                )
            rows = None if reset_mask.all() else np.flatnonzero(reset_mask)
            if not reset_mask.any():
                raise ValueError("options: 'reset_mask' selects no environment")
        self._seed(seed, np.arange(self.num_envs) if rows is None else rows)
        if rows is not None and not hasattr(self.batch, "state"):
            raise ValueError("options: 'reset_mask' needs a first reset of all environments")
        self.batch.reset(rows, rest)
        return self.batch.observe(self.batch.state), {}

    def _seed(self, seed: int | Sequence[int | None] | None, rows: np.ndarray) -> None:
        if not self.batch.rngs:
            self.batch.rngs = [gym.utils.seeding.np_random()[0] for _ in range(self.num_envs)]
        if seed is None:
            return
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed: expected {self.num_envs} seeds, got {len(seeds)}")
        for row in rows:
            if (row_seed := seeds[row]) is not None:
                self.batch.rngs[row] = gym.utils.seeding.np_random(row_seed)[0]

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one step in every row."""
        batch = self.batch
        restarted = None
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and batch.any_done:
            # The action of a finished row is ignored: its step is the reset.
            restarted = batch.done.copy()
            batch.reset(None if restarted.all() else np.flatnonzero(restarted))
        step = batch.step(actions, restarted)
        played = np.ones(self.num_envs, dtype=np.bool_) if restarted is None else ~restarted
        infos: dict[str, Any] = {}
        if batch.exogenous is not None:
            self._inform(infos, "post_decision_obs", batch.observe(step.post_state), played)
            self._inform(infos, "post_decision_reward", step.decision_reward, played)
            self._inform(infos, "exogenous_reward", step.outcome_reward, played)
        for key, value in self.problem.flags(batch.state).items():
            self._inform(infos, key, value, played)
        if step.invalid is not None:
            reasons = np.full(self.num_envs, None, dtype=object)
            given = np.asarray(actions)
            for row in np.flatnonzero(step.invalid):
                reasons[row] = self.problem.explain_invalid(given[row])
            self._inform(infos, "invalid_action", reasons, step.invalid)
        observation = batch.observe(batch.state)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and batch.any_done:
            over = batch.done.copy()
            rows = np.flatnonzero(over)
            finals = np.full(self.num_envs, None, dtype=object)
            for row in rows:
                finals[row] = pick(observation, row)
            infos["final_obs"] = finals
            infos["_final_obs"] = over
            infos["final_info"] = {
                key: value for key, value in infos.items() if not key.endswith("final_obs")
            }
            infos["_final_info"] = over
            batch.reset(None if over.all() else rows)
            observation = batch.observe(batch.state)
        return observation, step.reward, step.terminated, step.truncated, infos

    @staticmethod
    def _inform(infos: dict[str, Any], key: str, value: Any, rows: np.ndarray) -> None:
        infos[key] = value
        infos["_" + key] = rows
