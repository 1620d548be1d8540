"""Whole episodes of a batch, played through the problem's own functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.gnn_ppo.policy import GNNPolicy, allowed_actions
from or_envs.core.arrays import concatenate
from or_envs.core.problem import AnyProblem

#: (rows of the batch, step, observations, allowed actions) -> actions and their log-probabilities.
Decider = Callable[
    [np.ndarray, int, dict[str, np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray]
]


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Decisions between at least two actions, N of them.

    Attributes
    ----------
    seen
        Observations, arrays of N rows.
    allowed
        bool (N, A).
    actions
        (N,).
    log_probs
        Of the actions when they were taken, (N,).
    rows
        Episode that each belongs to, (N,).
    targets
        Probabilities of actions to imitate, (N, A); ``None`` where nothing is imitated.
    """

    seen: dict[str, np.ndarray]
    allowed: np.ndarray
    actions: np.ndarray
    log_probs: np.ndarray
    rows: np.ndarray
    targets: np.ndarray | None = None

    @property
    def num(self) -> int:
        """N."""
        return len(self.actions)

    def pick(self, index: np.ndarray) -> Decisions:
        """Some of the decisions."""
        return Decisions(
            {name: value[index] for name, value in self.seen.items()},
            self.allowed[index],
            self.actions[index],
            self.log_probs[index],
            self.rows[index],
            None if self.targets is None else self.targets[index],
        )


@dataclasses.dataclass(frozen=True)
class Played:
    """B episodes.

    Attributes
    ----------
    total_reward
        (B,).
    actions
        (B, T), -1 after the end of an episode.
    num_steps
        (B,).
    state
        Last states.
    """

    total_reward: np.ndarray
    actions: np.ndarray
    num_steps: np.ndarray
    state: Any

    def pick(self, index: np.ndarray) -> Played:
        """Some of the episodes."""
        return Played(
            self.total_reward[index],
            self.actions[index],
            self.num_steps[index],
            self.state.rows(index),
        )


def follow(policy: GNNPolicy, temperature: np.ndarray | float = 0.0) -> Decider:
    """Decide as a policy does; see :func:`agents.gnn_ppo.masking.choose` for the temperatures."""

    def decide(
        rows: np.ndarray, step: int, seen: dict[str, np.ndarray], allowed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        own = temperature[rows] if isinstance(temperature, np.ndarray) else temperature
        return policy.decide(seen, allowed, own)

    return decide


def play(
    decide: Decider,
    problem: AnyProblem,
    instance: Any,
    exogenous: Any = None,
    state: Any = None,
    record: list[Decisions] | None = None,
) -> Played:
    """Play a batch to the end; finished episodes drop out.

    Parameters
    ----------
    decide
        Who decides.
    problem, instance, exogenous
        As for :func:`or_envs.core.simulate`.
    state
        Where to start; default: at the beginning.
    record
        List that is given the decisions of every step.
    """
    state = problem.initial(instance) if state is None else state
    num = state.num
    rows = np.arange(num)
    total = np.zeros(num)
    steps = np.zeros(num, dtype=np.int64)
    taken: list[np.ndarray] = []
    finished: list[np.ndarray] = []
    last: list[Any] = []
    for step in range(problem.max_steps):
        seen = problem.observation(instance, state)
        allowed = allowed_actions(problem, instance, state, seen)
        actions, log_probs = decide(rows, step, seen, allowed)
        if record is not None:
            free = np.flatnonzero(allowed.sum(axis=1) > 1)
            record.append(Decisions(seen, allowed, actions, log_probs, rows).pick(free))
        post, reward = problem.post_decision(instance, state, actions)
        now = None
        if exogenous is not None:
            now = problem.exogenous_at(exogenous, np.full(len(rows), step))
        state, outcome, over = problem.transition(instance, post, now)
        total[rows] += reward + outcome
        steps[rows] += 1
        column = np.full(num, -1)
        column[rows] = actions
        taken.append(column)
        if over.any():
            finished.append(rows[over])
            last.append(state.rows(over))
            going = np.flatnonzero(~over)
            if not len(going):
                break
            rows, state = rows[going], state.rows(going)
            instance = _rows(instance, going)
            exogenous = None if exogenous is None else _rows(exogenous, going)
    order = np.argsort(np.concatenate(finished))
    return Played(total, np.stack(taken, axis=1), steps, concatenate(last).rows(order))


def _rows(data: Any, rows: np.ndarray) -> Any:
    """Rows of instances or traces; one row is shared by all."""
    return data if data.num == 1 else data.rows(rows)


def merge(parts: list[Decisions]) -> Decisions:
    """All decisions of a record, step by step."""
    names = parts[0].seen.keys()
    targets = [part.targets for part in parts if part.targets is not None]
    return Decisions(
        {name: np.concatenate([part.seen[name] for part in parts]) for name in names},
        np.concatenate([part.allowed for part in parts]),
        np.concatenate([part.actions for part in parts]),
        np.concatenate([part.log_probs for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate(targets) if targets else None,
    )
