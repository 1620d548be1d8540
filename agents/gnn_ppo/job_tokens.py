"""Encoder of the job shop's observation "jobs": one token a job."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from agents.gnn_ppo.encoder import Encoded, Encoder, Seen, pool
from or_envs.job_shop.observations import JOB_FEATURES

_DONE = JOB_FEATURES.index("done, or no job at all")


class JobTokens(Encoder):
    """Tokens through a shared network, with what they have in common fed back to each.

    Jobs that are done, and those that pad a smaller shop, take part in nothing, so that they change
    nothing; permuting the jobs permutes the candidates.

    Parameters
    ----------
    width
        Width of the embeddings.
    rounds
        How often mean and maximum over the jobs are fed back to every job, >= 1.
    heads
        Heads of a self-attention layer (pre-norm, residual) between the tokens before the last
        round; 0: none.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    def __init__(self, width: int = 64, rounds: int = 2, heads: int = 0) -> None:
        super().__init__(width)
        if rounds < 1:
            raise ValueError(f"rounds: expected an integer >= 1, got {rounds}")
        self.embed = nn.Linear(len(JOB_FEATURES), width)
        self.deepen = nn.Linear(width, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds - 1))
        self.shared = nn.ModuleList(
            nn.Linear(2 * width, width, bias=False) for _ in range(rounds - 1)
        )
        self.attention = Attention(width, heads) if heads else None

    def forward(self, seen: Seen) -> Encoded:
        """Embed a batch of observations."""
        tokens = seen["jobs"]
        present = 1.0 - tokens[..., _DONE : _DONE + 1]
        x = F.relu(self.deepen(F.relu(self.embed(tokens))))
        if self.attention is not None:
            x = F.relu(self.attention(x, present[..., 0] > 0.5))
        for own, shared in zip(self.own, self.shared, strict=True):
            # Linear in the concatenation of the job's own embedding and the common one, whose part
            # is computed once for all jobs.
            x = F.relu(own(x) + shared(pool(x, present))[:, None, :])
        return Encoded(x, pool(x, present))


class Attention(nn.Module):
    """Self-attention with layer norm before and a residual connection around it.

    Parameters
    ----------
    width, heads
        Width of the tokens, a multiple of the number of heads.

    Raises
    ------
    ValueError
        If it is none.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads: expected a divisor of width ({width}), got {heads}")
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (B, n, F) for tokens (B, n, F), of which ``present``, bool (B, n), are there."""
        batch, tokens, width = x.shape
        query, key, value = (
            part.reshape(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.project(self.norm(x)).chunk(3, dim=2)
        )
        # A shop without jobs attends to padding, which nobody reads.
        mask = present | ~present.any(dim=1, keepdim=True)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :].expand(-1, -1, tokens, -1)
        )
        return x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))  # type: ignore[no-any-return]
