"""Episodes as a file: what the policy imitates before it learns by itself."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from agents.gnn_ppo.episodes import Decisions, merge, play
from or_envs.core.actions import ActionChecker
from or_envs.core.arrays import Arrays
from or_envs.core.problem import AnyProblem
from or_envs.core.random import generators


@dataclasses.dataclass(frozen=True)
class Demonstrations:
    """Good episodes of a problem.

    Attributes
    ----------
    instance
        M instances (numpy), of the problem's shapes.
    exogenous
        Their luck; ``None`` if the problem is deterministic, or if nothing happens.
    actions
        What was played, integers (M, T); -1 after the end of an episode.
    preferences
        Log-odds of the actions that should have been played, (M, T, A); those of actions that are
        not allowed mean nothing. ``None``: what was played is what to imitate. Episodes that stray
        from what their demonstrator prefers show the way back, and log-odds tell near ties from
        clear cases, where actions alone do neither.
    """

    instance: Arrays
    exogenous: Arrays | None
    actions: np.ndarray
    preferences: np.ndarray | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file that holds arrays only."""
        parts = {"instance": self.instance, "exogenous": self.exogenous}
        arrays = {
            f"{part}.{name}": getattr(data, name)
            for part, data in parts.items()
            if data is not None
            for name in data.names()
        }
        if self.preferences is not None:
            arrays["preferences"] = self.preferences.astype(np.float16)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            np.savez_compressed(file, actions=self.actions.astype(np.int16), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], problem: AnyProblem) -> Demonstrations:
        """Read a file for ``problem``.

        Raises
        ------
        ValueError
            If the file is of another kind, its fields or their shapes are not those of the
            problem, or it holds luck and the problem is deterministic.
        """
        rngs = generators(0, 2)
        instance = problem.sample_instances(rngs)
        kinds = {"instance": instance, "exogenous": problem.sample_exogenous(instance, rngs)}
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError) as error:
            raise ValueError(f"labels: expected an npz file, got {str(path)!r} ({error})") from None
        wanted = {
            part: [f"{part}.{name}" for name in data.names()]
            for part, data in kinds.items()
            if data is not None
        }
        with_luck = any(name.startswith("exogenous.") for name in arrays)
        names = {
            "actions",
            *(["preferences"] if "preferences" in arrays else []),
            *wanted["instance"],
            *(wanted.get("exogenous", []) if with_luck else []),
        }
        if set(arrays) != names or (with_luck and "exogenous" not in wanted):
            raise ValueError(
                f"labels: {path}: expected arrays {', '.join(sorted(names))},"
                f" got {', '.join(sorted(arrays))}"
            )
        num = len(arrays["actions"])
        for part, data in kinds.items():
            for name in data.names() if data is not None else ():
                array = arrays.get(f"{part}.{name}")
                shape = (num, *getattr(data, name).shape[1:])
                if array is not None and array.shape != shape:
                    raise ValueError(
                        f"labels: {path}: {part}.{name} has shape {array.shape}, but this"
                        f" environment has {shape}; labels must come from one with the same sizes"
                    )
        preferences = arrays.get("preferences")
        shape = (*arrays["actions"].shape, ActionChecker(problem).sizes.sum())
        if preferences is not None and preferences.shape != shape:
            raise ValueError(
                f"labels: {path}: preferences has shape {preferences.shape}, expected {shape}"
            )
        parts = {
            part: type(data)(**{n: arrays[f"{part}.{n}"] for n in data.names()})
            for part, data in kinds.items()
            if data is not None and (part == "instance" or with_luck)
        }
        actions = arrays["actions"].astype(np.int64)
        return cls(parts["instance"], parts.get("exogenous"), actions, preferences)

    def replay(self, problem: AnyProblem) -> Decisions:
        """Play the episodes again and return every decision between at least two actions.

        Raises
        ------
        ValueError
            If an action is not allowed, or an episode goes on after its last one.
        """
        length = self.actions.shape[1]

        def decide(
            rows: np.ndarray, step: int, seen: dict[str, np.ndarray], allowed: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray]:
            actions = self.actions[rows, step] if step < length else np.full(len(rows), -1)
            inside = (actions >= 0) & (actions < allowed.shape[1])
            legal = inside & allowed[np.arange(len(rows)), np.where(inside, actions, 0)]
            if not legal.all():
                row = int((~legal).argmax())
                raise ValueError(
                    f"labels: episode {rows[row]}, step {step}: action {actions[row]} is not"
                    " allowed; are the labels of another problem or mode?"
                )
            return actions, np.zeros(len(rows), dtype=np.float32)

        exogenous = self.exogenous
        if exogenous is None:
            exogenous = _nothing(problem, self.instance)
        record: list[Decisions] = []
        play(decide, problem, self.instance, exogenous, record=record)
        return merge(
            [
                dataclasses.replace(part, targets=self._targets(part, step))
                for step, part in enumerate(record)
            ]
        )

    def _targets(self, part: Decisions, step: int) -> np.ndarray:
        """Probabilities (N, A) of what to imitate in the decisions of a step."""
        if self.preferences is None:
            return np.eye(part.allowed.shape[1], dtype=np.float32)[part.actions]
        odds = self.preferences[part.rows, step].astype(np.float32)
        odds = np.where(part.allowed, odds, -np.inf)
        weights = np.exp(odds - odds.max(axis=1, keepdims=True, initial=-1e4))
        return weights / weights.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _nothing(problem: AnyProblem, instance: Any) -> Any:
    """A trace in which nothing happens; ``None`` if the problem is deterministic."""
    drawn = problem.sample_exogenous(instance, generators(0, instance.num))
    return None if drawn is None else drawn.map(np.zeros_like)
