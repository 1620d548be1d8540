"""Graph capsule convolution: polynomial graph filters of several moments of the features.

With node features X of n nodes, a Laplacian L, moments p = 1..P and powers k = 0..K (CapAM,
doi 10.1109/ICRA46639.2022.9812370)::

    F_0 = X W_in,    f_p = act(concat_k L^k F_0^p  W_p),    F = F_0 + concat_p f_p  W

where F_0^p is a power element by element. The same weights serve two forms: :class:`DenseCapsule`
for batches of graphs with equally many nodes, and for graphs as lists of edges
:class:`agents.gnn_ppo.graph_capsule_conv.GraphCapsuleConv`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn

#: "rw": I - D^-1 A, and "sym": I - D^-1/2 A D^-1/2, whose powers stay bounded. "published": D - A
#: with the row sums less 1 as D, as in the published code; there the moments are those of F_0
#: itself, and nothing is normalised.
Normalization = Literal["rw", "sym", "published"]

#: Applies a Laplacian to features (..., n, F).
Laplacian = Callable[[torch.Tensor], torch.Tensor]


class Capsules(nn.Module):
    """The layer for any Laplacian that is given as a function.

    Where the Laplacian is normalised, features are squashed by tanh before their powers are taken,
    because cubes of large numbers explode, and layer normalisation ends the layer: minibatches of
    PPO mix times of day, which batch normalisation would confuse.

    Parameters
    ----------
    inputs, outputs
        Widths.
    moments, powers
        P >= 1 and K >= 0.
    normalization
        See :data:`Normalization`.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        moments: int = 3,
        powers: int = 2,
        normalization: Normalization = "rw",
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("inputs", inputs, 1),
            ("outputs", outputs, 1),
            ("moments", moments, 1),
            ("powers", powers, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: expected an integer >= {least}, got {value}")
        if normalization not in get_args(Normalization):
            raise ValueError(
                f"normalization: expected one of {', '.join(get_args(Normalization))},"
                f" got {normalization!r}"
            )
        self.powers = powers
        self.normalization: Normalization = normalization
        self.embed = nn.Linear(inputs, outputs)
        self.filters = nn.ModuleList(
            nn.Linear((powers + 1) * outputs, outputs) for _ in range(moments)
        )
        self.merge = nn.Linear(moments * outputs, outputs)
        bounded = normalization != "published"
        self.squash = nn.Tanh() if bounded else nn.Identity()
        self.norm = nn.LayerNorm(outputs) if bounded else nn.Identity()

    def convolve(self, x: torch.Tensor, laplacian: Laplacian) -> torch.Tensor:
        """Return new features (..., n, outputs) of features (..., n, inputs)."""
        first = self.embed(x)
        base = self.squash(first)
        moment = base
        found = []
        for number, weights in enumerate(self.filters):
            if number:
                moment = moment * base
            terms = [moment]
            for _ in range(self.powers):
                terms.append(laplacian(terms[-1]))
            found.append(torch.tanh(weights(torch.cat(terms, dim=-1))))
        return self.norm(first + self.merge(torch.cat(found, dim=-1)))  # type: ignore[no-any-return]


class DenseCapsule(Capsules):
    """Graph capsule convolution of graphs with equally many nodes."""

    def forward(self, x: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return new features (B, n, outputs).

        Parameters
        ----------
        x
            Features (B, n, inputs).
        weights
            Symmetric weights of edges without loops, (B, n, n); ``None``: all pairs have weight 1,
            which takes n steps instead of n^2.
        """
        if weights is None:
            return self.convolve(x, complete_laplacian(x.shape[-2], self.normalization))
        matrix = laplacian_matrix(weights, self.normalization)
        return self.convolve(x, lambda features: matrix @ features)


def laplacian_matrix(weights: torch.Tensor, normalization: Normalization) -> torch.Tensor:
    """Laplacians (B, n, n) of symmetric weights (B, n, n) without loops; 0 rows of lone nodes."""
    degree = weights.sum(dim=-1)
    if normalization == "published":
        return torch.diag_embed(degree - 1.0) - weights
    inverse = torch.where(degree > 0, 1 / degree.clamp(min=1e-12), 0.0)
    own = torch.diag_embed((degree > 0).to(weights.dtype))
    if normalization == "rw":
        return own - inverse[..., :, None] * weights
    root = inverse.sqrt()
    return own - root[..., :, None] * weights * root[..., None, :]


def complete_laplacian(num: int, normalization: Normalization) -> Laplacian:
    """Laplacian of the complete graph of ``num`` nodes with weights 1, in as many steps."""

    def apply(features: torch.Tensor) -> torch.Tensor:
        total = features.sum(dim=-2, keepdim=True)
        if normalization == "published":
            return (num - 1) * features - total  # degree - 1 = num - 2, and A x = total - x
        return (num * features - total) / max(num - 1, 1)

    return apply
