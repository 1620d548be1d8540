"""Our agents in rl-zoo3: importing this module adds them to its algorithms.

rl-zoo3 looks at ``--algo`` before it imports ``--gym-packages``, so there are two ways:
``python -m benchmarks.rl_zoo3 train --algo pdppo ...`` runs rl-zoo3's own command after the import;
and ``python -m rl_zoo3.train --gym-packages or_envs --algo pdppo ...`` does where a file
``custom_envs.py``, which rl-zoo3 imports first of all, has the line ``import benchmarks.rl_zoo3``.

Names that rl-zoo3 has, such as ``ppo``, stay its own. Hyper-parameters are those of
:mod:`benchmarks.hyperparameters` unless ``--conf-file`` names others.
"""

from __future__ import annotations

import tempfile
import zipfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor, ResultsWriter
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.registration import TABLE, agent_class
from benchmarks import hyperparameters
from benchmarks.files import replacing
from benchmarks.training import MODEL
from or_envs.core import Env
from or_envs.core.sb3 import make_sb3_vec_env

try:
    # In this order: it imports custom_envs, which imports this module.
    import rl_zoo3.import_envs  # noqa: F401
    from rl_zoo3 import exp_manager
    from rl_zoo3.exp_manager import ExperimentManager
    from rl_zoo3.utils import ALGOS, SimpleLinearSchedule
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"benchmarks.rl_zoo3 needs {error.name}: pip install 'or-envs[zoo]'", name=error.name
    ) from None


class ZooAgent:
    """An agent as rl-zoo3 calls its algorithms; its class is imported when it is needed.

    Models are in files named as rl-zoo3 expects: a zip that holds a ``model.safetensors`` and no
    pickle.

    Parameters
    ----------
    name
        Name of the agent.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self, policy: str, env: VecEnv, reward_scale: float = 1.0, **arguments: Any
    ) -> BaseAlgorithm:
        """Build the agent.

        Environments of this package play as one native batch. What rl-zoo3 made of the
        hyper-parameters is made what the agents' files can hold.

        Raises
        ------
        ValueError
            If rewards are to be scaled in an environment that is not one of this package, is
            wrapped, or runs in other processes.
        """
        native, writers = _native(env, reward_scale)
        arguments = {name: _setting(name, value) for name, value in arguments.items()}
        model = self._class()(policy, native, **arguments)
        model.writers = writers
        return model

    def load(
        self,
        path: str,
        env: VecEnv | None = None,
        device: str = "auto",
        reward_scale: float = 1.0,
        seed: int | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        **ignored: Any,
    ) -> BaseAlgorithm:
        """Read a model; its settings are those in the file, whatever rl-zoo3 adds.

        Raises
        ------
        ValueError
            If it is not a zip of a ``model.safetensors`` and nothing else.
        """
        native, writers = (None, []) if env is None else _native(env, reward_scale)
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            if archive.namelist() != [MODEL]:
                raise ValueError(
                    f"{path}: expected a zip of {MODEL} alone, as training by rl-zoo3 writes for"
                    f" our agents; it holds {', '.join(archive.namelist())}"
                )
            model = self._class().load(archive.extract(MODEL, folder), native, device)
        model.tensorboard_log, model.verbose, model.writers = tensorboard_log, verbose, writers
        if seed is not None:
            model.set_random_seed(seed)
        return model

    def _class(self) -> Any:
        cls = agent_class(self.name)
        # The name is in the files: they are those of the agent.
        return type(cls.__name__, (_ZooFiles, cls), {})


class _ZooFiles(BaseAlgorithm):
    """Mixin, named before an agent: files and monitors where rl-zoo3 has them."""

    writers: Sequence[ResultsWriter] = ()

    def save(self, path: Any) -> None:  # type: ignore[override]
        """Write ``path``, with ".zip" appended if it is missing."""
        path = Path(path)
        if path.suffix != ".zip":
            path = path.with_name(f"{path.name}.zip")
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / MODEL
            super().save(model)
            with replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
                archive.write(model, MODEL)

    def learn(  # type: ignore[override]
        self, total_timesteps: int, callback: Any = None, **options: Any
    ) -> BaseAlgorithm:
        """Train; episodes go into rl-zoo3's ``monitor.csv`` files as well."""
        callbacks = callback if isinstance(callback, list) else [callback] if callback else []
        if self.writers:
            callbacks = [*callbacks, _Episodes(self.writers)]
        return super().learn(total_timesteps, callbacks, **options)  # type: ignore[safe-super]


class _Episodes(BaseCallback):
    """Writes what the monitors of the single environments would write."""

    def __init__(self, writers: Sequence[ResultsWriter]) -> None:
        super().__init__()
        self._writers = writers

    def _on_step(self) -> bool:
        for row, info in enumerate(self.locals["infos"]):
            if "episode" in info:
                episode = {key: info["episode"][key] for key in ("r", "l", "t")}
                self._writers[row % len(self._writers)].write_row(episode)
        return True


def _native(env: VecEnv, reward_scale: float) -> tuple[VecEnv, list[ResultsWriter]]:
    """The same environments as one batch, and the files of their monitors."""
    if type(env) is not DummyVecEnv or not all(map(_is_plain, env.envs)):
        if reward_scale != 1:
            raise ValueError(
                f"reward_scale: {reward_scale} needs environments of or-envs without wrappers and"
                " --vec-env dummy; set reward_scale to 1"
            )
        return env, []
    spec = env.envs[0].unwrapped.spec
    assert spec is not None
    options = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    monitors = [part for part in env.envs if isinstance(part, Monitor)]
    writers = [part.results_writer for part in monitors if part.results_writer is not None]
    # The algorithm seeds it.
    return make_sb3_vec_env(spec.id, env.num_envs, 0, reward_scale, **options), writers


def _is_plain(env: gym.Env[Any, Any]) -> bool:
    while isinstance(env, gym.Wrapper):
        if not isinstance(env, Monitor | PassiveEnvChecker | OrderEnforcing):
            return False
        env = env.env
    return isinstance(env, Env)


def _setting(name: str, value: Any) -> Any:
    if name == "policy_kwargs":
        return hyperparameters.policy_arguments(value)
    if isinstance(value, ConstantSchedule):
        return value.val
    if isinstance(value, SimpleLinearSchedule):
        return LinearSchedule(value.initial_value, 0.0, 1.0)
    return value


class ZooExperimentManager(ExperimentManager):
    """rl-zoo3's, which finds our hyper-parameters where no file is named."""

    def __init__(
        self, args: Namespace, algo: str, *rest: Any, config: str | None = None, **options: Any
    ) -> None:
        if config is None and isinstance(ALGOS[algo], ZooAgent):
            config = str(hyperparameters.path(algo))
        super().__init__(args, algo, *rest, config=config, **options)


for _name in TABLE:
    ALGOS.setdefault(_name, ZooAgent(_name))
exp_manager.ExperimentManager = ZooExperimentManager
