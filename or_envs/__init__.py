"""or-envs: operations-research problems, each written once and played through many faces."""

from or_envs.core import (
    Env,
    RulePolicy,
    VectorEnv,
    policy_rule,
    sample,
    simulate,
)
from or_envs.registration import TABLE, make_problem, register, register_all

__version__ = "0.1.0"

__all__ = [
    "TABLE",
    "Env",
    "RulePolicy",
    "VectorEnv",
    "make_problem",
    "policy_rule",
    "register",
    "sample",
    "simulate",
]

register_all()
