"""Factories ``(problem, seed)`` of the rules, which need neither."""

from __future__ import annotations

from baselines.capacitated_lot_sizing import rules
from or_envs.core import AnyProblem


def lot_for_lot(problem: AnyProblem, seed: int) -> rules.LotRule:
    """Return the lot-for-lot rule."""
    return rules.LotRule(rules.one_period)


def period_order_quantity(problem: AnyProblem, seed: int) -> rules.LotRule:
    """Return the period-order-quantity rule."""
    return rules.LotRule(rules.period_order_quantity)


def silver_meal(problem: AnyProblem, seed: int) -> rules.LotRule:
    """Return the rule of Silver and Meal."""
    return rules.LotRule(rules.silver_meal)
