"""Suites: problems x contestants x seeds x budgets, read from YAML and checked on load."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError


def _require(condition: bool, field: str, expected: str, value: Any) -> None:
    if not condition:
        raise ValueError(f"{field}: expected {expected}, got {value!r}")


@dataclasses.dataclass(frozen=True)
class ContestantConfig:
    """One contestant of a problem.

    Attributes
    ----------
    name
        An agent ("pdppo"), a baseline ("lot_sizing/greedy") or an own one ("module:factory", where
        ``factory(problem, seed, **settings)`` returns a rule or a solver).
    label
        Name in the table (default: ``name`` after its slash); unique within a problem.
    settings
        Arguments of the baseline, or hyper-parameters of the agent that differ from its file.
    preset
        Section "FILE/SECTION" of ``benchmarks/hyperparameters/presets`` between an agent's own
        hyper-parameters and ``settings``.
    env_kwargs
        Options of the environment that differ for this contestant, such as what it observes; the
        episodes must stay those of the problem.
    train_env_kwargs
        Options of the environment that an agent is trained in, where they differ from those that
        it is judged in, such as a shorter horizon; spaces must be the same.
    reference
        Whether gaps are relative to this contestant (default: to the best bound or, where there
        is none, to the best contestant). An optimal policy on the same episodes has far less noise
        than its known mean cost. At most one of a problem.
    seeds
        One cell each.
    episodes
        Episodes to play (default: the problem's); fewer for a slow contestant, which then plays
        the first ones.
    timesteps
        Training budget of an agent (default: its hyper-parameter file's).
    sees_future
        Whether a solver is given the exogenous trace. Such rows are never ranked.
    time_limit
        Seconds that a solver may take per episode (default: as long as it wants).
    """

    name: str
    label: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    preset: str = ""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    train_env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    reference: bool = False
    seeds: tuple[int, ...] = (0,)
    episodes: int | None = None
    timesteps: int | None = None
    sees_future: bool = False
    time_limit: float | None = None

    def __post_init__(self) -> None:
        _require(bool(self.name), "name", "the name of a contestant", self.name)
        distinct = len(set(self.seeds)) == len(self.seeds) > 0
        _require(
            distinct and all(seed >= 0 for seed in self.seeds),
            "seeds",
            "distinct integers >= 0",
            list(self.seeds),
        )
        _require(self.episodes is None or self.episodes >= 1, "episodes", ">= 1", self.episodes)
        _require(self.timesteps is None or self.timesteps >= 1, "timesteps", ">= 1", self.timesteps)
        _require(
            self.time_limit is None or self.time_limit > 0, "time_limit", "> 0", self.time_limit
        )
        if not self.label:
            object.__setattr__(self, "label", self.name.rpartition("/")[2])


@dataclasses.dataclass(frozen=True)
class ProblemConfig:
    """One problem and who plays it.

    Attributes
    ----------
    env_id, env_kwargs
        The environment.
    contestants
        Who plays.
    episodes
        Episodes per contestant and seed.
    label
        What the ``instance`` column shows (default: from ``env_kwargs``).
    """

    env_id: str
    contestants: tuple[ContestantConfig, ...]
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    episodes: int = 100
    label: str = ""

    def __post_init__(self) -> None:
        _require(self.episodes >= 1, "episodes", "an integer >= 1", self.episodes)
        _require(len(self.contestants) > 0, "contestants", "at least one", [])
        labels = [contestant.label for contestant in self.contestants]
        for label in labels:
            _require(labels.count(label) == 1, "contestants", "a label of its own for each", label)
        references = [contestant.label for contestant in self.contestants if contestant.reference]
        _require(len(references) <= 1, "contestants", "at most one reference", references)
        for contestant in self.contestants:
            _require(
                contestant.episodes is None or contestant.episodes <= self.episodes,
                f"contestants: {contestant.label}: episodes",
                f"at most the problem's {self.episodes}",
                contestant.episodes,
            )


@dataclasses.dataclass(frozen=True)
class ClaimConfig:
    """What a suite is to decide; see :mod:`benchmarks.claim`. All are labels of contestants.

    Attributes
    ----------
    reference
        The arm that all others are compared with.
    score_zero, score_one
        Contestants whose mean costs are the scores 0 and 1.
    """

    reference: str
    score_zero: str
    score_one: str


@dataclasses.dataclass(frozen=True)
class SuiteConfig:
    """A whole suite.

    Attributes
    ----------
    problems
        What is played.
    name
        Names the folder of results (default: the file's name).
    first_episode_seed
        Episode k of every problem has the seed ``first_episode_seed + k``; far from the small
        seeds that training and tuning use.
    cell_time_limit
        Seconds that a cell may take before it is stopped and counts as failed.
    claim
        Compare the arms of all problems with one of them, and write ``claim.*``.
    """

    problems: tuple[ProblemConfig, ...]
    name: str
    first_episode_seed: int = 1_000_000
    cell_time_limit: float = 3600.0
    claim: ClaimConfig | None = None

    def __post_init__(self) -> None:
        _require(len(self.problems) > 0, "problems", "at least one", [])
        _require(
            self.first_episode_seed >= 0, "first_episode_seed", ">= 0", self.first_episode_seed
        )
        limit = self.cell_time_limit
        _require(limit > 0, "cell_time_limit", "a number of seconds > 0", limit)
        for name, label in dataclasses.asdict(self.claim).items() if self.claim else ():
            for problem in self.problems:
                labels = [contestant.label for contestant in problem.contestants]
                _require(label in labels, f"claim: {name}", "a contestant of every problem", label)


def shipped() -> dict[str, Path]:
    """Suites that come with the package, by name."""
    folder = Path(str(resources.files("benchmarks"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yml"))}


def load_suite(name_or_path: str) -> SuiteConfig:
    """Load a shipped suite by name, or any by the path of its file.

    Raises
    ------
    UserError
        Naming file, field, value and what is allowed.
    """
    known = shipped()
    path = known.get(name_or_path, Path(name_or_path))
    if not path.is_file():
        raise UserError(
            f"suite: expected one of {', '.join(known)} or the path of a YAML file,"
            f" got {name_or_path!r}"
        )
    data = read_yaml(path)
    if isinstance(data, dict):
        data.setdefault("name", path.stem)
    suite: SuiteConfig = build(SuiteConfig, data, str(path))
    return suite


def read_yaml(path: Path) -> Any:
    """Read a YAML file; a damaged one is a :class:`UserError` that names the place."""
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise UserError(f"{path}: not YAML{place}: {what}") from error


def build(kind: Any, data: Any, place: str) -> Any:
    """Build the dataclass ``kind`` from decoded YAML; ``place`` leads the error messages."""
    if not isinstance(data, Mapping):
        raise UserError(f"{place}: expected a mapping, got {data!r}")
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in hints:
            raise UserError(f"{place}: unknown field {key!r}; allowed are {', '.join(hints)}")
    for field in dataclasses.fields(kind):
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and field.name not in data:
            raise UserError(f"{place}: field {field.name!r} is missing")
    values = {key: _convert(hints[key], value, f"{place}: {key}") for key, value in data.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error


def _convert(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise UserError(f"{place}: expected a list, got {value!r}")
        return tuple(_convert(arguments[0], x, f"{place}[{i}]") for i, x in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise UserError(f"{place}: expected a mapping with text keys, got {value!r}")
        return value
    if origin is types.UnionType:  # int | None: a field that is given is an int
        return _convert(arguments[0], value, place)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, place)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
        raise UserError(f"{place}: expected {names[hint]}, got {value!r}")
    return value
