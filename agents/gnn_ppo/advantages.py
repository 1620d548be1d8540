"""How much better than expected decisions turned out."""

from __future__ import annotations

import numpy as np


def group_advantages(returns: np.ndarray, size: int) -> np.ndarray:
    """Returns of episodes less the mean of their group.

    Episodes of a group have the same instance and the same luck, so what is left is the policy's.

    Parameters
    ----------
    returns
        (groups x size,), those of a group next to each other.
    size
        Episodes of a group, >= 2.
    """
    grouped = returns.reshape(-1, size)
    advantages: np.ndarray = (grouped - grouped.mean(axis=1, keepdims=True)).reshape(-1)
    return advantages


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    ended: np.ndarray,
    discount: np.ndarray | float,
    gae_lambda: float,
) -> np.ndarray:
    """Generalised advantage estimates (arXiv 1506.02438, eq. 16), (T, B).

    Parameters
    ----------
    rewards
        (T, B).
    values
        Of the states before each step, and of the last ones, (T + 1, B).
    ended
        Whether the step was the last of its episode, bool (T, B).
    discount
        Factor on what follows a step, one for all or (T, B).
    gae_lambda
        Decay of the weights of later steps.
    """
    factors = np.broadcast_to(discount, rewards.shape)
    advantages = np.empty_like(rewards)
    following = np.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        going = ~ended[step]
        factor = factors[step] * going
        surprise = rewards[step] + factor * values[step + 1] - values[step]
        following = surprise + factor * gae_lambda * following
        advantages[step] = following
    return advantages
