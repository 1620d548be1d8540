"""Trains an agent; a training that was killed goes on where its last checkpoint is."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError
from benchmarks.hyperparameters import Hyperparameters
from benchmarks.plots import CURVE_LABELS, save_curve

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger

MODEL = "model.safetensors"
#: Environment variable that carries ``--device`` to the processes of a suite.
DEVICE = "OR_BENCH_DEVICE"


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained agent, and how long its training took in seconds."""

    model: Any
    seconds: float


def device() -> str:
    """Where agents are trained: what ``--device`` said, and the workers of a suite inherit."""
    return os.environ.get(DEVICE, "cpu")


def train(
    algorithm: str,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    seed: int,
    hyperparameters: Hyperparameters,
    folder: Path,
    progress: bool = False,
    callback: BaseCallback | None = None,
    logger: Logger | None = None,
) -> Trained:
    """Train an agent and leave model, curve (CSV and PNG) and checkpoint in ``folder``.

    With ``progress`` a bar on the terminal shows how far it is. ``callback`` is called as by
    ``learn``; ``logger`` is given what the agent logs. Of several processes that train one
    model (torchrun) the leader alone writes and shows anything; all must see the folder.

    A folder with a finished model is not trained again; one with a checkpoint is continued and
    ends with the same model as an undisturbed training.

    Raises
    ------
    UserError
        If the algorithm does not take a hyper-parameter, does not suit the environment, or cannot
        be trained by several processes.
    """
    from stable_baselines3.common.callbacks import CallbackList, ProgressBarCallback

    from agents.common import distributed
    from agents.common.checkpoint import learn_resumable
    from agents.registration import agent_class
    from benchmarks.curve import TrainingCurve
    from or_envs.core.sb3 import make_sb3_vec_env

    cls = agent_class(algorithm)
    if distributed.processes() > 1 and not getattr(cls, "data_parallel", False):
        raise UserError(f"algo: {algorithm} is trained by one process; start it without torchrun")
    curve = TrainingCurve(folder / "curve.csv")
    if (folder / MODEL).is_file():
        return Trained(cls.load(folder / MODEL), curve.seconds)
    folder.mkdir(parents=True, exist_ok=True)
    # Environment i of a batch is seeded with seed + i: seeds next to each other would train on
    # mostly the same episodes.
    own_seed = 1000 * seed
    env = make_sb3_vec_env(
        env_id, hyperparameters.n_envs, own_seed, hyperparameters.reward_scale, **env_kwargs
    )
    arguments = hyperparameters.arguments()
    allowed = inspect.signature(cls.__init__).parameters
    for name in arguments:
        if name not in allowed:
            raise UserError(
                f"hyperparams: {algorithm} has no {name!r}; allowed are"
                f" {', '.join(key for key in allowed if key not in ('self', 'env'))}"
            )
    if "offline_dataset" in arguments:
        from benchmarks.collect import data_files

        arguments["offline_dataset"] = data_files(
            env_id, env_kwargs, arguments["offline_dataset"], folder.parent / "data"
        )
    callbacks: list[BaseCallback] = [curve]
    if progress:
        callbacks.append(ProgressBarCallback())
    if callback is not None:
        callbacks.append(callback)
    if not distributed.is_leader():
        callbacks = []
        arguments |= {"tensorboard_log": None, "verbose": 0}
    checkpoint = folder / "checkpoint.safetensors"
    try:
        model = cls(hyperparameters.policy, env, seed=own_seed, device=device(), **arguments)
        if logger is not None:
            model.set_logger(logger)
        learn_resumable(
            model, hyperparameters.n_timesteps, checkpoint, callback=CallbackList(callbacks)
        )
    except (ValueError, AssertionError) as error:
        raise UserError(f"algo: {algorithm} on {env_id}: {error}") from error
    # Whoever is still to read the checkpoint would no longer find it.
    distributed.meet()
    if not distributed.is_leader():
        return Trained(model, curve.seconds)
    model.save(folder / MODEL)
    checkpoint.unlink(missing_ok=True)
    title = f"{algorithm} on {env_id}, seed {seed}"
    labels = getattr(cls, "curve_labels", CURVE_LABELS)
    save_curve(curve.points, title, folder / "curve.png", labels)
    return Trained(model, curve.seconds)
