"""Draws the hills, the car and the last force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.rendering import Episode
from or_envs.mountain_car.problem import GOAL, MAX_POSITION, MIN_POSITION

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _height(position: Any) -> Any:
    return np.sin(3 * position)


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    axes = figure.subplots()
    ground = np.linspace(MIN_POSITION, MAX_POSITION, 200)
    axes.plot(ground, _height(ground), color="0.3")
    axes.plot([GOAL, GOAL], [_height(GOAL), _height(GOAL) + 0.3], color="tab:green", linewidth=3)
    here = float(episode.state.position[0])
    axes.scatter(here, _height(here) + 0.06, s=200, color="tab:red", zorder=3)
    force = float(episode.actions[-1][0]) if len(episode.actions) else 0.0
    axes.annotate(
        "",
        (here + 0.3 * force, _height(here) + 0.2),
        (here, _height(here) + 0.2),
        arrowprops={"arrowstyle": "->", "color": "tab:blue"},
    )
    axes.set_title(f"{len(episode.actions)} steps, reward {sum(episode.decision_rewards):.1f}")
    axes.set(xlabel="position", ylim=(-1.1, 1.4), yticks=[])
    figure.tight_layout()
