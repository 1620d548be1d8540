"""Face three: batched roll-outs of a rule or of given actions, differentiable on torch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from or_envs.core.actions import ActionChecker
from or_envs.core.arrays import Array
from or_envs.core.batch import cast
from or_envs.core.problem import AnyProblem, Problem
from or_envs.core.random import generators

#: A decision rule: (instance, state) -> action batch. It never sees the exogenous trace.
Rule = Callable[[Any, Any], Array]


class Policy(Protocol):
    """Anything with Stable-Baselines3's ``predict``."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Return actions and the next hidden state for a batch of observations."""


@dataclasses.dataclass(frozen=True)
class Rollout:
    """Result of :func:`simulate`; B episodes of at most T steps.

    Attributes
    ----------
    total_reward
        Undiscounted sum of rewards, (B,).
    rewards
        Reward of every step, (B, T); 0 after the end of an episode.
    actions
        Actions played, (B, T, ...).
    num_steps
        Steps until the end, integers (B,).
    state
        Last states.
    """

    total_reward: Array
    rewards: Array
    actions: Array
    num_steps: Array
    state: Any


def simulate(
    problem: AnyProblem,
    decide: Rule | Array,
    instance: Any,
    exogenous: Any = None,
    *,
    check: bool = True,
) -> Rollout:
    """Play whole episodes of a batch, on numpy or torch, and return every reward.

    Parameters
    ----------
    problem
        The problem.
    decide
        A rule ``(instance, state) -> action``, or the actions of all steps, (B, T, ...).
    instance, exogenous
        Instances and traces, numpy or torch. Gradients flow from the rewards to any torch leaf.
    check
        Refuse illegal actions (numpy only). Torch roll-outs are not checked.

    Raises
    ------
    gymnasium.error.InvalidAction
        If an action is outside the space or masked.
    ValueError
        If the problem is stochastic and ``exogenous`` is missing, or given actions run out.
    """
    from array_api_compat import array_namespace
    from gymnasium.error import InvalidAction

    given = None if callable(decide) else decide
    leaves = [leaf for leaf in instance.leaves() if leaf.shape[0] == instance.num]
    xp = array_namespace(*leaves)
    on_numpy = isinstance(leaves[0], np.ndarray)
    if on_numpy:
        problem = problem.compiled()
    checker = ActionChecker(problem) if check and on_numpy else None
    by_time = type(problem).exogenous_at is Problem.exogenous_at
    num = instance.num
    device = leaves[0].device
    state = problem.initial(instance)
    running = xp.ones(num, dtype=xp.bool, device=device)
    lengths = xp.zeros(num, dtype=xp.int64, device=device)
    rewards, actions = [], []
    for step in range(problem.max_steps):
        if given is None:
            action = decide(instance, state)  # type: ignore[operator]
        elif step < given.shape[1]:
            action = given[:, step, ...]
        elif not xp.any(running):
            break
        else:
            raise ValueError(f"actions: {given.shape[1]} steps given, but episodes go on")
        if checker is not None:
            action = checker.in_space(action, num)
            illegal = checker.masked(problem.action_mask(instance, state), action)
            if illegal is not None and (illegal & running).any():
                row = int((illegal & running).argmax())
                why = problem.explain_invalid(action[row])
                raise InvalidAction(f"step {step}, episode {row}: {why}")
        post_state, decision_reward = problem.post_decision(instance, state, action)
        now = None
        if exogenous is not None:
            if by_time:  # all rows are in the same step: a slice is enough
                now = exogenous.map(lambda x, step=step: x[:, step, ...])
            else:
                at = xp.full(num, step, dtype=xp.int64, device=device)
                now = problem.exogenous_at(exogenous, at)
        state, outcome_reward, terminal = problem.transition(instance, post_state, now)
        reward = decision_reward + outcome_reward
        rewards.append(xp.where(running, reward, xp.zeros_like(reward)))
        actions.append(action)
        lengths = lengths + xp.astype(running, xp.int64)
        running = running & ~terminal
        # Asking a GPU at every step would make it wait; there all steps are played.
        if on_numpy and not running.any():
            break
    stacked = xp.stack(rewards, axis=1)
    return Rollout(xp.sum(stacked, axis=1), stacked, xp.stack(actions, axis=1), lengths, state)


def sample(problem: AnyProblem, seed: int, num: int) -> tuple[Any, Any]:
    """Draw the ``num`` instances and traces that environments reset with seed, seed + 1, ... get.

    Returns
    -------
    tuple
        Instances and exogenous traces (``None`` for a deterministic problem).
    """
    rngs = generators(seed, num)
    instance = problem.sample_instances(rngs)
    return instance, problem.sample_exogenous(instance, rngs)


def policy_rule(problem: AnyProblem, policy: Policy, deterministic: bool = True) -> Rule:
    """Turn a policy into a rule: it is shown observations and, if it takes them, masks.

    Policies whose ``predict`` has a parameter ``action_masks`` (sb3-contrib) are given the masks.
    A policy with a method ``decision_rule(problem, deterministic)``, one that needs more of the
    problem than observations, is asked for its rule.
    """
    if hasattr(policy, "decision_rule"):
        rule: Rule = policy.decision_rule(problem, deterministic)
        return rule
    problem = problem.compiled()
    masks = "action_masks" in inspect.signature(policy.predict).parameters
    columns = int(ActionChecker(problem).sizes.sum())

    def shown(instance: Any, state: Any) -> np.ndarray:
        seen = cast(problem.observation_space, problem.observation(instance, state))
        extra: dict[str, Any] = {}
        if masks and (mask := problem.action_mask(instance, state)) is not None:
            extra["action_masks"] = np.broadcast_to(mask, (state.num, columns)).copy()
        action, _ = policy.predict(seen, deterministic=deterministic, **extra)
        return np.asarray(action)

    return shown


class RulePolicy:
    """A rule with Stable-Baselines3's ``predict``, for the environment that it is bound to.

    The rule reads instance and state of the environment, which hold nothing of the future.

    Parameters
    ----------
    rule
        ``(instance, state) -> action batch``.
    env
        A single environment (wrapped or not) or a vector environment of this package.
    """

    def __init__(self, rule: Rule, env: Any) -> None:
        self.rule = rule
        self.env = env.unwrapped

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Return the rule's actions in the current states of the environment."""
        actions = np.asarray(self.rule(self.env.instance, self.env.state))
        return (actions if hasattr(self.env, "num_envs") else actions[0]), state
