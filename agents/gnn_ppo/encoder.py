"""What the heads of a policy need of an observation, whatever the problem."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

#: A batch of Dict observations.
Seen = dict[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Embeddings of a batch of observations.

    Attributes
    ----------
    candidates
        Of the entities that actions choose, in the order of the actions, (B, n, F).
    context
        Of everything together, (B, C).
    scores
        Of a simple rule, which the policy's own scores are added to, (B, n); ``None`` without one.
    """

    candidates: torch.Tensor
    context: torch.Tensor
    scores: torch.Tensor | None = None


class Encoder(nn.Module):
    """Base of the encoders; weights depend on numbers of features, never on numbers of entities.

    Parameters
    ----------
    width
        F, the width of every embedding.
    """

    #: C, the width of the context.
    context_width: int

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width: expected an integer >= 1, got {width}")
        self.width = width
        self.context_width = 2 * width

    def forward(self, seen: Seen) -> Encoded:
        """Embed a batch of observations."""
        raise NotImplementedError


def pool(embeddings: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Mean and maximum over the entities that are there, (B, 2 F); 0 where none is.

    Means instead of sums: sums grow with the number of entities, and with them what heads see.

    Parameters
    ----------
    embeddings
        (B, n, F), not negative.
    present
        Floats 0 or 1, (B, n, 1).
    """
    there = embeddings * present
    count = present.sum(dim=1).clamp(min=1.0)
    return torch.cat([there.sum(dim=1) / count, there.amax(dim=1)], dim=1)
