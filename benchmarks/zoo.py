"""The zoo: folders of trained agents, each with model, settings, training curve and evaluation."""

from __future__ import annotations

import csv
import dataclasses
import math
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks import hyperparameters, problems
from benchmarks.config import build, read_yaml
from benchmarks.errors import UserError
from benchmarks.training import MODEL
from or_envs.core.problem import AnyProblem
from or_envs.core.simulation import Rule

CONFIG, EVALUATION, CURVE = "config.yml", "evaluation.yml", "curve.csv"
#: Files of these kinds are or may hold pickles; loading a pickle runs the code in it.
PICKLES = (".zip", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """What ``or-bench train`` writes into ``config.yml``: all that a training is."""

    algo: str
    env: str
    env_kwargs: dict[str, Any]
    seed: int
    hyperparams: dict[str, Any]
    versions: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class StoredEvaluation:
    """What ``or-bench evaluate MODEL --output evaluation.yml`` writes.

    Attributes
    ----------
    env, env_kwargs
        The environment of the episodes.
    first_seed, episodes
        Episodes of the seeds first_seed, first_seed + 1, ...
    cost
        Mean, low and high end of its 95 % interval over episodes, divided by the problem's
        ``cost_divisor``.
    decision_ms
        Time of one decision in milliseconds, on the machine that played.
    versions
        Versions of the packages that played.
    """

    env: str
    env_kwargs: dict[str, Any]
    first_seed: int
    episodes: int
    cost: tuple[float, ...]
    decision_ms: float
    versions: dict[str, Any]

    def __post_init__(self) -> None:
        if self.episodes < 2:
            raise ValueError(f"episodes: expected an integer >= 2, got {self.episodes}")
        ordered = len(self.cost) == 3 and self.cost[1] <= self.cost[0] <= self.cost[2]
        if not ordered or not all(map(math.isfinite, self.cost)):
            raise ValueError(
                f"cost: expected mean, low and high end of its interval, got {list(self.cost)}"
            )

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.cost[2] - self.cost[1]) / 2

    def tolerance(self, episodes: int) -> float:
        """How far the mean of the first so many of the episodes may be from the stored mean.

        For all of them half of the interval's width; for fewer, if that is more, four standard
        errors of the difference between the mean of a part and the mean of all.
        """
        part = 2 * math.sqrt(max(self.episodes / episodes - 1, 0))
        return self.half_width * max(1.0, part)


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """One folder of the zoo, or of ``or-bench train``, without its weights."""

    name: str
    folder: Path
    config: TrainingConfig
    evaluation: StoredEvaluation
    #: Time of the training in seconds; ``None`` without a training curve.
    seconds: float | None


def root() -> Path:
    """Folder of the models that come with the package."""
    return Path(str(resources.files("benchmarks") / "trained"))


def names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in root().glob(f"*/{MODEL}"))


def find(name: str) -> Path | None:
    """Model file of a model of the zoo, of a folder that ``train`` made, or the file itself.

    Returns
    -------
    Path or None
        ``None`` if the name is not one of a model.

    Raises
    ------
    UserError
        If it is a file of a kind that may hold pickles.
    """
    path = Path(name)
    refuse_pickle(path, "contestant")
    if name in names():
        return root() / name / MODEL
    if path.is_dir():
        return path / MODEL
    return path if path.is_file() or path.suffix == ".safetensors" else None


def find_folder(name: str) -> Path:
    """Folder of a model of the zoo, or one that ``train`` made.

    Raises
    ------
    UserError
        If there is none.
    """
    file = find(name)
    if file is None or not file.parent.is_dir() or file.name != MODEL:
        raise UserError(
            f"name: expected a folder of a trained agent, or one of {', '.join(names())},"
            f" got {name!r}"
        )
    return file.parent


def refuse_pickle(path: Path, field: str) -> None:
    """Refuse a file by its name; it is not opened.

    Raises
    ------
    UserError
        If files of this kind may hold pickles.
    """
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"{field}: {path}: {path.suffix} files can hold pickles, which run code when they are"
            " loaded; or-bench loads .safetensors files only"
        )


def read(name: str) -> TrainedModel:
    """Read and check all files of a model but its weights.

    Raises
    ------
    UserError
        If there is no such model, a file is missing, or a field is missing or wrong.
    """
    folder = find_folder(name)
    for file, remedy in (
        (CONFIG, "it is no folder of or-bench train"),
        (EVALUATION, f"make it: or-bench evaluate {folder} --output {folder / EVALUATION}"),
    ):
        if not (folder / file).is_file():
            raise UserError(f"name: {folder} has no {file}; {remedy}")
    return check(
        folder.resolve().name,
        folder,
        read_yaml(folder / CONFIG),
        read_yaml(folder / EVALUATION),
    )


def check(name: str, folder: Path, config: Any, evaluation: Any) -> TrainedModel:
    """Build a :class:`TrainedModel` from decoded files.

    Raises
    ------
    UserError
        If a field is missing, unknown, or of the wrong kind; environment, agent and
        hyper-parameters have to be those of this version.
    """
    training: TrainingConfig = build(TrainingConfig, config, f"{folder}: config")
    stored: StoredEvaluation = build(StoredEvaluation, evaluation, f"{folder}: evaluation")
    hyperparameters.load(training.algo, training.env, training.hyperparams)
    for part in (training, stored):
        problems.build_problem(part.env, part.env_kwargs)
    return TrainedModel(name, folder, training, stored, _seconds(folder / CURVE))


def _seconds(curve: Path) -> float | None:
    if not curve.is_file():
        return None
    with curve.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    try:
        return float(lines[-1]["seconds"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{curve}: expected lines with 'seconds', as or-bench train writes"
        ) from None


def load(name: str) -> tuple[AnyProblem, Rule]:
    """Load a model, ready to play.

    Parameters
    ----------
    name
        Name of a model of the zoo, or a folder.

    Returns
    -------
    tuple
        The problem that it was evaluated on, and the rule ``(instance, state) -> actions``.

    Raises
    ------
    UserError
        If there is no such model, or it does not fit its problem.
    """
    from benchmarks.players import trained

    folder = find_folder(name)
    evaluation = folder / EVALUATION
    values = read_yaml(evaluation if evaluation.is_file() else folder / CONFIG)
    problem = problems.build_problem(values["env"], values["env_kwargs"])
    return problem, trained(problem, 0, str(folder))
