"""Draws an episode of uncapacitated lot-sizing: lots, the demand that they serve, and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colour of demand that is not yet produced.
WAITING = "0.85"


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    import matplotlib

    problem, instance = episode.problem, episode.instance
    demand, setup_cost = instance.demand[0], instance.setup_cost[0]
    horizon = len(demand)
    periods = np.arange(1, horizon + 1)
    palette = matplotlib.colormaps["tab10"]
    played = len(episode.actions)

    # Played once more, to see what each period has produced and left in stock.
    state = problem.initial(instance)
    served_by, started = np.full(horizon, -1), np.full(horizon, -1)
    lots, stock = np.zeros(horizon), np.zeros(horizon)
    number = -1
    for t, action in enumerate(episode.actions):
        post_state, _ = problem.post_decision(instance, state, action[None])
        first, end = int(state.covered[0]), int(post_state.covered[0])
        lots[t] = demand[first:end].sum()
        if lots[t] > 0:
            number += 1
            served_by[first:end] = number
            started[t] = number
        state, _, _ = problem.transition(instance, post_state, None)
        stock[t] = demand[t + 1 : int(state.covered[0])].sum()
    colours = [palette(lot % 10) if lot >= 0 else WAITING for lot in served_by]

    grid = figure.add_gridspec(2, 2, height_ratios=[1.2, 1], width_ratios=[3, 1])
    units = figure.add_subplot(grid[0, :])
    units.bar(periods, demand, width=0.75, color=colours)
    for t in np.flatnonzero(lots > 0).tolist():
        units.plot([t + 1, t + 1], [0, lots[t]], color="black", linewidth=1, zorder=3)
        units.scatter(
            t + 1, lots[t], s=50, color=palette(started[t] % 10), edgecolor="black", zorder=4
        )
        units.annotate(
            f"{lots[t]:g}",
            (t + 1, lots[t]),
            (7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    if played < horizon:
        units.axvline(played + 0.5, color="0.4", linestyle=":", linewidth=1)
    units.set(
        ylabel="units",
        xlim=(0.4, horizon + 0.9),
        ylim=(0, 1.12 * max(demand.max(), lots.max(), 1e-9)),
    )
    units.set_title(
        f"{played} of {horizon} periods: demand (bar, coloured by its lot) and lots (pin)",
        loc="left",
    )
    units.set_xticks(periods)

    store = figure.add_subplot(grid[1, 0], sharex=units)
    store.bar(periods, stock, width=0.75, color="0.6")
    store.plot(periods, setup_cost, "k_", markersize=12)
    store.set(xlabel="period")
    store.set_title(
        "stock at the end of the period (bar), setup cost (line)", loc="left", fontsize=10
    )
    store.set_ylim(0, 1.12 * max(setup_cost.max(), stock.max(), 1e-9))

    costs = figure.add_subplot(grid[1, 1])
    setup = float((setup_cost * (lots > 0)).sum())
    production = -sum(episode.decision_rewards) - setup
    holding = -sum(episode.outcome_rewards)
    bars = costs.bar(["setup", "units", "holding"], [setup, production, holding], color="0.6")
    costs.bar_label(bars, fmt="%.4g", fontsize=8)
    costs.set_title(f"cost so far {setup + production + holding:.5g}", loc="left", fontsize=10)
    costs.margins(y=0.2)
    figure.tight_layout()
