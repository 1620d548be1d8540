"""Factories ``(problem, seed)`` of the rules that need neither."""

from __future__ import annotations

from baselines.lot_sizing.rules import Idle, KeepSetup, StaticAssignment
from or_envs.core import AnyProblem


def idle(problem: AnyProblem, seed: int) -> Idle:
    """Return the rule that never produces."""
    return Idle()


def keep_setup(problem: AnyProblem, seed: int) -> KeepSetup:
    """Return the rule that keeps the first setups."""
    return KeepSetup()


def static(problem: AnyProblem, seed: int) -> StaticAssignment:
    """Return the constant assignment."""
    return StaticAssignment()
