"""Exact checkpoints: a run that is killed and resumed ends as if it had never been killed.

They are taken between rollouts, where the state of a run is small: weights, optimiser, counters,
the two global random generators and, if the algorithm plays its environment, the episodes that are
under way. The equality is bit by bit on CPU; torch promises no such thing on GPUs.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq

from agents.common.distributed import is_leader
from agents.common.files import read, write
from agents.common.safe_files import SafeFiles
from or_envs.core.sb3 import SB3VecEnv


class ExactCheckpoint(BaseCallback):
    """Write a checkpoint before every ``every``-th rollout, and one at the end of training.

    Of several processes that train together the leader writes it.

    Parameters
    ----------
    path
        File name; the last checkpoint replaces the one before.
    every
        Rollouts from one checkpoint to the next, at least 1.

    Raises
    ------
    ValueError
        If ``every`` is less than 1; on writing, as :func:`write_checkpoint`.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 10) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every: expected an integer >= 1, got {every}")
        self.path = Path(path)
        self.every = every
        self._rollouts = 0

    def _on_rollout_start(self) -> None:
        # The first call comes before anything has happened.
        if self._rollouts and self._rollouts % self.every == 0 and is_leader():
            write_checkpoint(self.model, self.path)
        self._rollouts += 1

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if is_leader():
            write_checkpoint(self.model, self.path)


def write_checkpoint(model: BaseAlgorithm, path: str | os.PathLike[str]) -> None:
    """Write everything that the rest of the run depends on.

    Parameters
    ----------
    model
        An algorithm with :class:`~agents.common.safe_files.SafeFiles`, between two rollouts; on a
        :class:`~or_envs.core.sb3.SB3VecEnv` if it plays its environment.
    path
        File name.

    Raises
    ------
    ValueError
        If the environment is of another class, or a setting cannot be described by a file.
    """
    agent = _agent(model)
    arrays = _prefixed("policy", {k: _array(v) for k, v in model.policy.state_dict().items()})
    arrays |= _prefixed("run", agent.run_state())
    learning, description = agent.learning_state()
    arrays |= _prefixed("learning", learning)
    arrays["torch_generator"] = torch.get_rng_state().numpy()
    legacy: Any = np.random.get_state()  # noqa: NPY002  (SB3 shuffles minibatches with it)
    arrays["numpy_generator"] = legacy[1]
    settings = {
        "model": agent.settings(),
        "learning": description,
        "numpy_generator": legacy[2:],
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "episode_num": model._episode_num,
        "episodes": list(model.ep_info_buffer or ()),
    }
    if isinstance(model, OnPolicyAlgorithm | OffPolicyAlgorithm):
        env_arrays, settings["environment"] = _sb3_vec_env(model).get_state()
        arrays |= _prefixed("environment", env_arrays)
        arrays |= _prefixed("last_obs", _as_dict(model._last_obs))
        assert model._last_episode_starts is not None
        arrays["last_episode_starts"] = model._last_episode_starts
    write(path, f"{type(model).__name__} checkpoint", arrays, settings)


def resume(model: BaseAlgorithm, path: str | os.PathLike[str]) -> None:
    """Bring a freshly built model to the state of a checkpoint.

    Go on with ``model.learn(total - model.num_timesteps, reset_num_timesteps=False)``, where
    ``total`` is that of the first call, so that schedules continue; :func:`learn_resumable` does.

    Parameters
    ----------
    model
        Built with the same settings, on an environment built the same way.
    path
        File that :class:`ExactCheckpoint` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no checkpoint of this algorithm, or settings or environment differ.
    """
    arrays, settings = read(path, f"{type(model).__name__} checkpoint")
    for name, value in _agent(model).settings().items():
        if settings["model"][name] != value:
            raise ValueError(
                f"{path}: written by a model with {name} {settings['model'][name]},"
                f" but this one has {value}"
            )
    if isinstance(model, OnPolicyAlgorithm | OffPolicyAlgorithm):
        try:
            _sb3_vec_env(model).set_state(_part(arrays, "environment"), settings["environment"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        last_obs = _part(arrays, "last_obs")
        model._last_obs = last_obs.get("", last_obs)
        model._last_episode_starts = arrays["last_episode_starts"]
    model.policy.load_state_dict(
        {name: torch.tensor(value) for name, value in _part(arrays, "policy").items()}
    )
    _agent(model).set_learning_state(_part(arrays, "learning"), settings["learning"])
    _agent(model).set_run_state(_part(arrays, "run"))
    model.num_timesteps = settings["num_timesteps"]
    model._n_updates = settings["n_updates"]
    model._episode_num = settings["episode_num"]
    model.ep_info_buffer = deque(settings["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    torch.set_rng_state(torch.tensor(arrays["torch_generator"]))
    numpy_state = ("MT19937", arrays["numpy_generator"], *settings["numpy_generator"])
    np.random.set_state(numpy_state)  # noqa: NPY002


def learn_resumable(
    model: BaseAlgorithm,
    total_timesteps: int,
    path: str | os.PathLike[str],
    every: int | None = None,
    callback: BaseCallback | None = None,
) -> None:
    """Train to ``total_timesteps`` in all, from the checkpoint at ``path`` if there is one.

    Parameters
    ----------
    model
        Freshly built; see :func:`resume`.
    total_timesteps
        Environment steps, those before the checkpoint included.
    path
        Checkpoint to read and to write.
    every
        Rollouts between checkpoints (default: the algorithm's ``checkpoint_every`` or 10; a
        twentieth of the training where there is a replay buffer, for then rollouts are short and
        checkpoints large).
    callback
        Called as by ``learn``; what it remembers is not in the checkpoint.
    """
    if Path(path).exists():
        resume(model, path)
    if every is None:
        every = getattr(model, "checkpoint_every", 10)
        if isinstance(model, OffPolicyAlgorithm):
            assert isinstance(model.train_freq, TrainFreq)
            every = max(1, total_timesteps // (20 * model.train_freq.frequency * model.n_envs))
    checkpoint = ExactCheckpoint(path, every)
    model.learn(
        total_timesteps - model.num_timesteps,
        callback=checkpoint if callback is None else CallbackList([checkpoint, callback]),
        reset_num_timesteps=False,
    )


def _sb3_vec_env(model: BaseAlgorithm) -> SB3VecEnv:
    # A wrapper such as VecNormalize has a state of its own, which would be lost.
    if not isinstance(model.env, SB3VecEnv):
        raise ValueError(f"checkpoint: needs an SB3VecEnv, got {type(model.env).__name__}")
    return model.env


def _agent(model: BaseAlgorithm) -> SafeFiles:
    if not isinstance(model, SafeFiles):
        raise ValueError(f"checkpoint: {type(model).__name__} is not an agent of this package")
    return model


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _as_dict(observation: Any) -> dict[str, np.ndarray]:
    return observation if isinstance(observation, dict) else {"": observation}


def _prefixed(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}:{name}": array for name, array in arrays.items()}


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Entries that :func:`_prefixed` made, by their own names again."""
    start = f"{prefix}:"
    return {
        name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)
    }
