"""Encoder and decoder of the fleet's observation "relational" (CapTAIN, arXiv 2401.04851).

Two graphs, vertiports and aircraft, pass through graph capsule convolutions, and transformer layers
read the forecast of every vertiport; a pointer with one glimpse scores the destinations. No weight
depends on the numbers of vertiports and aircraft.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from agents.gnn_ppo.encoder import Encoded, Encoder, Seen
from agents.gnn_ppo.graph_capsule import DenseCapsule, Normalization
from or_envs.uam_fleet.observations import (
    AHEAD,
    AIRCRAFT_FEATURES,
    CONTEXT_FEATURES,
    GROUND,
    PROFIT,
    SERIES_FEATURES,
    VERTIPORT_FEATURES,
)

#: The linear rule that scores start as, in money: the profit of a leg, less 1 for every minute and
#: every aircraft that is there or on its way, plus 0.3 of the profit of the leg after it.
_RULE = {
    "profit": PROFIT,
    "minutes": -60.0,
    "next profit": 0.3 * PROFIT,
    "aircraft on the ground": -GROUND,
    "aircraft under way": -GROUND,
}
_DECIDER = AIRCRAFT_FEATURES.index("decider")
#: Bins of the forecast in one token.
PATCH = 3


class FleetGraph(Encoder):
    """Embeds vertiports, aircraft and forecasts.

    The aircraft at a vertiport, or on their way to it, are known by its coordinates; the sum of
    their embeddings is among the features of the vertiport. The scores that the policy's are added
    to are linear in the features of a leg. They start as those of a greedy rule, and so does the
    policy, whose own scores start at 0.

    Parameters
    ----------
    width
        Width of the embeddings.
    moments, powers, normalization
        Of :class:`agents.gnn_ppo.graph_capsule.Capsules`; published are 3 moments and 2 powers of
        width 128.
    series_width
        Width of the tokens of the forecast.
    series_layers
        Transformer layers over the forecast, >= 0.
    sharpness
        Scores per unit of money of that rule, >= 0; with 0 all legs start alike.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    def __init__(
        self,
        width: int = 32,
        moments: int = 1,
        powers: int = 1,
        normalization: Normalization = "rw",
        series_width: int = 16,
        series_layers: int = 1,
        sharpness: float = 0.1,
    ) -> None:
        super().__init__(width)
        if not sharpness >= 0:
            raise ValueError(f"sharpness: expected a number >= 0, got {sharpness}")
        self.context_width = 3 * width + len(CONTEXT_FEATURES)
        self.series = SeriesEncoder(series_width, width, series_layers)
        capsule = (moments, powers, normalization)
        self.of_aircraft = DenseCapsule(len(AIRCRAFT_FEATURES), width, *capsule)
        features = len(VERTIPORT_FEATURES) + 2 * width
        self.of_vertiports = DenseCapsule(features, width, *capsule)
        self.rule = nn.Linear(len(VERTIPORT_FEATURES), 1, bias=False)
        nn.init.zeros_(self.rule.weight)
        with torch.no_grad():
            for name, factor in _RULE.items():
                self.rule.weight[0, VERTIPORT_FEATURES.index(name)] = sharpness * factor

    def forward(self, seen: Seen) -> Encoded:
        """Embed a batch of observations."""
        vertiports, aircraft = seen["vertiports"], seen["aircraft"]
        place = vertiports[..., :2]
        fleet = self.of_aircraft(aircraft)
        there = (aircraft[:, None, :, :2] - place[:, :, None]).abs().amax(dim=3) < 1e-5
        present = there.to(fleet.dtype) @ fleet / GROUND
        features = torch.cat([vertiports, self.series(seen["series"]), present], dim=2)
        nodes = self.of_vertiports(features, closeness(place))
        decider = (aircraft[..., _DECIDER : _DECIDER + 1] * fleet).sum(dim=1)
        context = torch.cat([nodes.mean(dim=1), decider, fleet.mean(dim=1), seen["context"]], dim=1)
        return Encoded(nodes, context, self.rule(vertiports)[..., 0])


def closeness(place: torch.Tensor) -> torch.Tensor:
    """Weights (B, n, n) of edges between places (B, n, 2): 1 / (1 + distance), no loops."""
    # Not cdist, which is inexact in single precision for places next to each other.
    distance = (place[:, :, None] - place[:, None]).square().sum(dim=3).sqrt()
    loops = torch.eye(place.shape[1], device=place.device)
    return (1 - loops) / (1 + distance)


class SeriesEncoder(nn.Module):
    """Embeds what is expected of a vertiport in the next bins: transformer layers over time.

    A token holds :data:`PATCH` bins next to each other, which is a tenth of the work of a token per
    bin.

    Parameters
    ----------
    tokens
        Width of the tokens, a multiple of 4.
    width
        Width of the embedding.
    layers
        Layers, >= 0.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    def __init__(self, tokens: int, width: int, layers: int) -> None:
        super().__init__()
        if tokens < 4 or tokens % 4:
            raise ValueError(f"series_width: expected a positive multiple of 4, got {tokens}")
        if layers < 0:
            raise ValueError(f"series_layers: expected an integer >= 0, got {layers}")
        patches = AHEAD // PATCH
        self.embed = nn.Linear(PATCH * len(SERIES_FEATURES), tokens)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                tokens, 4, 2 * tokens, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        # All tokens side by side, not their mean: when demand comes is what matters.
        self.out = nn.Linear(patches * tokens, width)
        time = torch.arange(patches)[:, None] / 100 ** (torch.arange(0, tokens, 2) / tokens)
        position = torch.stack([time.sin(), time.cos()], dim=2).reshape(patches, tokens)
        self.register_buffer("position", position, persistent=False)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Return embeddings (B, N, width) of series (B, bins, N, features)."""
        batch, bins, vertiports, features = series.shape
        patches = series.transpose(1, 2).reshape(-1, bins // PATCH, PATCH * features)
        x = self.embed(patches) + self.position
        for layer in self.layers:
            x = layer(x)
        return torch.tanh(self.out(x.reshape(batch, vertiports, -1)))


class Pointer(nn.Module):
    """Scores nodes by attention with one glimpse (Kool et al., arXiv 1803.08475, section 3.2).

    Parameters
    ----------
    width
        Width of the nodes, a multiple of ``heads``.
    context
        Width of the context.
    heads
        Of the glimpse.

    Raises
    ------
    ValueError
        If ``heads`` is no divisor of the width.
    """

    def __init__(self, width: int, context: int, heads: int = 4) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads: expected a divisor of width ({width}), got {heads}")
        self.heads = heads
        self.query = nn.Linear(context, width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        # Scores start at 0.
        with torch.no_grad():
            self.project.weight[2 * width :] = 0.0

    def forward(self, nodes: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return scores (B, n) of nodes (B, n, width)."""
        batch, _, width = nodes.shape
        key, value, answer = self.project(nodes).chunk(3, dim=2)
        query = self.query(context)[:, None]
        heads = (
            part.reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (query, key, value)
        )
        seen = F.scaled_dot_product_attention(*heads)
        glimpse = self.out(seen.transpose(1, 2).reshape(batch, 1, width)) + query
        return (answer @ glimpse.transpose(1, 2))[..., 0] / width**0.5  # type: ignore[no-any-return]
