"""Data of an instance given by hand, checked: the values of ``reset(options=...)``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from or_envs.core.arrays import Arrays

InstanceT = TypeVar("InstanceT", bound=Arrays)


def force(instance: InstanceT, options: Mapping[str, Any]) -> InstanceT:
    """Replace the fields of an instance that ``options`` names.

    Raises
    ------
    ValueError
        If a value has another shape than the field (with or without batch axis), or is not finite.
    """
    changes = {}
    for key in instance.names():
        if key not in options:
            continue
        value = np.asarray(options[key], dtype=np.float64)
        shape = getattr(instance, key).shape
        if value.shape not in (shape, shape[1:]):
            raise ValueError(
                f"options: {key!r} must have shape {shape[1:]} or {shape}, got {value.shape}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"options: {key!r} must be finite numbers")
        changes[key] = np.broadcast_to(value, shape).copy()
    return dataclasses.replace(instance, **changes)  # type: ignore[type-var]


def require(holds: np.ndarray, field: str, allowed: str, values: np.ndarray) -> None:
    """Refuse data where ``holds`` is false, and name the first wrong value.

    Raises
    ------
    ValueError
        If any of ``holds`` is false.
    """
    if not holds.all():
        place = tuple(int(i) for i in np.argwhere(~holds)[0])
        raise ValueError(f"{field}: expected {allowed}, got {values[place]} at {place}")
