"""Newsvendor policies on forecasts: order up to a quantile of demand until the order arrives."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from agents.hdpo.policies import NetworkPolicy, mlp

Kind = Literal["newsvendor", "fixed", "transformed"]

#: Probabilities of the forecast quantiles.
LEVELS = tuple(0.05 * k for k in range(1, 20))


class QuantilePolicy(NetworkPolicy):
    """Stores with outside suppliers order up to a forecast quantile of demand over L + 1 periods.

    A perceptron forecasts quantiles of cumulative demand from the demand history and the calendar.
    It is trained by the same gradient as everything else; no quantile crosses another, for each is
    the one below plus something positive. Which quantile is ordered up to:

    - "newsvendor": p / (p + h), p the price or shortage cost (the published quantile_nv);
    - "fixed": one trained number (fixed_quantile);
    - "transformed": a trained function of p / (p + h) (transformed_nv).
    """

    def build(
        self,
        kind: Kind = "newsvendor",
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ELU,
    ) -> None:
        """Make the forecaster and, for "transformed", the map of quantiles."""
        if kind not in ("newsvendor", "fixed", "transformed"):
            raise ValueError(f"kind: expected 'newsvendor', 'fixed' or 'transformed', got {kind!r}")
        view = self.view
        if view.internal or view.num_edges != view.num_stores or "history" not in view.layout:
            raise ValueError(
                "env: quantile policies need stores with one outside supplier each, and a history"
                " of demand"
            )
        self.kind: Kind = kind
        history = view.layout["history"][0]
        inputs = history + view.layout.get("calendar", (0,))[0] + 1
        hidden = [128, 128] if net_arch is None else list(net_arch)
        self.forecaster = mlp(inputs, hidden, len(LEVELS), activation_fn)
        self.fixed = nn.Parameter(torch.zeros(()))
        self.transform = mlp(1, [32, 32], 1, activation_fn)
        self.register_buffer("levels", torch.tensor(LEVELS), persistent=False)

    levels: torch.Tensor

    def forecast(self, observation: torch.Tensor) -> torch.Tensor:
        """Quantiles of demand until an order of now has arrived and a period more, (B, n, 19)."""
        view = self.view
        parts = view.parts(observation)
        history = parts["history"].transpose(1, 2)
        # Relative to the recent mean, so that slow and fast sellers share the weights.
        mean = history.mean(dim=2, keepdim=True) + 1e-3
        lead_time = view.data(parts, "lead_time").expand(len(observation), -1)[:, :, None]
        columns = [history / mean, lead_time / 10]
        if "calendar" in parts:
            columns.append(parts["calendar"][:, None].expand(-1, view.num_stores, -1))
        steps = self.forecaster(torch.cat(columns, dim=2))
        scale = mean * (lead_time + 1) * view.scale
        first = F.softplus(steps[:, :, :1])
        rest = first + torch.cumsum(F.softplus(steps[:, :, 1:] - 2.0), dim=2) / len(LEVELS) * 4
        return scale * torch.cat([first, rest], dim=2)

    def probability(self, parts: dict[str, torch.Tensor], num: int) -> torch.Tensor:
        """Which quantile every store orders up to, (B, n)."""
        view = self.view
        gain = view.data(parts, "shortage_cost") + view.data(parts, "price")
        holding = view.data(parts, "holding_cost")[:, view.first_store :]
        ratio = (gain / (gain + holding)).expand(num, -1)
        if self.kind == "newsvendor":
            return ratio
        if self.kind == "fixed":
            return torch.sigmoid(self.fixed + 2.0).expand_as(ratio)
        return torch.sigmoid(self.transform(ratio[:, :, None])[:, :, 0] + torch.logit(ratio))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        view = self.view
        parts = view.parts(observation)
        quantiles = self.forecast(observation)
        place = self.probability(parts, len(observation)).clamp(0.05, 0.95) / 0.05 - 1
        low = place.detach().floor().clamp(0, len(LEVELS) - 2).long()
        share = place - low
        at_low = quantiles.gather(2, low[:, :, None])[:, :, 0]
        at_high = quantiles.gather(2, low[:, :, None] + 1)[:, :, 0]
        level = at_low + share * (at_high - at_low)
        in_transit = parts["pipeline"].sum(dim=2)
        position = (parts["on_hand"] + in_transit) * view.scale
        return (level - position).clamp(min=0.0)
