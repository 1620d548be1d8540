"""The newest transitions, as the environment gave them."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Any

import numpy as np

#: Observations of several environments or steps: an array, or a dict of arrays.
Observations = Any


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of B environments; nothing in it is normalised.

    Attributes
    ----------
    observation
        What was seen, (B, ...).
    action
        What the behaviour policy drew, before it was clipped to its space, (B, A).
    reward
        (B,).
    episode_start
        Whether an episode began here, (B,).
    truncated
        Whether a time limit ended the episode with this step, bool (B,).
    terminal_observation
        What was seen then, (B, ...); of the other environments any observation.
    action_masks
        Allowed actions, bool (B, sum of action sizes); ``None``: all.
    """

    observation: Observations
    action: np.ndarray
    reward: np.ndarray
    episode_start: np.ndarray
    truncated: np.ndarray
    terminal_observation: Observations
    action_masks: np.ndarray | None


class StepRing:
    """At most ``capacity`` steps, in the order of time; a new one evicts the oldest.

    Parameters
    ----------
    capacity
        Number of steps kept, >= 1.
    """

    def __init__(self, capacity: int) -> None:
        self.steps: deque[Step] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: Step) -> None:
        """Append the newest step."""
        self.steps.append(step)

    def clear(self) -> None:
        """Forget all steps."""
        self.steps.clear()

    def stacked(self, first: int = 0) -> Step:
        """The steps from the ``first`` on, with a leading axis of time: (T, B, ...)."""
        chosen = list(self.steps)[first:]
        return Step(
            **{
                field.name: _stack([getattr(step, field.name) for step in chosen])
                for field in dataclasses.fields(Step)
            }
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All steps as arrays by name, those of Dict observations by "name.key"."""
        if not self.steps:
            return {}
        found: dict[str, np.ndarray] = {}
        for name, value in vars(self.stacked()).items():
            parts = value if isinstance(value, dict) else {"": value}
            found |= {
                f"{name}.{key}": part
                for key, part in parts.items()
                if part is not None  # no masks
            }
        return found

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the steps that :meth:`arrays` returned."""
        fields: dict[str, Any] = {field.name: None for field in dataclasses.fields(Step)}
        for name, array in arrays.items():
            field, _, key = name.partition(".")
            if key:
                fields[field] = {**(fields[field] or {}), key: array}
            else:
                fields[field] = array
        self.clear()
        for t in range(len(arrays.get("reward.", ()))):
            self.add(Step(**{name: _at(value, t) for name, value in fields.items()}))


def _stack(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {key: np.stack([value[key] for value in values]) for key in values[0]}
    return None if values[0] is None else np.stack(values)


def _at(value: Any, t: int) -> Any:
    if isinstance(value, dict):
        return {key: part[t] for key, part in value.items()}
    return None if value is None else value[t]
