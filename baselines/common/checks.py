"""Checks of what a baseline is given."""

from __future__ import annotations

from typing import TypeVar

P = TypeVar("P")


def check_problem(problem: object, *kinds: type[P]) -> P:
    """Refuse a problem of another class; returns the problem.

    Raises
    ------
    ValueError
        If ``problem`` is an instance of none of ``kinds``.
    """
    if not isinstance(problem, kinds):
        *rest, last = (kind.__name__ for kind in kinds)
        expected = f"{', '.join(rest)} or {last}" if rest else last
        raise ValueError(f"problem: expected {expected}, got {type(problem).__name__}")
    return problem


def check_at_least(least: int, **values: int) -> None:
    """Refuse integers that are too small.

    Raises
    ------
    ValueError
        With the name of the first value less than ``least``.
    """
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name}: expected an integer >= {least}, got {value}")
