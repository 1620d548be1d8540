"""Face one: the single gymnasium environment, a batch of one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from or_envs.core.batch import Batch, InvalidActionMode, pick
from or_envs.core.problem import AnyProblem
from or_envs.core.rendering import Recorder


def load_problem(problem: str | AnyProblem, **kwargs: Any) -> AnyProblem:
    """Return ``problem`` itself, or build the class that "module:Class" names with ``kwargs``.

    Raises
    ------
    ValueError
        If a built problem comes with ``kwargs``, or the name has no colon.
    """
    if not isinstance(problem, str):
        if kwargs:
            raise ValueError(f"{', '.join(kwargs)}: allowed only where problem is 'module:Class'")
        return problem
    module, colon, name = problem.partition(":")
    if not colon:
        raise ValueError(f"problem: expected 'module:Class', got {problem!r}")
    built: AnyProblem = getattr(importlib.import_module(module), name)(**kwargs)
    return built


class Env(gym.Env[Any, Any]):
    """Gymnasium environment of any problem.

    ``info`` of every step of a stochastic problem holds ``post_decision_obs`` (the observation of
    the post-decision state), ``post_decision_reward`` and ``exogenous_reward``; the two rewards
    add up to the step's. After an illegal action ``info["invalid_action"]`` says why.
    Problems may add entries of their own, see :meth:`or_envs.core.problem.Problem.flags`.

    Parameters
    ----------
    problem
        A problem, or "module:Class" of one that is built with ``kwargs``.
    render_mode
        ``None``, "rgb_array" or "human".
    invalid_action
        "terminate": a masked action ends the episode with a penalty no better than the worst
        legal completion. "raise": it raises :class:`gymnasium.error.InvalidAction`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array", "human"],
        "render_fps": 4,
    }

    def __init__(
        self,
        problem: str | AnyProblem,
        render_mode: str | None = None,
        invalid_action: InvalidActionMode = "terminate",
        **kwargs: Any,
    ) -> None:
        self.problem = load_problem(problem, **kwargs)
        self.batch = Batch(self.problem, 1, invalid_action)
        self.observation_space = self.problem.observation_space
        self.action_space = self.problem.action_space
        self.render_mode = render_mode
        self._recorder = None if render_mode is None else Recorder(self.problem, render_mode)

    @property
    def instance(self) -> Any:
        """Instance of the running episode, a batch of one."""
        return self.batch.instance

    @property
    def state(self) -> Any:
        """Current state, a batch of one."""
        return self.batch.state

    def action_masks(self) -> np.ndarray:
        """Allowed actions as sb3-contrib's MaskablePPO wants them, bool (sum of sizes,)."""
        mask = self.batch.mask()
        if mask is None:
            return np.ones(int(self.batch.actions.sizes.sum()), dtype=np.bool_)
        row: np.ndarray = mask[0].copy()
        return row

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; ``options`` may force "instance", "exogenous" and the problem's own."""
        super().reset(seed=seed)
        self.batch.rngs = [self.np_random]
        self.batch.reset(options=options)
        if self._recorder is not None:
            self._recorder.start(self.batch.instance, self.batch.state)
            if self.render_mode == "human":
                self.render()
        return pick(self.batch.observe(self.batch.state), 0), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one decision and its outcome."""
        batch = self.batch
        action = np.asarray(action)
        step = batch.step(action[None])
        info: dict[str, Any] = {}
        if batch.exogenous is not None:
            info["post_decision_obs"] = pick(batch.observe(step.post_state), 0)
            info["post_decision_reward"] = float(step.decision_reward[0])
            info["exogenous_reward"] = float(step.outcome_reward[0])
        info |= {key: value[0] for key, value in self.problem.flags(batch.state).items()}
        if step.invalid is not None:
            info["invalid_action"] = self.problem.explain_invalid(action)
        if self._recorder is not None:
            self._recorder.add(action, step, batch.state)
            if self.render_mode == "human":
                self.render()
        return (
            pick(batch.observe(batch.state), 0),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            info,
        )

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Draw the current state: an RGB array, or a window in mode "human"."""
        if self._recorder is None:
            gym.logger.warn('render: build the environment with render_mode="rgb_array" or "human"')
            return None
        return self._recorder.draw()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._recorder is not None:
            self._recorder.close()
