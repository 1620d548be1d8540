"""Cells: the smallest piece of work of a suite, and how one is done."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import time
import traceback
from pathlib import Path
from typing import Any

import or_envs
from benchmarks import contestants, hyperparameters, problems
from benchmarks.config import ContestantConfig, ProblemConfig, SuiteConfig
from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate, is_solver
from benchmarks.files import slug
from benchmarks.provenance import hardware, versions
from benchmarks.records import Record
from or_envs.core.problem import AnyProblem


@dataclasses.dataclass(frozen=True)
class Cell:
    """One contestant with one seed on one problem.

    Attributes
    ----------
    hash
        Fingerprint of everything that decides the result: the data of the episodes, the
        contestant, its settings and budget, the version of the library.
    """

    suite: str
    env_id: str
    env_kwargs: dict[str, Any]
    instance: str
    contestant: ContestantConfig
    seed: int
    first_episode_seed: int
    episodes: int
    time_limit: float
    hash: str

    @property
    def stem(self) -> str:
        """Name of the cell's files."""
        problem = slug(f"{self.env_id.rpartition('/')[2]}_{self.instance}")
        return f"{problem}--{slug(self.contestant.label)}--{self.seed}--{self.hash}"

    @property
    def title(self) -> str:
        """What a person reads."""
        return f"{self.instance}  {self.contestant.label}  seed {self.seed}"


def cells_of(suite: SuiteConfig) -> list[Cell]:
    """All cells of a suite, in the order of its file.

    Raises
    ------
    UserError
        If a problem or a contestant does not exist; the message says where in the file.
    """
    cells = []
    for p, config in enumerate(suite.problems):
        where = f"suite {suite.name}: problems[{p}]"
        try:
            problem = problems.build_problem(config.env_id, config.env_kwargs)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        digests: dict[int, str] = {}
        for c, contestant in enumerate(config.contestants):
            episodes = contestant.episodes or config.episodes
            if episodes not in digests:
                digests[episodes] = problems.digest(problem, suite.first_episode_seed, episodes)
            try:
                contestants.check_name(contestant.name)
                resolved = _resolved_settings(contestant, config)
                env_kwargs = {**config.env_kwargs, **contestant.env_kwargs}
                if contestant.env_kwargs:
                    own = problems.build_problem(config.env_id, env_kwargs)
                    if (
                        problems.digest(own, suite.first_episode_seed, episodes)
                        != digests[episodes]
                    ):
                        raise UserError("env_kwargs: changes the instances or traces of episodes")
                if contestant.train_env_kwargs:
                    _check_spaces(config.env_id, env_kwargs, contestant.train_env_kwargs)
            except UserError as error:
                raise UserError(f"{where}: contestants[{c}]: {error}") from error
            for seed in contestant.seeds:
                fingerprint = _fingerprint(
                    or_envs.__version__,
                    config.env_id,
                    env_kwargs,
                    digests[episodes],
                    contestant.name,
                    resolved,
                    contestant.sees_future,
                    contestant.time_limit,
                    seed,
                    *([contestant.train_env_kwargs] if contestant.train_env_kwargs else []),
                )
                cells.append(
                    Cell(
                        suite.name,
                        config.env_id,
                        env_kwargs,
                        config.label or problems.default_label(config.env_id, config.env_kwargs),
                        contestant,
                        seed,
                        suite.first_episode_seed,
                        episodes,
                        suite.cell_time_limit,
                        fingerprint,
                    )
                )
    return cells


def _check_spaces(
    env_id: str, env_kwargs: dict[str, Any], train_env_kwargs: dict[str, Any]
) -> None:
    """Refuse a training environment that looks different to the agent."""
    judged = problems.build_problem(env_id, env_kwargs)
    trained = problems.build_problem(env_id, {**env_kwargs, **train_env_kwargs})
    for name in ("observation_space", "action_space"):
        if getattr(judged, name) != getattr(trained, name):
            raise UserError(f"train_env_kwargs: changes the {name}")


def _resolved_settings(contestant: ContestantConfig, config: ProblemConfig) -> dict[str, Any]:
    if not contestants.is_agent(contestant.name):
        if contestant.timesteps is not None:
            raise UserError("timesteps: allowed only for agents")
        if contestant.preset:
            raise UserError("preset: allowed only for agents")
        if contestant.train_env_kwargs:
            raise UserError("train_env_kwargs: allowed only for agents")
        return contestant.settings
    return hyperparameters_of(contestant, config.env_id).flat()


def hyperparameters_of(
    contestant: ContestantConfig, env_id: str
) -> hyperparameters.Hyperparameters:
    """Hyper-parameters of an agent with the settings of the suite."""
    overrides = dict(contestant.settings)
    if contestant.timesteps is not None:
        overrides["n_timesteps"] = contestant.timesteps
    return hyperparameters.load(contestant.name, env_id, overrides, contestant.preset)


def _fingerprint(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_cell(cell: Cell, work: Path) -> Record:
    """Build the contestant and play; a trained one keeps checkpoints and model in ``work``.

    Never raises an :class:`Exception`: what goes wrong is the record's reason, and its traceback
    goes to stderr.
    """
    kind = "policy"
    try:
        problem = problems.build_problem(cell.env_id, cell.env_kwargs)
        contestant, train_seconds = _build(cell, problem, work)
        if is_solver(contestant):
            kind = "solver"
        data = or_envs.sample(problem, cell.first_episode_seed, cell.episodes)
        evaluation = evaluate(
            problem, contestant, *data, cell.contestant.sees_future, cell.contestant.time_limit
        )
        if evaluation.costs is None and evaluation.bounds is None:
            raise ValueError(f"neither plans nor bounds for all episodes: {evaluation.detail}")
    except Exception as error:
        traceback.print_exc()
        return failed_record(cell, f"{type(error).__name__}: {error}", kind)
    return Record(
        **_identity(cell),
        kind=evaluation.kind,
        sees_future=evaluation.sees_future,
        costs=None if evaluation.costs is None else evaluation.costs.tolist(),
        bounds=None if evaluation.bounds is None else evaluation.bounds.tolist(),
        train_seconds=train_seconds,
        decision_ms=evaluation.decision_ms,
        detail=evaluation.detail,
        status="ok",
        reason="",
    )


def _build(cell: Cell, problem: AnyProblem, work: Path) -> tuple[Any, float]:
    """The contestant, ready to play, and how long that took in seconds."""
    if contestants.is_agent(cell.contestant.name):
        from benchmarks.training import train

        trained = train(
            cell.contestant.name,
            cell.env_id,
            {**cell.env_kwargs, **cell.contestant.train_env_kwargs},
            cell.seed,
            hyperparameters_of(cell.contestant, cell.env_id),
            work,
        )
        return or_envs.policy_rule(problem, trained.model), trained.seconds
    start = time.perf_counter()
    made = contestants.make(cell.contestant.name, problem, cell.seed, cell.contestant.settings)
    return made, time.perf_counter() - start


def failed_record(cell: Cell, reason: str, kind: str = "policy") -> Record:
    """Record of a cell that did not end well."""
    return Record(
        **_identity(cell),
        kind=kind,
        sees_future=cell.contestant.sees_future,
        costs=None,
        bounds=None,
        train_seconds=None,
        decision_ms=None,
        detail="",
        status="failed",
        reason=" ".join(reason.split()),
    )


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "hash": cell.hash,
        "suite": cell.suite,
        "env_id": cell.env_id,
        "instance": cell.instance,
        "contestant": cell.contestant.label,
        "reference": cell.contestant.reference,
        "learned": contestants.is_learned(cell.contestant.name),
        "seed": cell.seed,
        "first_episode_seed": cell.first_episode_seed,
        "versions": versions(),
        "hardware": hardware(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
