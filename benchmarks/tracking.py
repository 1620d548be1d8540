"""Where the figures of a training go: TensorBoard, and a tracker of experiments on request."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

#: Trackers by the name of their module.
TRACKERS = ("mlflow", "wandb")
#: Project of Weights & Biases, experiment of MLflow.
PROJECT = "or-envs"


class Scalars(KVWriter):
    """Hands the numbers that an agent logs to a function ``(values, step=...)``."""

    def __init__(self, log: Callable[..., Any]) -> None:
        self._log = log

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write one step."""
        kinds = (int, float, np.integer, np.floating)
        numbers = {
            key: float(value) for key, value in key_values.items() if isinstance(value, kinds)
        }
        if numbers:
            self._log(numbers, step=step)

    def close(self) -> None:
        """Nothing: the run ends with the training."""


@contextlib.contextmanager
def tracked(folder: Path, tracker: str | None, config: Mapping[str, Any]) -> Iterator[Logger]:
    """A logger for a training in ``folder``; TensorBoard's files are in its ``tensorboard``.

    Parameters
    ----------
    tracker
        "mlflow" or "wandb", which read their own environment variables, or ``None``. An
        exception in the training marks the run as failed.
    config
        What the tracker shows as parameters of the run.

    Raises
    ------
    ModuleNotFoundError
        If the tracker is not installed.
    """
    writers: list[KVWriter] = []
    name = f"{folder.parent.name}/{folder.name}"
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("tensorboard") is not None:
            writers.append(TensorBoardOutputFormat(str(folder / "tensorboard")))
        if tracker == "wandb":
            import wandb

            run = wandb.init(project=PROJECT, name=name, dir=folder, config=dict(config))
            writers.append(Scalars(stack.enter_context(run).log))
        elif tracker == "mlflow":
            import mlflow

            mlflow.set_experiment(PROJECT)
            stack.enter_context(mlflow.start_run(run_name=name))
            mlflow.log_params(dict(config))
            writers.append(Scalars(mlflow.log_metrics))
        logger = Logger(str(folder), writers)
        stack.callback(logger.close)
        yield logger
