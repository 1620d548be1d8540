"""Episodes of a rule for an agent to imitate, played by several processes.

Instance k is that of the environment's seed ``seed + k``. Blocks that are finished when a run is
interrupted are not played again.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.progress import track

from agents.gnn_ppo.demonstrations import Demonstrations
from benchmarks.contestants import make
from benchmarks.players import load_model
from benchmarks.problems import build_problem
from benchmarks.training import MODEL
from or_envs.core import AnyProblem, Rule, concatenate, generators, policy_rule, simulate
from or_envs.core.actions import ActionChecker


class Demonstrator(Protocol):
    """Who is imitated, and in what; goes to other processes."""

    def problem(self) -> AnyProblem:
        """Build the problem."""

    def play(self, first: int, num: int) -> Demonstrations:
        """Play the instances with seeds ``first``, ..."""


@dataclasses.dataclass(frozen=True)
class PreferringRule:
    """A rule that scores all actions.

    Attributes
    ----------
    env_id, env_kwargs
        The environment.
    name, settings
        A rule with a method ``scores(instance, state)`` of all actions, (B, A), and its arguments;
        it sees no more than the agent will.
    repeats
        Episodes of every instance, each with luck of its own. What the rule prepares for an
        instance serves all of them.
    player
        Folder of a trained agent that plays while the rule says what it would do: the agent learns
        what to do where it gets itself (DAgger, arXiv 1011.0686). ``None``: the rule plays.
    explore
        Probability of a random action in place of the player's.
    temperature
        Difference of scores at which an action should be played e times as often as another.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    env_id: str
    env_kwargs: Mapping[str, Any]
    name: str
    settings: Mapping[str, Any]
    repeats: int = 1
    player: Path | None = None
    explore: float = 0.03
    temperature: float = 10.0

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats: expected an integer >= 1, got {self.repeats}")
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore: expected a number in [0, 1], got {self.explore}")
        if not self.temperature > 0:
            raise ValueError(f"temperature: expected a number > 0, got {self.temperature}")

    def problem(self) -> AnyProblem:
        """Build the problem."""
        return build_problem(self.env_id, self.env_kwargs)

    def _agent(self, problem: AnyProblem) -> Rule:
        import torch

        assert self.player is not None
        torch.set_num_threads(1)  # there is a process for every core
        return policy_rule(problem, load_model(self.player / MODEL, None, problem))

    def play(self, first: int, num: int) -> Demonstrations:
        """Play the instances with seeds ``first``, ..."""
        problem = self.problem()
        scorer = make(self.name, problem, 0, self.settings)
        rngs = generators(first, num)
        instance = problem.sample_instances(rngs).repeat(self.repeats)
        repeated = [rng for rng in rngs for _ in range(self.repeats)]
        exogenous = problem.sample_exogenous(instance, repeated)
        checker, rng = ActionChecker(problem), np.random.default_rng((first, 1))
        compiled = problem.compiled()
        agent = None if self.player is None else self._agent(problem)
        preferences: list[np.ndarray] = []

        def explore(instance: Any, state: Any) -> np.ndarray:
            scores = scorer.scores(instance, state)
            mask = np.asarray(compiled.action_mask(instance, state))
            preferences.append(np.where(mask, scores, 0.0) / self.temperature)
            if agent is None:
                best = np.where(mask, scores, -np.inf).argmax(axis=1)
            else:
                best = agent(instance, state)
            strays = rng.random(len(best)) < self.explore
            return np.where(strays, checker.sample(mask, len(best), rng), best)

        played = simulate(problem, explore, instance, exogenous)
        over = np.arange(played.actions.shape[1]) >= played.num_steps[:, None]
        actions = np.where(over, -1, played.actions)
        odds = np.where(over[:, :, None], 0.0, np.stack(preferences, axis=1))
        return Demonstrations(instance, exogenous, actions, odds)


def _play_block(demonstrator: Demonstrator, folder: Path, first: int, num: int) -> Path:
    """Leave a block in a file of ``folder``."""
    path = folder / f"{first}-{num}.npz"
    if not path.is_file():
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        demonstrator.play(first, num).save(temporary)
        os.replace(temporary, path)
    return path


def make_demonstrations(
    demonstrator: Demonstrator,
    num: int,
    output: Path,
    seed: int = 1_000_000_000,
    workers: int = 1,
    block: int = 10,
) -> None:
    """Make a file of demonstrations.

    Parameters
    ----------
    demonstrator
        Who plays.
    num, seed
        Number of instances and seed of the first one, far from those of evaluations.
    output
        npz file.
    workers, block
        Processes, and instances that one plays side by side.
    """
    folder = output.with_suffix(".parts")
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(seed, seed + num, block)
    sizes = [min(block, seed + num - first) for first in firsts]
    work = functools.partial(_play_block, demonstrator, folder)
    with ProcessPoolExecutor(workers) as pool:
        paths = list(track(pool.map(work, firsts, sizes), "playing", total=len(sizes)))
    problem = demonstrator.problem()
    parts = [Demonstrations.load(path, problem) for path in paths]
    longest = max(part.actions.shape[1] for part in parts)
    luck = [part.exogenous for part in parts if part.exogenous is not None]
    odds = [_stretch(p.preferences, longest, 0) for p in parts if p.preferences is not None]
    Demonstrations(
        concatenate([part.instance for part in parts]),
        concatenate(luck) if luck else None,
        np.concatenate([_stretch(part.actions, longest, -1) for part in parts]),
        np.concatenate(odds) if odds else None,
    ).save(output)
    for path in paths:
        path.unlink()
    folder.rmdir()


def _stretch(array: np.ndarray, length: int, value: int) -> np.ndarray:
    """Fill up the second axis."""
    rest = [(0, 0)] * (array.ndim - 2)
    return np.pad(array, [(0, 0), (0, length - array.shape[1]), *rest], constant_values=value)
