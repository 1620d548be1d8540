"""Draws a lot-sizing episode: stocks, machine setups and the costs of the last period."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Periods of the setup history that are shown.
WINDOW = 30


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    import matplotlib

    instance, state = episode.instance, episode.state
    n_items = instance.max_inventory.shape[1]
    n_machines = state.setup.shape[1]
    period = len(episode.actions)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1], width_ratios=[3, 1])
    colours = matplotlib.colormaps["tab20"](np.arange(n_items) % 20)

    stock = figure.add_subplot(grid[0, :])
    items = np.arange(1, n_items + 1)
    stock.bar(items, instance.max_inventory[0], color="0.93", label="cap")
    stock.bar(items, state.inventory[0], color=colours)
    stock.scatter(
        items, instance.mean_demand[0], marker="_", s=260, color="black", label="mean demand"
    )
    for item in items:
        stock.annotate(
            f"{instance.lost_sales_cost[0, item - 1]:g}",
            (item, instance.max_inventory[0, item - 1]),
            ha="center",
            va="bottom",
            fontsize=8,
            color="0.35",
        )
    stock.set(
        xlabel="item",
        ylabel="units",
        xlim=(0.4, n_items + 0.6),
        ylim=(0, 1.12 * instance.max_inventory[0].max()),
    )
    stock.set_title(f"period {period}: stock (number above: lost-sales cost)", loc="left")
    stock.set_xticks(items)
    stock.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False)

    machines = figure.add_subplot(grid[1, 0])
    first = max(0, period - WINDOW)
    history = [instance.initial_setup[0], *episode.actions]
    for column in range(first, period + 1):
        for machine, item in enumerate(history[column]):
            if item == 0:
                continue
            changed = column > 0 and item != history[column - 1][machine]
            machines.barh(
                machine + 1,
                1,
                left=column - 0.5,
                height=0.8,
                color=colours[item - 1],
                edgecolor="black" if changed else "none",
            )
            if changed or column == first:
                machines.text(column, machine + 1, str(item), ha="center", va="center", fontsize=7)
    machines.set(
        title="item made by each machine (frame: change-over)",
        xlabel="period (0 = start)",
        ylabel="machine",
        xlim=(first - 0.5, max(first + WINDOW, period) + 0.5),
        ylim=(n_machines + 0.6, 0.4),
    )
    machines.set_yticks(np.arange(1, n_machines + 1))
    machines.tick_params(axis="y", labelsize=7)

    costs = figure.add_subplot(grid[1, 1])
    setup = -episode.decision_rewards[-1] if period else 0.0
    holding = float((instance.holding_cost[0] * state.inventory[0]).sum()) if period else 0.0
    lost = -episode.outcome_rewards[-1] - holding if period else 0.0
    bars = costs.bar(["setup", "lost", "holding"], [setup, lost, holding], color="0.55")
    costs.bar_label(bars, fmt="%.1f", fontsize=8)
    total = -sum(episode.decision_rewards) - sum(episode.outcome_rewards)
    costs.set(title=f"last period's cost\n(so far {total:.1f})", ylabel="money")
    costs.margins(y=0.2)
    figure.tight_layout()
