"""Checked access to the fields of an instance file; errors name file, field and value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


class Reader:
    """The fields of one JSON object.

    Parameters
    ----------
    data
        The object.
    source
        What errors call it.

    Raises
    ------
    ValueError
        If it is no object; every method raises it for a missing or wrong field.
    """

    def __init__(self, data: Any, source: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{source}: expected an object, got {data!r:.80}")
        self.data = data
        self.source = source

    @classmethod
    def from_text(cls, text: str, source: str) -> Reader:
        """Parse JSON text."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{source}: not JSON, damaged at line {error.lineno} column {error.colno}:"
                f" {error.msg}"
            ) from None
        return cls(data, source)

    def field(self, name: str) -> Any:
        """Value of a field, whatever it is."""
        if name not in self.data:
            raise ValueError(f"{self.source}: field {name!r} is missing")
        return self.data[name]

    def integer(self, name: str, low: int, high: float = np.inf) -> int:
        """Integer in [low, high]."""
        value = self.field(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            limits = f">= {low}" if high == np.inf else f"in [{low}, {high}]"
            raise ValueError(f"{self.source}: {name}: expected an integer {limits}, got {value!r}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """Number in [low, high]."""
        return float(self.array(name, (), low, high))

    def sequence(self, name: str) -> list[Any]:
        """List with at least one element."""
        value = self.field(name)
        if not isinstance(value, list) or not value:
            raise ValueError(f"{self.source}: {name}: expected a list, got {value!r:.80}")
        return value

    def array(
        self,
        name: str,
        shape: tuple[int, ...],
        low: float = 0,
        high: float = np.inf,
        whole: bool = False,
    ) -> np.ndarray:
        """Finite numbers in [low, high] as float64 of the given shape."""
        field = self.field(name)
        try:
            values = np.array(field, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{self.source}: {name}: expected numbers of shape {shape}") from None
        if values.shape != shape:
            raise ValueError(f"{self.source}: {name}: expected shape {shape}, got {values.shape}")
        bad = ~((values >= low) & (values <= high) & np.isfinite(values))
        if whole:
            bad |= values != np.floor(values)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            kind = "whole numbers" if whole else "numbers"
            raise ValueError(
                f"{self.source}: {name}{list(place) if place else ''}: expected {kind} in"
                f" [{low}, {high}], got {values[place]}"
            )
        return values
