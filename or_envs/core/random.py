"""Random numbers drawn per batch row, so that row b depends on its own generator only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Generators = Sequence[np.random.Generator]


def generators(seed: int, num: int) -> list[np.random.Generator]:
    """Generators of ``num`` batch rows: row i is seeded with ``seed + i``.

    These are the generators that gymnasium gives to single environments reset with those seeds.

    Raises
    ------
    ValueError
        If ``seed`` is negative or ``num`` is not positive.
    """
    if seed < 0:
        raise ValueError(f"seed: expected an integer >= 0, got {seed}")
    if num < 1:
        raise ValueError(f"num: expected an integer >= 1, got {num}")
    return [np.random.Generator(np.random.PCG64(seed + i)) for i in range(num)]


def rows_of_set(rngs: Generators, num: int) -> np.ndarray:
    """Rows (B,) of a fixed set of ``num`` instances: the seed of each generator, modulo ``num``."""
    return np.array([int(rng.bit_generator.seed_seq.entropy) % num for rng in rngs])  # type: ignore[attr-defined]


def uniform(rngs: Generators, shape: tuple[int, ...]) -> np.ndarray:
    """Draw uniforms on [0, 1) of shape ``(len(rngs), *shape)``, row b from ``rngs[b]``."""
    draws = np.empty((len(rngs), *shape))
    for row, rng in zip(draws.reshape(len(rngs), -1), rngs, strict=True):
        rng.random(out=row)
    return draws
