"""Offline data: episodes of a baseline or a trained agent, recorded in Minari's layout.

Episode k is the one that the environment has with seed ``seed + k``. Blocks of episodes that are
finished when a run is interrupted are not played again, and a file that is there already, with the
same settings, is left alone.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import or_envs
from agents.common.offline_data import Episode, read_episodes, write_episodes
from benchmarks import contestants, problems
from benchmarks.config import build
from benchmarks.errors import UserError
from benchmarks.evaluation import is_solver
from benchmarks.files import slug
from or_envs.core import AnyProblem, Env, Rule
from or_envs.core.actions import ActionChecker

#: Episodes that a process plays between two writes.
BLOCK = 10
#: Seed of the first episode, far from those of training and evaluation.
FIRST_SEED = 3_000_000_000


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Who plays, how many episodes, and how far from its own decisions.

    Attributes
    ----------
    contestant, settings
        A baseline or "module:factory", and its arguments. A solver plans whole episodes, so it
        needs a deterministic problem.
    episodes
        How many.
    jitter
        Every component of a Box action is multiplied by a number drawn from [1 - jitter,
        1 + jitter], and clipped to the space; in [0, 1].
    random
        Probability that an action is replaced by a random legal one, in [0, 1].
    seed
        Of the first episode.
    """

    contestant: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    episodes: int = 100
    jitter: float = 0.0
    random: float = 0.0
    seed: int = FIRST_SEED

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes: expected an integer >= 1, got {self.episodes}")
        if self.seed < 0:
            raise ValueError(f"seed: expected an integer >= 0, got {self.seed}")
        for name in ("jitter", "random"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {value}")


class Noisy:
    """A rule whose decisions are disturbed; see :class:`DataConfig`.

    Parameters
    ----------
    problem
        The problem.
    rule
        Who decides.
    jitter, random
        As in :class:`DataConfig`.
    rng
        Where the disturbances come from.

    Raises
    ------
    ValueError
        If discrete actions are to jitter.
    """

    def __init__(
        self,
        problem: AnyProblem,
        rule: Rule,
        jitter: float,
        random: float,
        rng: np.random.Generator,
    ) -> None:
        self._problem, self._rule, self._rng = problem, rule, rng
        self._jitter, self._random = jitter, random
        self._checker = ActionChecker(problem)
        if jitter and self._checker.discrete:
            raise ValueError(f"jitter: expected 0, for actions are {problem.action_space}")

    def __call__(self, instance: Any, state: Any) -> np.ndarray:
        """Return the disturbed actions, (B, ...)."""
        space = self._problem.action_space
        actions = np.array(self._rule(instance, state), dtype=space.dtype)
        if self._jitter:
            assert isinstance(space, gym.spaces.Box)
            factor = self._rng.uniform(1 - self._jitter, 1 + self._jitter, actions.shape)
            actions = np.clip(actions * factor, space.low, space.high).astype(space.dtype)
        if self._random:
            mask = self._problem.action_mask(instance, state)
            other = self._checker.sample(mask, len(actions), self._rng)
            replaced = self._rng.random(len(actions)) < self._random
            actions[replaced] = other[replaced]
        return actions


def behaviour(
    problem: AnyProblem,
    seed: int,
    contestant: str,
    settings: Mapping[str, Any] | None = None,
    jitter: float = 0.0,
    random: float = 0.0,
) -> Noisy:
    """What a data set has recorded, as a contestant "benchmarks.collect:behaviour" of a suite."""
    rule = contestants.make(contestant, problem, 0, settings or {})
    return Noisy(problem, rule, jitter, random, np.random.default_rng((seed, FIRST_SEED)))


def play(problem: AnyProblem, player: Any, config: DataConfig, seed: int) -> Episode:
    """Record the episode of a seed; its disturbances depend on nothing but the seed."""
    env = Env(problem, invalid_action="raise")
    observation, _ = env.reset(seed=seed)
    if is_solver(player):
        plan = iter(player.solve(env.instance).actions)
        decide: Rule = lambda instance, state: np.asarray(next(plan))[None]  # noqa: E731
    else:
        decide = player
    rng = np.random.default_rng((seed, FIRST_SEED))
    decide = Noisy(problem, decide, config.jitter, config.random, rng)
    seen, steps = [observation], []
    done = False
    while not done:
        action = decide(env.instance, env.state)[0]
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(observation)
        steps.append((action, reward, terminated, truncated))
        done = terminated or truncated
    actions, rewards, terminations, truncations = map(np.array, zip(*steps, strict=True))
    observations: Any = np.array(seen)
    if isinstance(observation, dict):
        observations = {key: np.array([one[key] for one in seen]) for key in observation}
    return Episode(observations, actions, rewards, terminations, truncations)


@functools.cache
def _player(env_id: str, env_kwargs: str, contestant: str, settings: str) -> tuple[AnyProblem, Any]:
    """Problem and contestant; what tunes itself does so once in every process."""
    problem = problems.build_problem(env_id, json.loads(env_kwargs))
    try:
        return problem, contestants.make(contestant, problem, 0, json.loads(settings))
    except (ValueError, TypeError) as error:
        raise UserError(f"contestant: {contestant}: {error}") from error


def play_block(
    env_id: str, env_kwargs: Mapping[str, Any], config: DataConfig, folder: Path, first: int
) -> Path:
    """Play up to :data:`BLOCK` episodes from the given number on, into a file of ``folder``."""
    path = folder / f"{first}.npz"
    if not path.is_file():
        problem, player = _player(
            env_id, json.dumps(env_kwargs), config.contestant, json.dumps(config.settings)
        )
        if is_solver(player) and or_envs.sample(problem, 0, 1)[1] is not None:
            raise UserError(
                f"contestant: {config.contestant} plans whole episodes, so it needs a deterministic"
                f" problem, got {env_id}"
            )
        seeds = range(config.seed + first, config.seed + min(first + BLOCK, config.episodes))
        try:
            episodes = [play(problem, player, config, seed) for seed in seeds]
        except (ValueError, gym.error.InvalidAction) as error:
            raise UserError(f"contestant: {config.contestant}: {error}") from error
        write_episodes(path, episodes, {})
    return path


def collect(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    config: DataConfig,
    output: Path,
    workers: int = 1,
    parts: Path | None = None,
) -> dict[str, Any]:
    """Record a data set, unless it is there, and return its metadata.

    Parameters
    ----------
    output
        The npz file.
    workers
        Processes side by side.
    parts
        Folder of finished blocks (default: beside ``output``, so that an interrupted run goes on).

    Raises
    ------
    UserError
        If environment or contestant do not exist or do not fit each other.
    """
    metadata = {
        "env_id": env_id,
        "env_kwargs": dict(env_kwargs),
        "algorithm_name": config.contestant,
        **{key: value for key, value in dataclasses.asdict(config).items() if key != "contestant"},
    }
    if output.is_file():
        _, known = read_episodes(output)
        if metadata.items() <= known.items():
            return known
    contestants.check_name(config.contestant)
    folder = output.with_suffix(f".{_digest(metadata)}.parts") if parts is None else parts
    work = functools.partial(play_block, env_id, env_kwargs, config, folder)
    paths = list(_mapped(work, range(0, config.episodes, BLOCK), workers))
    write_episodes(output, (e for path in paths for e in read_episodes(path)[0]), metadata)
    shutil.rmtree(folder)
    return read_episodes(output)[1]


def _mapped(work: Any, firsts: range, workers: int) -> Iterable[Path]:
    if workers == 1:
        yield from map(work, firsts)
    else:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(work, firsts)


def data_files(env_id: str, env_kwargs: Mapping[str, Any], sources: Any, folder: Path) -> list[Any]:
    """What an agent is to read: data sets that are described, not named, are collected first.

    Parameters
    ----------
    sources
        A source of :func:`agents.common.offline_data.load_transitions`, a mapping with the fields
        of :class:`DataConfig`, or a list of these.
    folder
        Where files of data sets go.
    """
    found = []
    for source in sources if isinstance(sources, list) else [sources]:
        if isinstance(source, Mapping):
            config = build(DataConfig, source, "offline_dataset")
            name = _digest([env_id, dict(env_kwargs), dataclasses.asdict(config)])
            path = folder / f"{slug(config.contestant)}-{name}.npz"
            # Of its own, since trainings with other seeds may collect the same at the same time.
            parts = folder / f".{name}.{os.getpid()}.parts"
            collect(env_id, env_kwargs, config, path, parts=parts)
            source = str(path)
        found.append(source)
    return found


def _digest(settings: Any) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
