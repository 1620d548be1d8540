"""What the network is told about a sub-problem's solution, one loss (B,) each."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def next_step(scores: torch.Tensor, actions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the solution's next step.

    Parameters
    ----------
    scores, actions
        Of all outputs, (B, n), and what they stand for.
    targets
        Actions that are as good as each other, (B, J).
    """
    right = (actions[:, :, None] == targets[:, None, :]).any(dim=2)
    right &= torch.isfinite(scores)
    # Targets are equally likely: log-partition minus their mean score.
    mean = scores.masked_fill(~right, 0.0).sum(dim=1) / right.sum(dim=1)
    return scores.logsumexp(dim=1) - mean


def membership(odds: torch.Tensor, inside: torch.Tensor, open_: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of which tokens the rest of the solution visits, mean over open ones.

    Parameters
    ----------
    odds, inside, open_
        Log-odds, whether it does, and whether it may, (B, n) each.
    """
    wrong = F.binary_cross_entropy_with_logits(odds, inside.float(), reduction="none")
    return (wrong * open_).sum(dim=1) / open_.sum(dim=1).clamp(min=1)


def adjacency(scores: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of what comes before and after each token, mean over those that have it here.

    Parameters
    ----------
    scores
        (B, n, n), rows are tokens.
    places
        Of the tokens on the path, integers (B, n).
    """
    beside = (places[:, :, None] - places[:, None, :]).abs() == 1
    num = beside.sum(dim=2)
    mean = scores.masked_fill(~beside, 0.0).sum(dim=2) / num.clamp(min=1)
    each = (scores.logsumexp(dim=2) - mean) * (num > 0)
    return each.sum(dim=1) / (num > 0).sum(dim=1).clamp(min=1)
