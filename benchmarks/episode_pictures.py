"""Pictures of episodes for the page, made once and kept in the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import or_envs
from benchmarks import contestants
from benchmarks.config import ContestantConfig, ProblemConfig
from benchmarks.files import slug
from benchmarks.leaderboard import Row, Table
from benchmarks.problems import build_problem
from benchmarks.records import Record
from benchmarks.rendering import make_env, render_episode

if TYPE_CHECKING:
    from rich.console import Console

#: Building the contestant and playing one episode may take so long, in seconds.
TIME_LIMIT = 10.0
#: Longer episodes are drawn as they end; of shorter ones there is a film of at most FRAMES.
FILM_STEPS = 60
FRAMES = 24
FRAME_MS = 180
#: Width in pixels that keeps a picture below some 300 kB.
WIDTH = 640


@dataclasses.dataclass(frozen=True)
class Picture:
    """A drawn episode.

    Attributes
    ----------
    content, media_type
        The file: an "image/png" of the last state, or an "image/gif" that plays once.
    seed, cost
        Of the episode.
    """

    content: bytes
    media_type: str
    seed: int
    cost: float


def draw_episodes(
    table: Table, problem: ProblemConfig, folder: Path, num: int, console: Console
) -> dict[str, Picture]:
    """Draw the first episode of the best ranked contestants that are quickly made again.

    Parameters
    ----------
    folder
        Results of the suite; pictures go to ``folder / "episodes"``.
    num
        Contestants to draw.

    Returns
    -------
    dict
        Pictures by contestant; one that cannot be made is named on the console and left out.
    """
    configs = {contestant.label: contestant for contestant in problem.contestants}
    model = build_problem(problem.env_id, problem.env_kwargs)
    drawn: dict[str, Picture] = {}
    for row in table.ranking:
        if len(drawn) >= num:
            break
        contestant, record = configs[row.contestant], table.records[row.contestant][0]
        trained = _trained_model(contestant, record, folder)
        if not _quick(row, contestant, trained is not None, model.max_steps):
            continue
        suffix = ".gif" if model.max_steps <= FILM_STEPS else ".png"
        name = f"{slug(row.contestant)}--{record.seed}--{record.hash}{suffix}"
        path = folder / "episodes" / name
        if not path.is_file():
            try:
                _draw(problem, contestant, record, trained, path)
            except Exception as error:  # the figures must not be lost for a picture
                what = f"{table.title}: no picture of {row.contestant}: {error}"
                console.print(what, highlight=False, markup=False, soft_wrap=True)
                continue
        assert record.costs is not None
        drawn[row.contestant] = Picture(
            path.read_bytes(), f"image/{suffix[1:]}", record.first_episode_seed, record.costs[0]
        )
    return drawn


def _trained_model(contestant: ContestantConfig, record: Record, folder: Path) -> Path | None:
    """File of the agent that a cell of the suite has trained."""
    if not contestants.is_agent(contestant.name):
        return None
    pattern = f"training/*--{record.seed}--{record.hash}/model.safetensors"
    return next(folder.glob(pattern), None)


def _quick(row: Row, contestant: ContestantConfig, trained: bool, max_steps: int) -> bool:
    if row.decision_ms is None or row.train_seconds is None or contestant.time_limit is not None:
        return False
    if contestants.is_agent(contestant.name) and not trained:
        return False
    making = 0.0 if trained else row.train_seconds
    return making + row.decision_ms * max_steps / 1000 <= TIME_LIMIT


def _draw(
    problem: ProblemConfig,
    contestant: ContestantConfig,
    record: Record,
    trained: Path | None,
    path: Path,
) -> None:
    from PIL import Image, ImageSequence

    env_kwargs = {**problem.env_kwargs, **contestant.env_kwargs}
    model = build_problem(problem.env_id, env_kwargs)
    player: Any
    if trained is not None:
        from benchmarks.players import load_model

        player = or_envs.policy_rule(model, load_model(trained, contestant.name, model))
    else:
        player = contestants.make(contestant.name, model, record.seed, contestant.settings)
    raw = path.with_name(f".{path.name}")
    seed = record.first_episode_seed
    render_episode(make_env(problem.env_id, env_kwargs), player, seed, False, raw)
    with Image.open(raw) as image:
        frames = [_small(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    _save([frames[k] for k in _chosen(len(frames))], raw)
    raw.replace(path)


def _small(image: Any) -> Any:
    from PIL import Image

    width = min(WIDTH, image.width)
    height = round(image.height * width / image.width)
    # Drawings have few colours, and a palette takes a third of the space.
    return image.resize((width, height), Image.Resampling.LANCZOS).quantize(64)


def _chosen(num: int) -> list[int]:
    """Frames that are spread evenly, the first and the last among them."""
    return sorted({int(k) for k in np.linspace(0, num - 1, min(num, FRAMES)).round()})


def _save(frames: Sequence[Any], path: Path) -> None:
    if path.suffix == ".png":
        frames[-1].save(path, optimize=True)
    else:
        # Without `loop` it plays once and rests on the last state.
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=FRAME_MS, optimize=True
        )
