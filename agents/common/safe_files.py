"""``save`` and ``load`` for SB3 algorithms that never unpickle."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.type_aliases import GymEnv

from agents.common.files import load_model, save_model
from agents.common.settings import setting_from_json, setting_to_json
from agents.common.spaces import space_from_json, space_to_json
from agents.common.state_dicts import pack, unpack
from or_envs.core.problem import AnyProblem

# Constructor arguments that belong to the session, or are kept apart.
_NOT_SETTINGS = {
    "self",
    "policy",
    "policy_kwargs",
    "env",
    "device",
    "verbose",
    "tensorboard_log",
    "stats_window_size",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "_init_setup_model",
    "compile_periods",
}

# Leads the names of what is in a file beside the policy.
_LEARNING = "learning:"


class SafeFiles(BaseAlgorithm):
    """Mixin, named before the SB3 algorithm: its files are data, not SB3's zip of pickles.

    A file holds the policy, the constructor's settings and the spaces. The state of the optimiser
    and of the random generators is in checkpoints, see :mod:`agents.common.checkpoint`.
    """

    #: Whether files, too, hold optimisers and all else that ``get_parameters`` returns.
    keeps_optimizers: ClassVar[bool] = False
    #: Constructor arguments that belong to the session, beside those of every algorithm.
    session_arguments: ClassVar[frozenset[str]] = frozenset()

    def settings(self) -> dict[str, Any]:
        """Everything needed to build this algorithm again, as JSON can hold it.

        Raises
        ------
        ValueError
            If a setting is a function or class that a file cannot describe.
        """
        names = {name for name, cls in self.policy_aliases.items() if cls is self.policy_class}
        if not names:
            raise ValueError(
                f"policy: {self.policy_class.__name__} has no name in"
                f" {type(self).__name__}.policy_aliases, so a file cannot describe it"
            )
        given = inspect.signature(type(self).__init__).parameters.keys()
        arguments = given - _NOT_SETTINGS - self.session_arguments
        return {
            "policy": min(names),
            "policy_kwargs": setting_to_json("policy_kwargs", self.policy_kwargs),
            "arguments": {
                name: setting_to_json(name, getattr(self, name)) for name in sorted(arguments)
            },
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
        }

    def run_state(self) -> dict[str, np.ndarray]:
        """What the rest of a run depends on beside policy, optimiser, environment and counters."""
        return {}

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from what :meth:`run_state` returned."""

    def learning_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Optimisers and all else that ``get_parameters`` returns, beside the policy.

        Returns
        -------
        tuple
            Arrays by name, and what JSON can hold.
        """
        arrays: dict[str, np.ndarray] = {}
        return arrays, {
            name: pack(part if isinstance(part, torch.Tensor) else part.state_dict(), name, arrays)
            for name, part in self._learning_parts().items()
        }

    def set_learning_state(
        self, arrays: Mapping[str, np.ndarray], descriptions: Mapping[str, Any]
    ) -> None:
        """Go on from what :meth:`learning_state` returned."""
        for name, part in self._learning_parts().items():
            state = unpack(descriptions[name], arrays)
            if isinstance(part, torch.Tensor):
                part.data.copy_(state)
            else:
                part.load_state_dict(state)

    def _learning_parts(self) -> dict[str, Any]:
        """Modules, optimisers and tensors beside the policy, by their names in SB3's files."""
        modules, tensors = self._get_torch_save_params()
        names = dict.fromkeys([*modules, *tensors])
        if hasattr(self.policy, "optimizer"):  # not all algorithms tell SB3 of it
            names["policy.optimizer"] = None
        del names["policy"]
        return {name: recursive_getattr(self, name) for name in names}

    def restore_settings(self, settings: dict[str, Any]) -> None:
        """Take what an algorithm has added to :meth:`settings`, before its networks are built."""

    def check_problem(self, problem: AnyProblem) -> None:
        """Refuse a problem that the model cannot play.

        Raises
        ------
        ValueError
            If its observations or actions are not the model's.
        """
        for name in ("observation_space", "action_space"):
            own, other = getattr(self, name), getattr(problem, name)
            if own != other:
                raise ValueError(
                    f"is a model for the {name} {own}, but the environment has {other}"
                )

    def save(self, path: str | os.PathLike[str]) -> None:  # type: ignore[override]
        """Write the model to exactly this file (see :func:`agents.common.files.save_model`)."""
        tensors = {
            name: tensor.detach().cpu().numpy() for name, tensor in self.policy.state_dict().items()
        }
        settings = {**self.settings(), "num_timesteps": self.num_timesteps}
        if self.keeps_optimizers:
            arrays, settings["learning"] = self.learning_state()
            tensors |= {f"{_LEARNING}{name}": array for name, array in arrays.items()}
        save_model(path, type(self).__name__, tensors, settings)

    @classmethod
    def load(  # type: ignore[override]
        cls,
        path: str | os.PathLike[str],
        env: GymEnv | None = None,
        device: torch.device | str = "auto",
    ) -> Self:
        """Read a model; the random generators of the process are left as they were.

        Parameters
        ----------
        path
            File that :meth:`save` wrote.
        env
            Environment to train on further; ``None`` is enough for ``predict``.
        device
            Where the networks go.

        Raises
        ------
        ValueError
            If the file is not one of this algorithm, or the environment has other spaces.
        """
        tensors, settings = load_model(path, cls.__name__)
        arguments = {
            name: setting_from_json(name, value) for name, value in settings["arguments"].items()
        }
        # The seed is set after the networks are built: building would seed the whole process.
        seed = arguments.pop("seed")
        if env is not None:
            env = cls._wrap_env(env)
            for name in ("observation_space", "action_space"):
                expected = space_from_json(settings[name])
                if getattr(env, name) != expected:
                    raise ValueError(
                        f"{path}: holds a model for the {name} {expected},"
                        f" but the environment has {getattr(env, name)}"
                    )
        model = cls(
            settings["policy"],
            env,
            policy_kwargs=setting_from_json("policy_kwargs", settings["policy_kwargs"]),
            device=device,
            _init_setup_model=False,  # type: ignore[call-arg]
            **arguments,
        )
        if env is None:
            model.observation_space = space_from_json(settings["observation_space"])
            model.action_space = space_from_json(settings["action_space"])
            model.n_envs = 1
        model.restore_settings(settings)
        with torch.random.fork_rng(devices=[]):
            model._setup_model()
        model.seed = seed
        model.num_timesteps = settings["num_timesteps"]
        try:
            model.policy.load_state_dict(
                {
                    name: torch.from_numpy(tensor)
                    for name, tensor in tensors.items()
                    if not name.startswith(_LEARNING)
                }
            )
        except RuntimeError as error:
            why = " ".join(str(error).split())
            raise ValueError(f"{path}: the weights do not fit the settings ({why})") from None
        if cls.keeps_optimizers:
            model.set_learning_state(
                {name.removeprefix(_LEARNING): tensor for name, tensor in tensors.items()},
                settings["learning"],
            )
        return model
