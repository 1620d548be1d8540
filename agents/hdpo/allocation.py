"""Output layers that turn scores of edges into orders that the suppliers can fill."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from agents.hdpo.view import NetworkView

#: softplus(x + this) is 1 at x = 0.
UNIT = 0.5413248546129181


def positive(scores: torch.Tensor) -> torch.Tensor:
    """softplus, shifted so that a score of 0 gives 1."""
    return F.softplus(scores + UNIT)


def orders_outside(view: NetworkView, scores: torch.Tensor) -> torch.Tensor:
    """Orders (B, E) at mean demand where the score is 0; only suppliers outside can fill all."""
    return view.flow * positive(scores)


def softmax_shares(
    view: NetworkView, scores: torch.Tensor, on_hand: torch.Tensor, keep: float = 1.0
) -> torch.Tensor:
    """Orders (B, E) that are shares of the suppliers' stock; 0 where the supplier is outside.

    A supplier's edges compete by their scores with the constant score ``keep`` of what stays. Where
    it may keep nothing (``must_empty``) they compete with each other only.

    Parameters
    ----------
    scores
        (B, E).
    on_hand
        Units at the nodes, (B, N).
    """
    weights = torch.exp(scores.clamp(-30.0, 30.0))
    total = weights @ view.supplier.T
    if not view.must_empty:
        total = total + torch.exp(torch.tensor(keep)).item()
    stock = on_hand.clamp(min=0.0)
    # Nodes that supply nobody have no edges; their total may be 0.
    share = stock / torch.where(total > 0, total, torch.ones_like(total))
    return weights * (share @ view.supplier)


def proportional(
    view: NetworkView,
    wanted: torch.Tensor,
    on_hand: torch.Tensor,
    kept: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scale wishes (B, E) down where a supplier has less; the network's own rule does the same.

    Parameters
    ----------
    kept
        What every node wants to keep, (B, N); scarcity is shared with it.
    """
    total = wanted @ view.supplier.T
    if kept is not None:
        total = total + kept
    stock = on_hand.clamp(min=0.0)
    scarce = total > stock
    if view.must_empty:
        scarce = total > 0
    ratio = torch.where(scarce, stock / torch.where(scarce, total, torch.ones_like(total)), 1.0)
    return wanted * (ratio @ view.supplier + view.outside)
