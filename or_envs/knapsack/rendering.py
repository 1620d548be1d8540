"""Draws items by weight and value, and how full the knapsack is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the items and the load so far."""
    value, weight = episode.instance.value[0], episode.instance.weight[0]
    capacity = float(episode.instance.capacity[0])
    packed = np.zeros(len(value), dtype=bool)
    packed[[int(action) for action in episode.actions if int(action) < len(value)]] = True
    fits = episode.state.remaining[0] & ~packed
    left, right = figure.subplots(1, 2, width_ratios=(5, 1))
    for which, color, label in (
        (~packed & ~fits, "0.8", "too heavy now"),
        (fits, "tab:orange", "fits"),
        (packed, "tab:blue", "packed"),
    ):
        left.scatter(weight[which], value[which], s=30, color=color, label=label)
    left.set(
        xlabel="weight",
        ylabel="value",
        title=f"value {value[packed].sum():.6g}, {packed.sum()} of {len(value)} items",
    )
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    right.bar([0], [weight[packed].sum()], color="tab:blue")
    right.axhline(capacity, color="tab:red")
    right.set(xticks=[], title=f"load of {capacity:.6g}", ylim=(0, 1.05 * capacity))
    figure.tight_layout()
