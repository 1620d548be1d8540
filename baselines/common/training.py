"""Episodes on which baselines are tuned, apart from those on which they are judged."""

from __future__ import annotations

from typing import Any

from or_envs.core import AnyProblem, sample

#: Episodes with seeds from here on are for tuning; evaluation stays below.
FIRST_TRAINING_SEED = 1_000_000_000

#: Seeds set aside for each value of ``seed``.
_BLOCK = 1_000_000


def training_episodes(problem: AnyProblem, seed: int, num: int) -> tuple[Any, Any]:
    """Draw ``num`` instances and traces with seeds that no evaluation uses.

    Different values of ``seed`` give disjoint sets of episodes.

    Raises
    ------
    ValueError
        If ``num`` is not in 1..10^6.
    """
    if not 1 <= num <= _BLOCK:
        raise ValueError(f"num: expected an integer in 1..{_BLOCK}, got {num!r}")
    return sample(problem, FIRST_TRAINING_SEED + seed * _BLOCK, num)
