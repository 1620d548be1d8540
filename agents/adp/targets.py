"""Targets of a post-decision critic."""

from __future__ import annotations

import numpy as np


def watkins_targets(
    post_rewards: np.ndarray,
    exogenous_rewards: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    explored: np.ndarray,
    post_values: np.ndarray,
    best_values: np.ndarray,
    gamma: float,
    trace_decay: float,
) -> np.ndarray:
    """Return Watkins's Q(lambda) targets on post-decision states.

    G_t = r^w_t + gamma [(1 - l) max_a Q(s_{t+1}, a) + l (r^x_{t+1} + G_{t+1})],

    with Q(s, a) = r^x(s, a) + V^x(f(s, a)), l = lambda where the decision of t + 1 was the best
    one known and 0 where it was exploration (Watkins 1989; Sutton and Barto, Reinforcement
    Learning, 2nd ed., sec. 12.10). What followed an exploring decision says nothing about the
    policy that is to be valued.

    Parameters
    ----------
    post_rewards, exogenous_rewards
        r^x and r^w, (T, B), in the agent's scale.
    terminated, truncated
        Whether the episode ended with step t, bool (T, B). After an end nothing follows; what
        follows a time limit is not known, and the target is V^x itself.
    explored
        Whether the decision of step t was changed at random, bool (T, B).
    post_values
        V^x(s^x_t), (T, B).
    best_values
        max_a Q(s_t, a) for steps 0..T, (T + 1, B).
    gamma
        Discount factor.
    trace_decay
        lambda in [0, 1].

    Returns
    -------
    numpy.ndarray
        G, (T, B).
    """
    steps = len(post_rewards)
    targets = np.empty(post_rewards.shape)
    following = best_values[steps]
    for t in reversed(range(steps)):
        value = exogenous_rewards[t] + gamma * np.where(terminated[t], 0.0, following)
        targets[t] = np.where(truncated[t], post_values[t], value)
        decay = trace_decay * ~explored[t]
        following = (1 - decay) * best_values[t] + decay * (post_rewards[t] + targets[t])
    return targets
