"""What stands behind a row: settings, training curves and a drawn episode."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import contestants
from benchmarks.config import ContestantConfig, ProblemConfig, SuiteConfig, read_yaml
from benchmarks.curve_file import read_curve
from benchmarks.episode_pictures import Picture, draw_episodes
from benchmarks.leaderboard import Table
from benchmarks.problems import default_label
from benchmarks.records import Record

if TYPE_CHECKING:
    from rich.console import Console

#: Environment, instance and contestant.
Key = tuple[str, str, str]
#: Points of a curve on the page, which is not to grow with the length of a training.
_POINTS = 150


@dataclasses.dataclass(frozen=True)
class Background:
    """What a reader of a row may want to know besides its figures.

    Attributes
    ----------
    name
        What the suite calls: an agent, a baseline, or "module:factory".
    settings
        Hyper-parameters or arguments, all of them.
    env_kwargs
        Options of the environment, those that the training has only included.
    curves
        Steps and mean cost, by seed ("seed 0"); empty for what is not trained.
    curve_labels
        What the axes of curves show.
    picture
        One episode, drawn; ``None`` for most contestants.
    """

    name: str
    settings: Mapping[str, Any]
    env_kwargs: Mapping[str, Any]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    curve_labels: tuple[str, str]
    picture: Picture | None


def gather(
    suite: SuiteConfig, tables: Sequence[Table], folder: Path, pictures: int, console: Console
) -> dict[Key, Background]:
    """Collect the background of all contestants.

    Parameters
    ----------
    folder
        Results of the suite.
    pictures
        Contestants per problem whose first episode is drawn, best first; those that would take
        long are passed over.
    """
    found = {}
    for problem in suite.problems:
        label = problem.label or default_label(problem.env_id, problem.env_kwargs)
        for table in tables:
            if (table.env_id, table.instance) != (problem.env_id, label):
                continue
            drawn = draw_episodes(table, problem, folder, pictures, console)
            for contestant in problem.contestants:
                if contestant.label in table.records:
                    found[problem.env_id, label, contestant.label] = _background(
                        problem,
                        contestant,
                        table.records[contestant.label],
                        folder / "training",
                        drawn.get(contestant.label),
                    )
    return found


def _background(
    problem: ProblemConfig,
    contestant: ContestantConfig,
    records: Sequence[Record],
    training: Path,
    picture: Picture | None,
) -> Background:
    settings: Mapping[str, Any] = contestant.settings
    files: dict[str, Path] = {}
    agent = None
    if contestants.is_agent(contestant.name):
        from benchmarks.cells import hyperparameters_of

        agent = contestant.name
        settings = hyperparameters_of(contestant, problem.env_id).flat()
        for record in records:
            for path in training.glob(f"*--{record.seed}--{record.hash}/curve.csv"):
                files[f"seed {record.seed}"] = path
    elif contestants.is_learned(contestant.name) and records[0].status == "ok":
        from benchmarks.zoo import find_folder

        trained = find_folder(contestant.settings["name"])
        config = read_yaml(trained / "config.yml")
        agent = config["algo"]
        settings = {**contestant.settings, **config["hyperparams"]}
        files[f"seed {config['seed']}"] = trained / "curve.csv"
    curves = {name: _thinned(read_curve(path)) for name, path in files.items() if path.is_file()}
    return Background(
        contestant.name,
        settings,
        {**problem.env_kwargs, **contestant.env_kwargs, **contestant.train_env_kwargs},
        {name: points for name, points in curves.items() if points},
        _curve_labels(agent) if agent and curves else ("", ""),
        picture,
    )


def _thinned(lines: Sequence[tuple[int, int, float, float]]) -> list[tuple[int, float]]:
    """At most :data:`_POINTS` points: means of as many costs each, at their last step."""
    size = -(-len(lines) // _POINTS)
    blocks = [lines[start : start + size] for start in range(0, len(lines), max(size, 1))]
    return [(block[-1][0], sum(line[2] for line in block) / len(block)) for block in blocks]


def _curve_labels(agent: str) -> tuple[str, str]:
    from agents.registration import agent_class
    from benchmarks.plots import CURVE_LABELS

    labels: tuple[str, str] = getattr(agent_class(agent), "curve_labels", CURVE_LABELS)
    return labels
