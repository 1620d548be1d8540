"""Decoders: greedy episodes, the best of several, and the policy inside the pilot method.

All play the problem's own dynamics, so that what they return can be replayed and costs what they
say. Draws come from torch's global generator.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.gnn_ppo.episodes import Played, follow, play
from agents.gnn_ppo.policy import GNNPolicy
from or_envs.core import concatenate, simulate
from or_envs.core.problem import AnyProblem
from or_envs.job_shop.pilot import PilotRule, fortified_rollout
from or_envs.job_shop.problem import JobShop

#: Episodes that are played side by side.
_EPISODES = 8192


def greedy(policy: GNNPolicy, problem: AnyProblem, instance: Any) -> Played:
    """Take the likeliest action in every state of a deterministic problem."""
    return play(follow(policy), problem, instance)


def best_of(
    policy: GNNPolicy,
    problem: AnyProblem,
    instance: Any,
    episodes: int,
    temperature: float = 1.0,
) -> Played:
    """Return the best of several episodes of every instance: the greedy one, and draws.

    Parameters
    ----------
    policy, problem, instance
        As for :func:`greedy`.
    episodes
        N >= 1, the greedy one included.
    temperature
        Of the draws, > 0; see :func:`agents.gnn_ppo.masking.choose`.
    """
    _check("episodes", episodes)
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number > 0, got {temperature}")
    parts = []
    together = max(_EPISODES // episodes, 1)
    for start in range(0, instance.num, together):
        rows = np.arange(start, min(start + together, instance.num))
        some = _rows(instance, rows)
        own = _greedy_first(len(rows), episodes, temperature)
        played = play(follow(policy, own), problem, some.repeat(episodes))
        best = played.total_reward.reshape(-1, episodes).argmax(axis=1)
        parts.append(played.pick(best + episodes * np.arange(len(rows))))
    return _join(parts)


@dataclasses.dataclass(frozen=True)
class PolicyCompletions:
    """Completions by the greedy episode, then by draws.

    Attributes
    ----------
    makespan
        See :class:`or_envs.job_shop.pilot.Completions`.
    played
        Those of the states that were not final, R for each.
    going
        Their numbers.
    """

    makespan: np.ndarray
    played: Played | None
    going: np.ndarray

    def actions(self, number: int, row: int) -> list[int]:
        """Actions of one of them."""
        at = np.flatnonzero(self.going == row)
        if self.played is None or not len(at):
            return []
        episode = number + len(self.makespan) * int(at[0])
        rest: list[int] = self.played.actions[episode, : self.played.num_steps[episode]].tolist()
        return rest


@dataclasses.dataclass(frozen=True)
class CompleteByPolicy:
    """Completes states of a job shop; draws come from torch's global generator.

    Attributes
    ----------
    policy
        Who plays.
    problem
        A job shop.
    completions
        R, how many: the greedy one, then draws.
    """

    policy: GNNPolicy
    problem: JobShop
    completions: int

    def __call__(
        self, instance: Any, state: Any, future: Any, rng: np.random.Generator
    ) -> PolicyCompletions:
        """Return R completions of every state."""
        makespan = np.tile(np.asarray(state.clock, dtype=np.float64), (self.completions, 1))
        left = self.problem.action_mask(instance, state).any(axis=1)
        going, played = np.flatnonzero(left), None
        if len(going):
            rows = np.repeat(going, self.completions)
            played = play(
                follow(self.policy, _greedy_first(len(going), self.completions)),
                self.problem,
                instance,
                None if future is None else future.rows(rows),
                state.rows(rows),
            )
            makespan[:, going] = played.state.clock.reshape(-1, self.completions).T
        return PolicyCompletions(makespan, played, going)


def pilot(policy: GNNPolicy, problem: JobShop, instance: Any, completions: int) -> Played:
    """Look ahead with the policy at each state of the shortest schedule found so far.

    See :func:`or_envs.job_shop.pilot.fortified_rollout`.

    Parameters
    ----------
    policy, problem, instance
        As for :func:`greedy`; instances are searched one after the other.
    completions
        R >= 1, completions of an action.
    """
    _check("completions", completions)
    complete = CompleteByPolicy(policy, problem, completions)
    parts = []
    for row in range(instance.num):
        one = _rows(instance, np.array([row]))
        _, plan = fortified_rollout(problem, one, complete)
        parts.append(_replay(problem, one, plan))
    return _join(parts)


def _replay(problem: JobShop, instance: Any, plan: list[int]) -> Played:
    """A plan as an episode."""
    actions = np.array([plan])
    again = simulate(problem, actions, instance)
    return Played(again.total_reward, actions, again.num_steps, again.state)


class Pilot(PilotRule):
    """Rule that takes the action whose best completion is the best in the mean over scenarios.

    Parameters
    ----------
    policy
        Completes.
    problem
        A job shop, with or without shutdowns.
    completions
        Completions of an action: the greedy one, then draws; >= 1.
    scenarios
        Draws of the shutdowns to come, where there are any; >= 1.
    seed
        Of these draws.

    Raises
    ------
    ValueError
        If the problem is another, or an argument is outside its range.
    """

    def __init__(
        self,
        policy: GNNPolicy,
        problem: AnyProblem,
        completions: int = 4,
        scenarios: int = 16,
        seed: int = 0,
    ) -> None:
        shop = _job_shop(problem)
        _check("completions", completions)
        super().__init__(shop, CompleteByPolicy(policy, shop, completions), scenarios, seed)


def decoder(name: str, policy: GNNPolicy, problem: AnyProblem) -> Callable[[Any], Played]:
    """Return the search of a name: from a batch of instances to episodes.

    "greedy"; "samples:N", the best of N, or "samples:N:T" with temperature T; "pilot:R".

    Raises
    ------
    ValueError
        If the name is another, the problem is not deterministic, or the pilot's no job shop.
    """
    form = re.fullmatch(
        r"(greedy)|(samples):([1-9]\d*)(?::(\d+(?:\.\d+)?))?|(pilot):([1-9]\d*)", name
    )
    if form is None:
        raise ValueError(
            "decoder: expected greedy, samples:N, samples:N:T or pilot:R with numbers > 0,"
            f" got {name!r}"
        )
    if getattr(problem, "stochastic", False):
        raise ValueError("decoder: searches need a deterministic problem; set p_down to 0")
    if form[2]:
        episodes, temperature = int(form[3]), float(form[4] or 1.0)
        return lambda instance: best_of(policy, problem, instance, episodes, temperature)
    if form[5]:
        shop, completions = _job_shop(problem), int(form[6])
        return lambda instance: pilot(policy, shop, instance, completions)
    return lambda instance: greedy(policy, problem, instance)


def _greedy_first(groups: int, size: int, temperature: float = 1.0) -> np.ndarray:
    """Temperatures of groups of episodes, of which the first is greedy."""
    group = np.full(size, temperature, dtype=np.float32)
    group[0] = 0.0
    return np.tile(group, groups)


def _job_shop(problem: AnyProblem) -> JobShop:
    if not isinstance(problem, JobShop):
        raise ValueError(f"problem: expected JobShop, got {type(problem).__name__}")
    return problem


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: expected an integer >= 1, got {value}")


def _rows(instance: Any, rows: np.ndarray) -> Any:
    """Rows of a batch as a batch of their own."""
    return instance.rows(rows) if instance.num > 1 else instance


def _join(parts: list[Played]) -> Played:
    longest = max(part.actions.shape[1] for part in parts)
    padded = [
        np.pad(p.actions, ((0, 0), (0, longest - p.actions.shape[1])), constant_values=-1)
        for p in parts
    ]
    return Played(
        np.concatenate([part.total_reward for part in parts]),
        np.concatenate(padded),
        np.concatenate([part.num_steps for part in parts]),
        concatenate([part.state for part in parts]),
    )
