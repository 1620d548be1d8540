"""Draws a tour in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the cities and the tour so far."""
    cities = episode.instance.coordinates[0]
    legs = [int(action) for action in episode.actions]
    finished = not episode.state.remaining[0].any()
    path = cities[[0, *legs, *([0] if finished else [])]]
    axes = figure.add_subplot()
    axes.plot(path[:, 0], path[:, 1], color="tab:blue", linewidth=1.5, zorder=1)
    todo = episode.state.remaining[0]
    axes.scatter(cities[todo, 0], cities[todo, 1], s=30, color="0.6", label="to visit", zorder=2)
    done = ~todo
    axes.scatter(
        cities[done, 0], cities[done, 1], s=30, color="tab:blue", label="visited", zorder=2
    )
    axes.scatter(
        cities[0, 0], cities[0, 1], s=110, marker="s", color="tab:red", label="start", zorder=3
    )
    here = cities[int(episode.state.current[0])]
    if not finished:
        axes.scatter(
            here[0], here[1], s=110, facecolors="none", edgecolors="black", label="here", zorder=4
        )
    length = -float(np.sum(episode.decision_rewards))
    state = "tour" if finished else "path"
    axes.set(
        title=f"{len(cities)} cities, {len(legs)} of {len(cities) - 1} steps, {state} length"
        f" {length:.4g}",
        aspect="equal",
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    figure.tight_layout()
