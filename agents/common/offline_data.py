"""Recorded episodes to learn from: files in Minari's layout, dicts of arrays, Minari data sets.

A file is an npz archive whose names are those of Minari's HDF5 files: ``episode_0/observations``
with T + 1 rows, ``episode_0/actions``, ``rewards``, ``terminations`` and ``truncations`` with T
rows, and so on; observations of a Dict space have a name per key, ``episode_0/observations/KEY``.
The entry ``metadata`` is a JSON text. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: One array, or for a Dict space one by key; rows are time steps.
Observations = np.ndarray | dict[str, np.ndarray]

_FIELDS = ("observations", "actions", "rewards", "terminations", "truncations")
_FLAT = ("observations", "actions", "rewards", "next_observations", "terminations")


@dataclasses.dataclass(frozen=True)
class Episode:
    """One recorded episode of T steps.

    Attributes
    ----------
    observations
        Before every step and after the last, (T + 1, ...).
    actions, rewards
        (T, ...) in the environment's own units, and (T,).
    terminations, truncations
        Whether the task, or only the time, ended with a step, bool (T,).
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray


@dataclasses.dataclass(frozen=True)
class Transitions:
    """M transitions, in any order.

    Attributes
    ----------
    observations, next_observations
        (M, ...), or by key.
    actions, rewards
        (M, ...) in the environment's own units, and (M,).
    terminations
        Whether nothing follows, bool (M,); what follows a truncation is bootstrapped.

    Raises
    ------
    ValueError
        If there is no transition, numbers of rows differ, or a value is not finite.
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Observations
    terminations: np.ndarray

    def __post_init__(self) -> None:
        num = self.num
        if not num:
            raise ValueError("offline data: expected at least one transition, got none")
        for name in _FLAT:
            for place, array in _named(name, getattr(self, name)):
                if len(array) != num:
                    raise ValueError(
                        f"offline data: {place}: expected {num} rows, as many as rewards,"
                        f" got {len(array)}"
                    )
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ValueError(f"offline data: {place}: expected finite numbers")

    @property
    def num(self) -> int:
        """Number M of transitions."""
        return len(self.rewards)


def load_transitions(source: Any) -> Transitions:
    """Read offline data, whatever form it comes in.

    Parameters
    ----------
    source
        Path of an npz file, of this package's (``or-bench collect``) or with the arrays of
        :class:`Transitions`; "minari:ID" for a data set that Minari has on this machine; a Minari
        data set; a dict with the arrays of :class:`Transitions`; or several of these in a list.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If it is Minari's and Minari is not installed.
    ValueError
        If it is of another form; the message says what is missing.
    """
    if isinstance(source, Transitions):
        return source
    if isinstance(source, list | tuple):
        return _concatenate([load_transitions(part) for part in source])
    if isinstance(source, Mapping):
        return _of_mapping(source)
    if hasattr(source, "iterate_episodes"):
        return _of_episodes(source.iterate_episodes())
    if isinstance(source, str) and source.startswith("minari:"):
        return _of_episodes(_minari(source.removeprefix("minari:")).iterate_episodes())
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "offline data: expected the path of an npz file, 'minari:ID', a Minari data set, a dict"
            f" of arrays, or a list of these, got {type(source).__name__}"
        )
    arrays = _read(source)
    if "metadata" in arrays:
        return _of_episodes(_episodes(arrays))
    return _of_mapping(arrays)


def write_episodes(
    path: str | os.PathLike[str], episodes: Iterable[Any], metadata: Mapping[str, Any]
) -> None:
    """Write an npz file in Minari's layout; a file of that name is replaced at once or not at all.

    Parameters
    ----------
    episodes
        :class:`Episode`, or what Minari calls an episode.
    metadata
        What JSON can hold; ``total_episodes`` and ``total_steps`` are added.
    """
    path = Path(path)
    arrays: dict[str, np.ndarray] = {}
    number = steps = 0
    for number, episode in enumerate(episodes, start=1):
        steps += len(episode.rewards)
        for field in _FIELDS:
            name = f"episode_{number - 1}/{field}"
            arrays |= dict(_named(name, getattr(episode, field)))
    totals = {"total_episodes": number, "total_steps": steps}
    arrays["metadata"] = np.array(json.dumps({**metadata, **totals}))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_episodes(path: str | os.PathLike[str]) -> tuple[list[Episode], dict[str, Any]]:
    """Read what :func:`write_episodes` wrote: the episodes, and the metadata.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another file.
    """
    arrays = _read(path)
    if "metadata" not in arrays:
        raise ValueError(f"offline data: {path}: no episodes in Minari's layout (no metadata)")
    return _episodes(arrays), json.loads(str(arrays["metadata"]))


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"offline data: expected an npz file, got {str(path)!r} ({error})"
        ) from None


def _episodes(arrays: Mapping[str, np.ndarray]) -> list[Episode]:
    parts: dict[int, dict[str, Any]] = {}
    for name, array in arrays.items():
        if name == "metadata":
            continue
        episode, field, *key = name.split("/", 2)
        values = parts.setdefault(int(episode.removeprefix("episode_")), {})
        if key:
            values.setdefault(field, {})[key[0]] = array
        else:
            values[field] = array
    return [Episode(**parts[number]) for number in sorted(parts)]


def _of_episodes(episodes: Iterable[Any]) -> Transitions:
    return _concatenate(
        [
            Transitions(
                _each(episode.observations, lambda x: x[:-1]),
                np.asarray(episode.actions),
                np.asarray(episode.rewards),
                _each(episode.observations, lambda x: x[1:]),
                np.asarray(episode.terminations),
            )
            for episode in episodes
        ]
    )


def _of_mapping(arrays: Mapping[str, Any]) -> Transitions:
    for name in _FLAT:
        if name not in arrays:
            raise ValueError(
                f"offline data: {name} is missing; expected {', '.join(_FLAT)}, got"
                f" {', '.join(map(str, arrays))}"
            )
    return Transitions(**{name: _each(arrays[name], lambda x: x) for name in _FLAT})


def _concatenate(parts: Sequence[Transitions]) -> Transitions:
    if not parts:
        raise ValueError("offline data: expected at least one episode, got none")

    def join(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], dict):
            return {key: np.concatenate([v[key] for v in values]) for key in values[0]}
        return np.concatenate(values)

    return Transitions(**{name: join(name) for name in _FLAT})


def _each(value: Any, change: Any) -> Any:
    """Apply ``change`` to an array, or to those of a dict."""
    if isinstance(value, Mapping):
        return {key: change(np.asarray(part)) for key, part in value.items()}
    return change(np.asarray(value))


def _named(name: str, value: Any) -> list[tuple[str, np.ndarray]]:
    """The array with its name, or those of a dict."""
    if isinstance(value, Mapping):
        return [(f"{name}/{key}", np.asarray(part)) for key, part in value.items()]
    return [(name, np.asarray(value))]


def _minari(name: str) -> Any:
    try:
        import minari
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"offline data 'minari:{name}' needs Minari: pip install 'minari[hdf5]'",
            name=error.name,
        ) from None
    return minari.load_dataset(name)
