"""Reading data that change with the period, for problems with known demand."""

from __future__ import annotations

from typing import Any

from or_envs.core.arrays import Array, gather


def at_period(xp: Any, values: Array, period: Array) -> Array:
    """Values (B | 1, T, ...) of the given periods, (B, ...); after the last, those of the last."""
    last = xp.full_like(period, values.shape[1] - 1)
    return gather(xp, values, xp.where(period < last, period, last))


def from_period(xp: Any, values: Array, period: Array) -> Array:
    """Values (B | 1, T, ...) of this and the coming periods, 0 beyond the last, (B, T, ...)."""
    periods = xp.arange(values.shape[1], dtype=period.dtype, device=period.device)
    index = period[:, None] + periods
    inside = index < values.shape[1]
    found = gather(xp, values, xp.where(inside, index, xp.zeros_like(index)))
    inside = xp.reshape(inside, inside.shape + (1,) * (found.ndim - 2))
    return found * xp.astype(inside, found.dtype)


def one_if_zero(xp: Any, scale: Array) -> Array:
    """Divisors, with 1 in place of 0."""
    return xp.where(scale > 0, scale, xp.ones_like(scale))
