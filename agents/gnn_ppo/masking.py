"""Categorical distributions over the allowed actions."""

from __future__ import annotations

import torch

#: Score of actions that are not allowed: their probability is exactly 0 in single precision, and
#: p log p stays 0 where minus infinity would make it undefined.
ILLEGAL = -1e9


def log_probabilities(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Log-softmax over the allowed actions only, (B, A) each."""
    return scores.float().masked_fill(~allowed, ILLEGAL).log_softmax(dim=1)


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """Entropy (B,) in nats."""
    return -(log_probs.exp() * log_probs).sum(dim=1)


def choose(log_probs: torch.Tensor, temperature: torch.Tensor | float) -> torch.Tensor:
    """The likeliest action of every row, or a draw, (B,).

    Draws are the argmax of log-probabilities plus Gumbel noise, from torch's global generator;
    with noise times T they come from the probabilities to the power of 1 / T.

    Parameters
    ----------
    log_probs
        (B, A).
    temperature
        T >= 0 of all rows, or (B,). 0: the likeliest one; 1: as the policy says; more: bolder.
    """
    if not isinstance(temperature, torch.Tensor):
        if temperature == 0:
            return log_probs.argmax(dim=1)
        temperature = torch.full_like(log_probs[:, 0], temperature)
    noise = -torch.empty_like(log_probs).exponential_().log()
    return (log_probs + temperature[:, None] * noise).argmax(dim=1)
