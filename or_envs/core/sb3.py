"""The native vector environment as a Stable-Baselines3 ``VecEnv``."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from or_envs.core.arrays import Arrays
from or_envs.core.batch import pick
from or_envs.core.vector_env import VectorEnv
from or_envs.extras import MissingExtraError

try:
    from stable_baselines3.common.vec_env.base_vec_env import (
        VecEnv,
        VecEnvIndices,
        VecEnvObs,
        VecEnvStepReturn,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("or_envs.core.sb3", error.name or "stable_baselines3") from None

_PARTS = ("instance", "state", "exogenous")


class SB3VecEnv(VecEnv):
    """Present a batch of episodes to Stable-Baselines3, without a Python loop over environments.

    It plays as ``DummyVecEnv`` over the single environments with the same seeds does. The info of
    a row holds ``TimeLimit.truncated``, at the end of an episode ``terminal_observation`` and
    ``episode`` (r: return in the problem's own units, l: steps, t: seconds), and, for a stochastic
    problem, ``post_decision_obs``, ``post_decision_reward`` and ``exogenous_reward``.

    Parameters
    ----------
    vector_env
        A vector environment of this package in SAME_STEP mode, which is what SB3 means by done.
    reward_scale
        Factor on the rewards that the agent sees, and on their two parts. Returns in ``episode``
        stay unscaled.

    Raises
    ------
    ValueError
        If the environment is in another autoreset mode, or the scale is not positive.
    """

    #: Entries of the vector environment's infos that are scaled, renamed, or follow from others.
    _HANDLED: ClassVar[frozenset[str]] = frozenset(
        {
            *("post_decision_obs", "post_decision_reward", "exogenous_reward"),
            *("final_obs", "final_info"),
        }
    )

    def __init__(self, vector_env: VectorEnv, reward_scale: float = 1.0) -> None:
        if vector_env.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                "vector_env: Stable-Baselines3 needs autoreset_mode 'SameStep',"
                f" got {vector_env.autoreset_mode.value!r}"
            )
        if not 0 < reward_scale < np.inf:
            raise ValueError(f"reward_scale: expected a positive number, got {reward_scale}")
        self.vector_env = vector_env
        self.reward_scale = float(reward_scale)
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(vector_env.num_envs)
        self._lengths = np.zeros(vector_env.num_envs, dtype=np.int64)
        self._start = time.monotonic()
        super().__init__(
            vector_env.num_envs,
            vector_env.single_observation_space,
            vector_env.single_action_space,
        )

    # ---- playing ----------------------------------------------------------------------------

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Set the options of the next reset, one dict for the whole batch."""
        if isinstance(options, list):
            raise ValueError("options: expected one dict for the whole batch, got a list")
        super().set_options(options)

    def reset(self) -> VecEnvObs:
        """Start new episodes in all rows, with the seeds and options set before."""
        observation, _ = self.vector_env.reset(seed=self._seeds, options=self._options[0])
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Play the step; finished rows start anew."""
        observation, reward, terminated, truncated, batch = self.vector_env.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [
            {"TimeLimit.truncated": flag} for flag in (truncated & ~terminated).tolist()
        ]
        if "post_decision_obs" in batch:
            post = (batch["post_decision_reward"] * self.reward_scale).tolist()
            exogenous = (batch["exogenous_reward"] * self.reward_scale).tolist()
            for row, info in enumerate(infos):
                info["post_decision_obs"] = pick(batch["post_decision_obs"], row)
                info["post_decision_reward"] = post[row]
                info["exogenous_reward"] = exogenous[row]
        for key in batch.keys() - self._HANDLED:
            if not key.startswith("_"):
                for row in np.flatnonzero(batch["_" + key]).tolist():
                    infos[row][key] = batch[key][row]
        self._returns += reward
        self._lengths += 1
        for row in np.flatnonzero(done).tolist():
            infos[row]["terminal_observation"] = batch["final_obs"][row]
            infos[row]["episode"] = {
                "r": float(self._returns[row]),
                "l": int(self._lengths[row]),
                "t": round(time.monotonic() - self._start, 6),
            }
        self._returns[done] = 0.0
        self._lengths[done] = 0
        return observation, (reward * self.reward_scale).astype(np.float32), done, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.vector_env.close()

    # ---- attributes of the rows -------------------------------------------------------------

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the vector environment once per row; spaces are single ones.

        Raises
        ------
        AttributeError
            If there is no such attribute; there is no ``action_masks`` for continuous actions.
        """
        own = {"observation_space": self.observation_space, "action_space": self.action_space}
        if attr_name == "action_masks" and isinstance(self.action_space, gym.spaces.Box):
            raise AttributeError("action_masks: continuous actions have no masks")
        value = own[attr_name] if attr_name in own else getattr(self.vector_env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment, which all rows share.

        Raises
        ------
        ValueError
            If only some rows are meant.
        """
        if indices is not None:
            raise ValueError("indices: the rows share their attributes, so expected None")
        setattr(self.vector_env, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call ``action_masks``, the only method that a row has of its own.

        Raises
        ------
        AttributeError
            If another method is asked for.
        """
        if method_name != "action_masks":
            raise AttributeError(f"env_method: expected 'action_masks', got {method_name!r}")
        masks = self.vector_env.action_masks()
        return [masks[row] for row in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Rows are never wrapped."""
        return [False for _ in self._get_indices(indices)]

    # ---- exact checkpoints ------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that the future of the episodes depends on.

        Returns
        -------
        tuple
            Arrays by name, and a dict that JSON can hold (the generators' states).

        Raises
        ------
        ValueError
            If the environment was never reset.
        """
        batch = self.vector_env.batch
        if not hasattr(batch, "state"):
            raise ValueError("get_state: reset the environment first")
        arrays = {
            "steps": batch.steps,
            "returns": self._returns,
            "lengths": self._lengths,
        }
        for part in _PARTS:
            value: Arrays | None = getattr(batch, part)
            if value is not None:
                for name, leaf in zip(value.names(), value.leaves(), strict=True):
                    arrays[f"{part}.{name}"] = leaf
        return {name: np.array(array) for name, array in arrays.items()}, {
            "reward_scale": self.reward_scale,
            "generators": [rng.bit_generator.state for rng in batch.rngs],
        }

    def set_state(self, arrays: dict[str, np.ndarray], rest: dict[str, Any]) -> None:
        """Continue from what :meth:`get_state` returned, in an environment built the same way.

        Raises
        ------
        ValueError
            If the state is that of another number of environments, problem or reward scale.
        """
        if len(rest["generators"]) != self.num_envs:
            raise ValueError(
                f"state: holds {len(rest['generators'])} environments, expected {self.num_envs}"
            )
        if rest["reward_scale"] != self.reward_scale:
            raise ValueError(
                f"state: has reward_scale {rest['reward_scale']}, expected {self.reward_scale}"
            )
        # A reset shows which arrays this problem has; its draws are overwritten.
        self.reset()
        batch = self.vector_env.batch
        expected, _ = self.get_state()
        if arrays.keys() != expected.keys():
            names = ", ".join(sorted(arrays.keys() ^ expected.keys()))
            raise ValueError(f"state: of another problem; it differs in {names}")
        for name, array in expected.items():
            # Data shared by all rows (leading axis 1) may have become data per row, and back.
            if arrays[name].shape[1:] != array.shape[1:] or arrays[name].dtype != array.dtype:
                raise ValueError(
                    f"state: {name} is {arrays[name].dtype}{arrays[name].shape}, expected"
                    f" {array.dtype}{array.shape}"
                )
        for part in _PARTS:
            value: Arrays | None = getattr(batch, part)
            if value is not None:
                leaves = {name: np.array(arrays[f"{part}.{name}"]) for name in value.names()}
                setattr(batch, part, type(value)(**leaves))
        batch.steps = np.array(arrays["steps"])
        self._returns = np.array(arrays["returns"])
        self._lengths = np.array(arrays["lengths"])
        for row, state in enumerate(rest["generators"]):
            batch.rngs[row] = np.random.Generator(np.random.PCG64())
            batch.rngs[row].bit_generator.state = state


def make_sb3_vec_env(
    env_id: str, num_envs: int, seed: int, reward_scale: float = 1.0, **env_kwargs: Any
) -> SB3VecEnv:
    """Build the registered environment as a batch for Stable-Baselines3.

    Parameters
    ----------
    env_id
        Registered id, such as "or_envs/LotSizing-v0".
    num_envs
        Batch size.
    seed
        Row i starts with the seed ``seed + i``. An algorithm that is given a seed of its own
        replaces it when it is built.
    reward_scale
        Factor on the rewards that the agent sees.
    **env_kwargs
        Arguments of the environment.
    """
    vector_env = gym.make_vec(
        env_id, num_envs, vectorization_mode="vector_entry_point", **env_kwargs
    )
    assert isinstance(vector_env.unwrapped, VectorEnv)
    env = SB3VecEnv(vector_env.unwrapped, reward_scale)
    env.seed(seed)
    return env
