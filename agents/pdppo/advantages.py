"""Advantages from two critics, one before and one after the effect of the decision.

Notation: in period t the decision leads from state s to the post-decision state s^x with reward
r^x ("post reward", known in advance), the outcome from there to s' with reward r^w ("exogenous
reward"). All arrays have shape (T, B): T steps of B environments; rewards in the agent's scale.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def partial_returns(
    post_rewards: np.ndarray,
    exogenous_rewards: np.ndarray,
    dones: np.ndarray,
    values: np.ndarray,
    post_values: np.ndarray,
    gamma: float,
    combine: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Advantage of PDPPO as published (arXiv 2504.05150), with what "reward" means in its code.

    R_t = sum_k gamma^k r^w_{t+k},  R^x_t = sum_k gamma^k r^x_{t+k},
    A_t = combine(R_t - V(s_t), R^x_t - V^x(s^x_t)).

    Each critic estimates the return of one part of the reward. Returns are Monte-Carlo and end at
    ``dones`` (time limits included) and at the end of the buffer, without bootstrapping: the
    return of the decisions has no value at s_T, where the next decision is not taken yet.

    Parameters
    ----------
    post_rewards, exogenous_rewards
        r^x and r^w, (T, B).
    dones
        Whether the episode ended with step t, bool (T, B).
    values, post_values
        V(s_t) and V^x(s^x_t), (T, B).
    gamma
        Discount factor.
    combine
        ``np.maximum`` is what was published. It is biased: of two independent errors of deviation
        sigma it makes 0.564 sigma. ``np.add`` keeps both parts of the reward.

    Returns
    -------
    tuple
        Advantages A, returns R (target of V) and post-decision returns R^x (target of V^x).
    """
    returns = _discounted(exogenous_rewards, dones, gamma)
    post_returns = _discounted(post_rewards, dones, gamma)
    advantages = combine(returns - values, post_returns - post_values)
    return advantages, returns, post_returns


def minimum_value(
    post_rewards: np.ndarray,
    exogenous_rewards: np.ndarray,
    dones: np.ndarray,
    values: np.ndarray,
    post_values: np.ndarray,
    gamma: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Advantage of the older published code: the return minus the smaller of two critics.

    G_t = sum_k gamma^k (r^x + r^w)_{t+k},  A_t = G_t - min(V(s_t), V^x(s^x_t)).

    Both critics estimate the return of the whole reward; what is regressed on G is their minimum,
    so that in every state only the smaller of the two learns. A_t is also the larger of the two
    critics' advantages, and as biased as a maximum is.

    Parameters
    ----------
    post_rewards, exogenous_rewards, dones, values, post_values, gamma
        As in :func:`partial_returns`.

    Returns
    -------
    tuple
        Advantages A and twice the returns G (target of the minimum).
    """
    returns = _discounted(post_rewards + exogenous_rewards, dones, gamma)
    return returns - np.minimum(values, post_values), returns, returns


def temporal_difference(
    post_rewards: np.ndarray,
    exogenous_rewards: np.ndarray,
    dones: np.ndarray,
    values: np.ndarray,
    post_values: np.ndarray,
    last_values: np.ndarray,
    gamma: float,
    lambda_decision: float,
    lambda_outcome: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised advantage estimation over the half-steps s -> s^x -> s'.

    delta^x_t = r^x_t + V^x(s^x_t) - V(s_t)                                    (decision)
    delta^w_t = r^w_t + gamma V(s_{t+1}) - V^x(s^x_t)                          (outcome)
    A_t       = delta^x_t + lambda_1 (delta^w_t + gamma lambda_2 A_{t+1})

    V^x is the classical post-decision value E[r^w + gamma V(s') | s^x] (Powell, Approximate
    Dynamic Programming, ch. 4). lambda_1 = 0 takes the noise of the period's own outcome out of the
    advantage; lambda_1 = lambda_2 = 1 gives the Monte-Carlo advantage, whatever V^x is.

    Parameters
    ----------
    post_rewards, exogenous_rewards
        r^x and r^w, (T, B); at a time limit gamma V(s_T) is already added to r^w.
    dones
        Whether the episode ended with step t, bool (T, B).
    values, post_values
        V(s_t) and V^x(s^x_t), (T, B).
    last_values
        V of the states after the last step, (B,).
    gamma
        Discount factor.
    lambda_decision, lambda_outcome
        lambda_1 and lambda_2 in [0, 1].

    Returns
    -------
    tuple
        Advantages A, returns A + V (target of V) and post-decision returns (target of V^x).
    """
    advantages = np.empty_like(values)
    post_returns = np.empty_like(post_values)
    next_values, next_advantages = last_values, np.zeros_like(last_values)
    for t in reversed(range(len(values))):
        going_on = 1.0 - dones[t].astype(values.dtype)
        decision = post_rewards[t] + post_values[t] - values[t]
        outcome = exogenous_rewards[t] + gamma * going_on * next_values - post_values[t]
        later = outcome + gamma * lambda_outcome * going_on * next_advantages
        advantages[t] = decision + lambda_decision * later
        post_returns[t] = later + post_values[t]
        next_values, next_advantages = values[t], advantages[t]
    return advantages, advantages + values, post_returns


def _discounted(rewards: np.ndarray, dones: np.ndarray, gamma: float) -> np.ndarray:
    """Discounted sums of later rewards within the episode and the buffer."""
    returns = np.empty_like(rewards)
    later = np.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        later = rewards[t] + gamma * np.where(dones[t], 0.0, later)
        returns[t] = later
    return returns
