"""The contract and its faces: Problem, Env, VectorEnv, simulate."""

from or_envs.core.arrays import Arrays, concatenate, gather
from or_envs.core.batch import Batch
from or_envs.core.env import Env
from or_envs.core.problem import AnyProblem, Problem
from or_envs.core.random import Generators, generators, uniform
from or_envs.core.rendering import Episode
from or_envs.core.simulation import (
    Policy,
    Rollout,
    Rule,
    RulePolicy,
    policy_rule,
    sample,
    simulate,
)
from or_envs.core.vector_env import VectorEnv

__all__ = [
    "AnyProblem",
    "Arrays",
    "Batch",
    "Env",
    "Episode",
    "Generators",
    "Policy",
    "Problem",
    "Rollout",
    "Rule",
    "RulePolicy",
    "VectorEnv",
    "concatenate",
    "gather",
    "generators",
    "policy_rule",
    "sample",
    "simulate",
    "uniform",
]
