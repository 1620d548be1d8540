"""Rollout buffer with both half-steps of every transition."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer


class PostDecision(NamedTuple):
    """What follows the decision and precedes the outcome, for B environments.

    Attributes
    ----------
    observation
        Observation of the post-decision states, (B, ...) or a dict of such.
    reward, exogenous_reward
        The two parts of the reward, (B,), in the agent's scale.
    value
        V^x of the post-decision states, (B, 1).
    """

    observation: Any
    reward: np.ndarray
    exogenous_reward: np.ndarray
    value: torch.Tensor


class Components(NamedTuple):
    """All values of all components of the actions in B states, side by side as masks are.

    Attributes
    ----------
    log_probs
        Of the policy that plays, (B, sum of action sizes).
    advantages
        Of setting one component to the value, the others as played, (B, sum of action sizes);
        0 where forbidden.
    """

    log_probs: np.ndarray
    advantages: np.ndarray


class Samples(NamedTuple):
    """A minibatch of N transitions.

    ``old_log_prob`` and ``action_masks`` have shapes (N, K) and (N, sum of action sizes), the rest
    (N,) or, for observations and actions, (N, ...). ``post_observations`` and ``post_returns`` are
    ``None`` in a buffer without half-steps, ``component_log_probs`` and ``component_advantages``
    (N, sum of action sizes) in one without components.
    """

    observations: Any
    actions: torch.Tensor
    old_log_prob: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    action_masks: torch.Tensor | None
    post_observations: Any
    post_returns: torch.Tensor | None
    component_log_probs: torch.Tensor | None
    component_advantages: torch.Tensor | None


class PostDecisionRolloutBuffer(RolloutBuffer):
    """SB3's rollout buffer, for arrays and dicts, with masks and with both half-steps.

    Parameters
    ----------
    *args, **kwargs
        Those of SB3's buffer.
    per_component
        Keep a log-probability for each of the K components of an action instead of their sum
        (K = 1).
    half_steps
        Keep post-decision observations, rewards and values.
    components
        Keep what there is to know of all values of all components of the actions.
    rollouts
        Yield the transitions of this many roll-outs, the newest ones, with the advantages and
        log-probabilities that they were collected with.
    """

    def __init__(
        self,
        *args: Any,
        per_component: bool = False,
        half_steps: bool = True,
        components: bool = False,
        rollouts: int = 1,
        **kwargs: Any,
    ) -> None:
        self.per_component = per_component
        self.half_steps = half_steps
        self.components = components
        #: Flat arrays of the newest roll-outs before this one, oldest first.
        self._older: deque[dict[str, np.ndarray]] = deque(maxlen=rollouts - 1)
        self._pool: dict[str, np.ndarray] = {}
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Start a new roll-out; of the older ones the newest are kept."""
        self.set_kept(self.kept())
        size = (self.buffer_size, self.n_envs)

        def numbers(*shape: int) -> np.ndarray:
            return np.zeros((*size, *shape), dtype=np.float32)

        self.observations = self._empty(self.observation_space)
        self.actions = np.zeros((*size, self.action_dim), dtype=self.action_space.dtype)
        self.log_probs = numbers(self.action_dim if self.per_component else 1)
        self.rewards, self.episode_starts, self.values = numbers(), numbers(), numbers()
        self.advantages, self.returns = numbers(), numbers()
        self.action_masks: np.ndarray | None = None
        if self.half_steps:
            self.post_observations = self._empty(self.observation_space)
            self.post_rewards, self.exogenous_rewards = numbers(), numbers()
            self.post_values, self.post_returns = numbers(), numbers()
        if self.components:
            width = _width(self.action_space)
            self.component_log_probs, self.component_advantages = numbers(width), numbers(width)
        self.generator_ready = False
        self.pos = 0
        self.full = False

    def add(  # type: ignore[override]
        self,
        obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: torch.Tensor,
        log_prob: torch.Tensor,
        action_masks: np.ndarray | None,
        post_decision: PostDecision | None,
        components: Components | None = None,
    ) -> None:
        """Append one step of all environments.

        Parameters
        ----------
        obs, action, reward, episode_start, value
            As in SB3.
        log_prob
            Of the action, or of its components, (B, K).
        action_masks
            Allowed actions, bool (B, sum of action sizes); given in all steps or in none.
        post_decision
            The half-steps, if the buffer keeps them.
        components
            The components, if the buffer keeps them.
        """
        step = self.pos
        _store(self.observations, step, obs)
        self.actions[step] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[step] = reward
        self.episode_starts[step] = episode_start
        self.values[step] = value.cpu().numpy().flatten()
        self.log_probs[step] = log_prob.cpu().numpy()
        if action_masks is not None:
            if self.action_masks is None:
                shape = (self.buffer_size, *action_masks.shape)
                self.action_masks = np.zeros(shape, dtype=np.bool_)
            self.action_masks[step] = action_masks
        if post_decision is not None:
            _store(self.post_observations, step, post_decision.observation)
            self.post_rewards[step] = post_decision.reward
            self.exogenous_rewards[step] = post_decision.exogenous_reward
            self.post_values[step] = post_decision.value.cpu().numpy().flatten()
        if components is not None:
            self.component_log_probs[step] = components.log_probs
            self.component_advantages[step] = components.advantages
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def dones(self, last_dones: np.ndarray) -> np.ndarray:
        """Whether the episode ended with each step, bool (T, B); ``last_dones`` of the last."""
        return np.concatenate([self.episode_starts[1:] > 0, last_dones[None]])

    def get(self, batch_size: int | None = None) -> Generator[Samples, None, None]:  # type: ignore[override]
        """Yield the transitions once, in random minibatches."""
        assert self.full
        if not self.generator_ready:
            every = [*self._older, self._flat_arrays()]
            self._pool = {
                name: np.concatenate([one[name] for one in every]) if self._older else array
                for name, array in every[-1].items()
            }
            self.generator_ready = True
        total = len(self._pool["actions"])
        # The global generator and this order of calls are SB3's: PPO must come out bit-equal.
        order = np.random.permutation(total)  # noqa: NPY002
        batch_size = batch_size or total
        for start in range(0, total, batch_size):
            yield self._get_samples(order[start : start + batch_size])

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Samples:  # type: ignore[override]
        def take(name: str) -> torch.Tensor:
            return self.to_torch(self._pool[name][batch_inds])

        def take_observations(name: str) -> Any:
            if isinstance(self.observation_space, gym.spaces.Dict):
                return {key: take(f"{name}.{key}") for key in self.observation_space.spaces}
            return take(name)

        return Samples(
            take_observations("observations"),
            take("actions").float(),
            take("log_probs"),
            take("advantages").flatten(),
            take("returns").flatten(),
            None if self.action_masks is None else take("action_masks"),
            take_observations("post_observations") if self.half_steps else None,
            take("post_returns").flatten() if self.half_steps else None,
            take("component_log_probs") if self.components else None,
            take("component_advantages") if self.components else None,
        )

    def kept(self) -> list[dict[str, np.ndarray]]:
        """Roll-outs that stay in use when the next one starts, oldest first.

        Every one is a dict of flat arrays (N, ...), those of Dict observations by "name.key".
        """
        if not self._older.maxlen or not self.full:
            return list(self._older)
        return [*self._older, self._flat_arrays()][-self._older.maxlen :]

    def set_kept(self, rollouts: list[dict[str, np.ndarray]]) -> None:
        """Go on from what :meth:`kept` returned."""
        self._older = deque(rollouts, maxlen=self._older.maxlen)

    def _flat_arrays(self) -> dict[str, np.ndarray]:
        """What is learned from, every array (T, B, ...) flattened to (B T, ...) as in SB3."""
        names = ["observations", "actions", "log_probs", "advantages", "returns"]
        if self.action_masks is not None:
            names.append("action_masks")
        if self.half_steps:
            names += ["post_observations", "post_returns"]
        if self.components:
            names += ["component_log_probs", "component_advantages"]
        flat: dict[str, np.ndarray] = {}
        for name in names:
            values = getattr(self, name)
            parts: Mapping[str, np.ndarray] = (
                {f"{name}.{key}": part for key, part in values.items()}
                if isinstance(values, dict)
                else {name: values}
            )
            flat |= {key: self.swap_and_flatten(part) for key, part in parts.items()}
        return flat

    def _empty(self, space: gym.Space[Any]) -> Any:
        if isinstance(space, gym.spaces.Dict):
            return {key: self._empty(part) for key, part in space.spaces.items()}
        assert space.shape is not None
        return np.zeros((self.buffer_size, self.n_envs, *space.shape), dtype=space.dtype)


def _width(space: gym.Space[Any]) -> int:
    """Sum of the sizes of an action's components."""
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    assert isinstance(space, gym.spaces.MultiDiscrete)
    return int(space.nvec.sum())


def _store(target: Any, step: int, values: Any) -> None:
    if isinstance(target, dict):
        for key, part in target.items():
            part[step] = values[key]
    else:
        target[step] = values
