"""Gymnasium spaces as JSON."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Describe a space by what JSON can hold.

    Raises
    ------
    ValueError
        If it is not a Box, Discrete, MultiDiscrete, one-dimensional MultiBinary or a Dict of these.
    """
    spaces = gym.spaces
    if isinstance(space, spaces.Dict):
        parts = {key: space_to_json(part) for key, part in space.spaces.items()}
        return {"type": "Dict", "spaces": parts}
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "low": _bound(space.low),
            "high": _bound(space.high),
            "shape": list(space.shape),
            "dtype": str(space.dtype),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist()}
    if isinstance(space, spaces.MultiBinary) and isinstance(space.n, int):
        return {"type": "MultiBinary", "n": space.n}
    raise ValueError(
        f"space: expected Box, Discrete, MultiDiscrete, MultiBinary or Dict, got {space}"
    )


def space_from_json(data: dict[str, Any]) -> gym.Space[Any]:
    """Build the space that :func:`space_to_json` described.

    Raises
    ------
    ValueError
        If the description is of an unknown type.
    """
    spaces = gym.spaces
    kind = data["type"]
    if kind == "Dict":
        return spaces.Dict({key: space_from_json(part) for key, part in data["spaces"].items()})
    if kind == "Box":
        dtype = np.dtype(data["dtype"])
        shape = tuple(data["shape"])
        low, high = (
            np.broadcast_to(np.array(data[bound], dtype), shape).copy() for bound in ("low", "high")
        )
        return spaces.Box(low, high, shape, dtype.type)
    if kind == "Discrete":
        return spaces.Discrete(data["n"], start=data["start"])
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(data["nvec"])
    if kind == "MultiBinary":
        return spaces.MultiBinary(data["n"])
    raise ValueError(f"space: unknown type {kind!r}")


def _bound(values: np.ndarray) -> Any:
    """One number where all bounds are equal, else nested lists."""
    if values.size and (values == values.flat[0]).all():
        return values.flat[0].item()
    return values.tolist()
