"""Factories ``(problem, seed)`` of the rules, which need neither."""

from __future__ import annotations

from baselines.uncapacitated_lot_sizing import rules
from or_envs.core import AnyProblem, Rule


def lot_for_lot(problem: AnyProblem, seed: int) -> Rule:
    """Return the lot-for-lot rule."""
    return rules.lot_for_lot


def silver_meal(problem: AnyProblem, seed: int) -> Rule:
    """Return the rule of Silver and Meal."""
    return rules.silver_meal


def part_period_balancing(problem: AnyProblem, seed: int) -> Rule:
    """Return the part-period balancing rule."""
    return rules.part_period_balancing
