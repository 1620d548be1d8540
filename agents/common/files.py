"""Files of models and checkpoints that never execute code: safetensors with a JSON header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

#: Raised when a reader of the old layout could misread the new one.
FORMAT_VERSION = 1
_KEY = "or-envs"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_PACKAGES = ("or-envs", "numpy", "torch", "stable-baselines3", "sb3-contrib", "safetensors")


def save_model(
    path: str | os.PathLike[str],
    algorithm: str,
    tensors: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> None:
    """Write a model file; a file of that name is replaced at once or not at all.

    Parameters
    ----------
    path
        File name; missing folders are made.
    algorithm
        Name of the class that reads it, such as "PPO".
    tensors
        Weights by name.
    settings
        Anything that JSON can hold.
    """
    write(path, f"{algorithm} model", tensors, settings)


def load_model(
    path: str | os.PathLike[str], algorithm: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`save_model` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, cut short, of another format version or of another algorithm.
    """
    return read(path, f"{algorithm} model")


def write(
    path: str | os.PathLike[str],
    kind: str,
    arrays: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> None:
    """Write arrays and settings as one file of the given kind, such as "PPO model"."""
    path = Path(path)
    header = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "settings": settings,
        "packages": {package: version(package) for package in _PACKAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process, or a kill half-way, must never meet a half-written file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # safetensors wants C order and no shared memory; np.array keeps 0-d arrays 0-d.
        content = save(
            {name: np.array(array, order="C") for name, array in arrays.items()},
            metadata={_KEY: json.dumps(header)},
        )
        # Not by the library, whose errors do not tell a full disk from others.
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)  # a failing write does not say of what
        raise
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what :func:`write` wrote; the errors are those of :func:`load_model`."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path}: expected a safetensors file, but {_what_else(path)} ({error})"
        ) from None
    if _KEY not in metadata:
        raise ValueError(f"{path}: a safetensors file, but not one of or-envs (no header)")
    try:
        header = json.loads(metadata[_KEY])
        found, holds, settings = header["format_version"], header["kind"], header["settings"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: its header is damaged") from None
    if found != FORMAT_VERSION:
        raise ValueError(f"{path}: has format version {found}, expected {FORMAT_VERSION}")
    if holds != kind:
        raise ValueError(f"{path}: holds a {holds}, expected {kind}")
    return arrays, settings


def _what_else(path: str | os.PathLike[str]) -> str:
    """What a file that is not safetensors seems to be, by its first bytes."""
    with Path(path).open("rb") as file:
        start = file.read(4)
    # Pickles begin with PROTO and its number; torch and SB3 keep theirs in zip files.
    if start == b"PK\x03\x04" or start[:2] in _PICKLES:
        return "it holds a pickle or is a zip that may, which would run code when it is loaded"
    return "it is another kind or cut short"
