"""Behaviour cloning: the warm start of the policy."""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3.common.utils import update_learning_rate

from agents.common.distributed import add_gradients, processes, share
from agents.gnn_ppo.episodes import Decisions
from agents.gnn_ppo.policy import GNNPolicy


def clone_epoch(
    policy: GNNPolicy,
    decisions: Decisions,
    batch_size: int,
    learning_rate: float,
    max_grad_norm: float,
    rng: np.random.Generator,
) -> float:
    """One pass over the decisions of the demonstrations; returns the mean cross-entropy.

    Parameters
    ----------
    policy
        Descends with its own optimiser.
    decisions
        What to imitate, with targets.
    batch_size
        Decisions of a minibatch.
    learning_rate
        Of this pass.
    max_grad_norm
        The gradient's norm is clipped to this.
    rng
        Shuffles.
    """
    policy.set_training_mode(True)
    update_learning_rate(policy.optimizer, learning_rate)
    assert decisions.targets is not None
    order = rng.permutation(decisions.num)
    total = 0.0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        num = len(rows)
        if num < processes():
            continue  # the last few: too few to share
        mine = share(num, "cpu")
        if mine is not None:
            rows = rows[mine.numpy()]
        seen = {
            name: torch.from_numpy(value[rows]).to(policy.device)
            for name, value in decisions.seen.items()
        }
        allowed = torch.from_numpy(decisions.allowed[rows]).to(policy.device)
        targets = torch.from_numpy(decisions.targets[rows]).to(policy.device)
        log_probs, _ = policy.evaluate(seen, allowed)
        loss = -(targets * log_probs).sum() / num
        policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        add_gradients(policy.parameters())
        torch.nn.utils.clip_grad_norm_(policy.parameters(), max_grad_norm)
        policy.optimizer.step()
        total += loss.item() * num
    return total / decisions.num
