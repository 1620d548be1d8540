"""Solved instances as a file: what the agent imitates."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from or_envs.core.arrays import Arrays
from or_envs.core.problem import AnyProblem
from or_envs.core.simulation import sample


@dataclasses.dataclass(frozen=True)
class Labels:
    """Instances of a problem in mode "bq", with a good solution of each.

    Attributes
    ----------
    instance
        M instances (numpy).
    actions
        What the environment plays, integers (M, T); -1 after the end of an episode.
    """

    instance: Arrays
    actions: np.ndarray

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file, floating numbers in single precision."""
        fields = {name: getattr(self.instance, name) for name in self.instance.names()}
        single = {
            f"instance.{name}": value.astype(np.float32) if value.dtype.kind == "f" else value
            for name, value in fields.items()
        }
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            np.savez_compressed(file, actions=self.actions.astype(np.int16), **single)

    @classmethod
    def load(cls, path: str | os.PathLike[str], problem: AnyProblem) -> Labels:
        """Read a file for ``problem``; sizes may differ from the problem's.

        Raises
        ------
        ValueError
            If the file is of another kind, or its fields are not those of the problem's instances.
        """
        kind = type(sample(problem, 0, 1)[0])
        wanted = [f"instance.{name}" for name in kind.names()]
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError) as error:
            raise ValueError(f"labels: expected an npz file, got {str(path)!r} ({error})") from None
        if set(arrays) != {"actions", *wanted}:
            raise ValueError(
                f"labels: {path}: expected arrays actions, {', '.join(wanted)},"
                f" got {', '.join(arrays)}"
            )
        actions = arrays.pop("actions").astype(np.int64)
        return cls(
            kind(**{name.removeprefix("instance."): a for name, a in arrays.items()}), actions
        )
