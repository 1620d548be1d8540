"""Draws an episode of capacitated lot-sizing: use of the capacity, stocks and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    import matplotlib

    problem, instance = episode.problem, episode.instance
    demand, capacity = instance.demand[0], instance.capacity[0]
    horizon, n = demand.shape
    periods = np.arange(1, horizon + 1)
    colours = matplotlib.colormaps["tab10" if n <= 10 else "tab20"](np.arange(n) % 20)
    played = len(episode.actions)

    # Played once more, to see what each period has produced, left in stock and lost.
    state = problem.initial(instance)
    made, stock, lost = (np.zeros((horizon, n)) for _ in range(3))
    for t, action in enumerate(episode.actions):
        post_state, _ = problem.post_decision(instance, state, action[None])
        made[t] = post_state.inventory[0] - state.inventory[0]
        lost[t] = np.maximum(demand[t] - post_state.inventory[0], 0.0)
        state, _, _ = problem.transition(instance, post_state, None)
        stock[t] = state.inventory[0]

    grid = figure.add_gridspec(3, 2, width_ratios=[3, 1])
    use = figure.add_subplot(grid[0, :])
    bottom = np.zeros(horizon)
    for i in range(n):
        run = made[:, i] * instance.unit_time[0, i]
        setup = (made[:, i] > 0) * instance.setup_time[0, i]
        use.bar(
            periods,
            setup,
            0.7,
            bottom,
            color=colours[i],
            alpha=0.45,
            hatch="////",
            edgecolor="white",
        )
        use.bar(periods, run, 0.7, bottom + setup, color=colours[i], label=f"item {i + 1}")
        bottom += setup + run
    use.step(
        np.arange(0.5, horizon + 1),
        [capacity[0], *capacity],
        where="pre",
        color="black",
        linewidth=1,
    )
    use.set(ylabel="time", xlim=(0.4, horizon + 0.6), ylim=(0, 1.1 * capacity.max()))
    use.set_xticks(periods)
    use.set_title(
        f"{played} of {horizon} periods: use of the capacity (line); hatched: setups", loc="left"
    )
    if n <= 10:
        use.legend(loc="upper left", bbox_to_anchor=(1, 1.05), fontsize=8, frameon=False)

    names = (("stock at the end", stock), ("demand (pale: still to come), black: lost", demand))
    for row, (name, values) in enumerate(names, start=1):
        axes = figure.add_subplot(grid[row, 0], sharex=use)
        width = 0.8 / n
        for i in range(n):
            places = periods - 0.4 + (i + 0.5) * width
            coming = periods > played
            axes.bar(places, values[:, i], width, color=colours[i])
            if values is demand:
                axes.bar(places[coming], values[coming, i], width, color="white", alpha=0.65)
                axes.bar(places, lost[:, i], width, color="black")
        axes.set(ylabel="units", ylim=(0, 1.1 * max(values.max(), 1.0)))
        axes.set_title(name, loc="left", fontsize=10)
    axes.set_xlabel("period")

    costs = figure.add_subplot(grid[1:, 1])
    parts = {
        "setup": -sum(episode.decision_rewards),
        "holding": float((stock * instance.holding_cost[0]).sum()),
        "lost": float((lost * instance.lost_sales_cost[0]).sum()),
    }
    bars = costs.bar(list(parts), list(parts.values()), color="0.6")
    costs.bar_label(bars, fmt="%.0f", fontsize=8)
    costs.set_title(f"cost so far {sum(parts.values()):.0f}", loc="left", fontsize=10)
    costs.margins(y=0.2)
    figure.tight_layout()
