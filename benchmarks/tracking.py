"""Where the figures of a training go: TensorBoard, and a tracker of experiments on request."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from benchmarks.errors import UserError

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
def tracked(folder: Path, tracker: str | None, params: Mapping[str, Any]) -> Iterator[Logger]:
    """A logger for a training in ``folder``; TensorBoard's files are in its ``tensorboard``.

    Parameters
    ----------
    tracker
        "mlflow" or "wandb", which read their own environment variables, or ``None``. An
        exception in the training marks the run as failed.
    params
        What the tracker shows as parameters of the run.

    Raises
    ------
    ModuleNotFoundError
        If the tracker is not installed.
    UserError
        If it does not start.
    """
    writers: list[KVWriter] = []
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("tensorboard") is not None:
            writers.append(TensorBoardOutputFormat(str(folder / "tensorboard")))
        if tracker is not None:
            try:
                run, log = _start(tracker, folder, params)
            except ModuleNotFoundError:
                raise
            except Exception as error:  # each tracker has its own, and those of its transport
                raise UserError(f"track: {tracker}: {' '.join(str(error).split())}") from error
            stack.enter_context(run)
            writers.append(Scalars(log))
        logger = Logger(str(folder), writers)
        stack.callback(logger.close)
        yield logger


def _start(
    tracker: str, folder: Path, params: Mapping[str, Any]
) -> tuple[contextlib.AbstractContextManager[Any], Callable[..., Any]]:
    """A run that has begun, and its function for numbers."""
    name = f"{folder.parent.name}/{folder.name}"
    if tracker == "wandb":
        import wandb

        run = wandb.init(project=PROJECT, name=name, dir=folder, config=dict(params))
        return run, run.log
    import mlflow

    mlflow.set_experiment(PROJECT)
    run = mlflow.start_run(run_name=name)
    mlflow.log_params(dict(params))
    return run, mlflow.log_metrics
