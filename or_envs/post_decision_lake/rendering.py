"""Draws the lake: ice, holes, drift laws, the walker and the last move."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from or_envs.core.rendering import Episode
from or_envs.post_decision_lake.instances import STEPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from or_envs.post_decision_lake.problem import PostDecisionLake

ICE, HOLE, GOAL = "#dbeaf5", "#1f3a56", "#8fce8f"


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    from matplotlib.colors import ListedColormap

    instance, state = episode.instance, episode.state
    problem = cast("PostDecisionLake", episode.problem)
    size = problem.size
    kind = instance.hole[0].astype(int)
    kind[-1] = 2
    axes, side = figure.subplots(1, 2, width_ratios=[2.2, 1])
    axes.imshow(kind.reshape(size, size), cmap=ListedColormap([ICE, HOLE, GOAL]), vmin=0, vmax=2)
    axes.set_xticks(np.arange(0.5, size - 1), [])
    axes.set_yticks(np.arange(0.5, size - 1), [])
    axes.grid(color="white", linewidth=1.5)
    axes.tick_params(length=0)

    # Mean direction of the drift that begins in each cell.
    steps = np.array(STEPS)
    mean = instance.drift_probability[0] @ steps
    rows, columns = np.divmod(np.arange(size * size), size)
    axes.quiver(
        columns,
        rows,
        mean[:, 1],
        mean[:, 0],
        angles="xy",
        scale_units="xy",
        scale=1.6,
        pivot="mid",
        width=0.004,
        color="0.6",
    )
    start, here = int(instance.start[0]), int(state.cell[0])
    for cell, letter in ((start, "S"), (size * size - 1, "G")):
        axes.text(cell % size, cell // size, letter, ha="center", va="center", fontweight="bold")
    row, column = divmod(here, size)
    axes.scatter(column, row, s=(260 / size) ** 2 / 2, color="tab:red", edgecolor="black", zorder=3)
    played = len(episode.actions)
    axes.set_title(f"{played} of {problem.horizon} moves", loc="left")
    axes.set_xlabel("arrows: mean direction of the drift;  dot: walker")

    decision, outcome = episode.decision_rewards, episode.outcome_rewards
    moves = np.arange(played + 1)
    side.plot(moves, np.cumsum([0.0, *decision]), label="moves", color="tab:blue")
    side.plot(moves, np.cumsum([0.0, *outcome]), label="drifts", color="tab:orange")
    side.set_title(f"reward so far {sum(decision) + sum(outcome):.2f}", loc="left")
    side.set(xlabel="move", xlim=(0, max(10, played)))
    side.set_ylim(bottom=min(0.0, side.get_ylim()[0]), top=max(1.0, side.get_ylim()[1]))
    side.legend(loc="upper left", frameon=False)
    figure.tight_layout()
