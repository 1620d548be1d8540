"""The mutable playing field under Env and VectorEnv: a batch of episodes of one problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded

from or_envs.core.actions import ActionChecker
from or_envs.core.arrays import Arrays, concatenate
from or_envs.core.problem import AnyProblem

InvalidActionMode = Literal["terminate", "raise"]


class Step(NamedTuple):
    """Outcome of one step of every batch row; arrays have shape (B,)."""

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    decision_reward: np.ndarray
    outcome_reward: np.ndarray
    post_state: Arrays
    invalid: np.ndarray | None


def cast(space: gym.Space[Any], observation: Any) -> Any:
    """Cast an observation batch to the dtypes of the space of single observations."""
    if isinstance(observation, dict):
        assert isinstance(space, gym.spaces.Dict)
        return {key: cast(sub, observation[key]) for key, sub in space.spaces.items()}
    return observation if observation.dtype == space.dtype else observation.astype(space.dtype)


def pick(observation: Any, index: Any) -> Any:
    """Index the leading axis of an observation batch."""
    if isinstance(observation, dict):
        return {key: value[index] for key, value in observation.items()}
    return observation[index]


class Batch:
    """``num`` episodes of a problem side by side, each with its own random generator.

    Parameters
    ----------
    problem
        The problem; numpy arrays throughout, with kernels where the problem has them.
    num
        Batch size B.
    invalid_action
        "terminate": a masked action ends the episode with the reward ``worst_completion``.
        "raise": it raises :class:`gymnasium.error.InvalidAction`.
    """

    instance: Any
    state: Any
    exogenous: Any

    def __init__(
        self, problem: AnyProblem, num: int, invalid_action: InvalidActionMode = "terminate"
    ) -> None:
        if invalid_action not in ("terminate", "raise"):
            raise ValueError(
                f"invalid_action: expected 'terminate' or 'raise', got {invalid_action!r}"
            )
        self.problem = problem.compiled()
        self.num = num
        self.invalid_action = invalid_action
        self.actions = ActionChecker(problem)
        self.rngs: list[np.random.Generator] = []
        self.steps = np.zeros(num, dtype=np.int64)
        self.done = np.ones(num, dtype=np.bool_)
        self.any_done = True
        self._time_limit = problem.max_steps if problem.ends == "truncated" else 0
        self._none = np.zeros(num, dtype=np.bool_)
        # Imported here, because "import or_envs" must stay light.
        from or_envs.core import kernels

        self._advance = kernels.advance

    def reset(
        self, rows: np.ndarray | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        """Start new episodes in the given rows (default: all).

        Raises
        ------
        ValueError
            If an option is unknown or its value does not fit.
        """
        everything = rows is None
        if rows is None:
            rows = np.arange(self.num)
        instance, exogenous = self._sample([self.rngs[row] for row in rows], options or {})
        state = self.problem.initial(instance)
        if everything:
            self.instance, self.exogenous, self.state = instance, exogenous, state
        else:
            self.instance = self.instance.replace_rows(rows, instance)
            self.state = self.state.replace_rows(rows, state)
            if exogenous is not None:
                self.exogenous = self.exogenous.replace_rows(rows, exogenous)
        self.steps[rows] = 0
        self.done[rows] = False
        self.any_done = bool(self.done.any())

    def _sample(
        self, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        problem, num = self.problem, len(rngs)
        known = ("instance", "exogenous", *problem.option_keys)
        for key in options:
            if key not in known:
                raise ValueError(f"options: unknown key {key!r}; allowed are {', '.join(known)}")
        # Forcing one part leaves the draws of the others as they were.
        instance = problem.sample_instances(rngs)
        if "instance" in options:
            instance = _of_size("instance", options["instance"], type(instance), num)
        exogenous = problem.sample_exogenous(instance, rngs)
        if "exogenous" in options:
            if exogenous is None:
                raise ValueError("options: 'exogenous' given, but the problem is deterministic")
            exogenous = _of_size("exogenous", options["exogenous"], type(exogenous), num)
        if options:
            instance, exogenous = problem.apply_options(instance, exogenous, options)
        return instance, exogenous

    def mask(self) -> np.ndarray | None:
        """Allowed actions in the current states, (B, sum of action sizes) or (1, ...)."""
        mask: np.ndarray | None = self.problem.action_mask(self.instance, self.state)
        return mask

    def observe(self, state: Arrays) -> Any:
        """Observation batch of the given (pre- or post-decision) states."""
        observation = self.problem.observation(self.instance, state)
        return cast(self.problem.observation_space, observation)

    def step(self, actions: Any, frozen: np.ndarray | None = None) -> Step:
        """Play one step in every row that is not ``frozen`` (bool (B,), default: none).

        Raises
        ------
        gymnasium.error.InvalidAction
            If an action is outside the space, or masked while ``invalid_action="raise"``.
        gymnasium.error.ResetNeeded
            If an episode in the batch is over.
        """
        if self.any_done:
            row = int(self.done.argmax())
            raise ResetNeeded(f"step: the episode of environment {row} is over; call reset first")
        problem, instance, state = self.problem, self.instance, self.state
        actions = self.actions.in_space(actions, self.num)
        mask = self.mask()
        invalid = self.actions.masked(mask, actions)
        if invalid is not None and frozen is not None:
            invalid = invalid & ~frozen
        if invalid is not None and self.invalid_action == "raise" and invalid.any():
            row = int(invalid.argmax())
            why = problem.explain_invalid(actions[row])
            raise InvalidAction(f"action of environment {row}: {why}")
        kept = invalid if frozen is None else frozen if invalid is None else frozen | invalid
        if kept is not None and mask is not None:
            column = kept.reshape(-1, *(1,) * (actions.ndim - 1))
            actions = np.where(column, self.actions.best(mask), actions)
        post_state, decision_reward = problem.post_decision(instance, state, actions)
        exogenous = None
        if self.exogenous is not None:
            exogenous = problem.exogenous_at(self.exogenous, self.steps)
        next_state, outcome_reward, terminated = problem.transition(instance, post_state, exogenous)
        if kept is not None:  # these rows stay where they are
            rows = np.flatnonzero(kept)
            old = state.rows(rows)
            post_state = post_state.replace_rows(rows, old)
            next_state = next_state.replace_rows(rows, old)
            decision_reward = np.where(kept, 0.0, decision_reward)
            outcome_reward = np.where(kept, 0.0, outcome_reward)
            terminated = terminated & ~kept
            if invalid is not None:
                penalty = problem.worst_completion(instance, state)
                decision_reward = np.where(invalid, penalty, decision_reward)
                terminated = terminated | invalid
        self.state = next_state
        truncated = np.empty(self.num, dtype=np.bool_)
        self.done = np.empty(self.num, dtype=np.bool_)
        self.any_done = self._advance(
            self.steps,
            self._none if frozen is None else frozen,
            terminated,
            self._time_limit,
            truncated,
            self.done,
        )
        return Step(
            decision_reward + outcome_reward,
            terminated,
            truncated,
            decision_reward,
            outcome_reward,
            post_state,
            invalid,
        )


def _of_size(name: str, value: Any, kind: type[Arrays], num: int) -> Arrays:
    """A forced instance or trace, one row of it repeated where the batch is larger."""
    if not isinstance(value, kind):
        raise ValueError(f"options: {name!r} must be a {kind.__name__}, got {type(value).__name__}")
    if value.num == num:
        return value
    if value.num == 1:
        return concatenate([value] * num)
    raise ValueError(f"options: {name!r} has {value.num} rows; expected 1 or {num}")
