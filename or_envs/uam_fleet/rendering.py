"""Draws a day of the fleet: what every aircraft did, the map, and the money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.rendering import Episode
from or_envs.uam_fleet.report import Bar, timetable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of what aircraft do; flights are blue, the fuller the darker.
COLOURS = {
    "delay": "tab:orange",
    "charge": "tab:green",
    "turnaround": "olive",
    "repair": "tab:red",
    "stay": "0.88",
}


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the day so far."""
    grid = figure.add_gridspec(2, 2, width_ratios=[1.5, 1], height_ratios=[1.5, 1])
    problem: Any = episode.problem
    setting, state = problem.setting, episode.state
    states = [*episode.states, state]
    bars = timetable(problem, episode.instance, states, episode.actions)
    now = float(state.ready[0].min())
    _draw_day(figure.add_subplot(grid[:, 0]), problem, bars, now)
    _draw_map(figure.add_subplot(grid[0, 1]), episode, now)
    money = figure.add_subplot(grid[1, 1])
    hours = [setting.opening + float(s.ready[0].min()) / 60 for s in states]
    revenue = np.array([float(s.revenue[0]) for s in states])
    cost = np.array([float(s.cost[0]) for s in states])
    for values, colour, label in (
        (revenue, "tab:blue", "revenue"),
        (cost, "tab:red", "cost"),
        (revenue - cost, "black", "profit"),
    ):
        money.step(hours, values, where="post", color=colour, label=label)
    money.set(
        title=f"profit so far {revenue[-1] - cost[-1]:,.2f}",
        xlabel="hour",
        xlim=(setting.opening, setting.opening + setting.day / 60),
    )
    money.legend(fontsize=8, frameon=False)
    figure.tight_layout()


def _draw_day(axes: Any, problem: Any, bars: list[Bar], now: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    setting = problem.setting
    blues = colormaps["Blues"]
    shades = {n: blues(0.25 + 0.7 * n / setting.seats) for n in range(setting.seats + 1)}
    for aircraft in range(setting.num_aircraft):
        own = [bar for bar in bars if bar.aircraft == aircraft]
        axes.broken_barh(
            [(setting.opening + bar.start / 60, bar.minutes / 60) for bar in own],
            (aircraft - 0.4, 0.8),
            facecolors=[
                shades[bar.passengers] if bar.doing == "flight" else COLOURS[bar.doing]
                for bar in own
            ],
        )
    axes.axvline(setting.opening + now / 60, color="black", linewidth=1)
    closing = setting.opening + setting.day / 60
    axes.axvline(closing, color="black", linewidth=1, linestyle=":")
    axes.set(
        title="aircraft",
        xlabel="hour",
        xlim=(setting.opening, closing + 1),
        ylim=(setting.num_aircraft - 0.5, -0.5),
    )
    axes.yaxis.get_major_locator().set_params(integer=True)
    handles = [
        *(Patch(color=colour, label=doing) for doing, colour in COLOURS.items()),
        Patch(color=shades[0], label="empty flight"),
        Patch(color=shades[setting.seats], label="full flight"),
    ]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.08),
        ncols=4,
        fontsize=8,
        frameon=False,
    )


def _draw_map(axes: Any, episode: Episode, now: float) -> None:
    """Vertiports with aircraft on the ground, flights on the way, and queues as lines."""
    instance, state = episode.instance, episode.state
    problem: Any = episode.problem
    position, n = instance.position[0], problem.setting.num_vertiports
    waiting = state.queue[0].sum(axis=0)
    most = max(int(waiting.max()), 1)
    for i in range(n):
        for j in range(n):
            if waiting[i, j]:
                # A little to the left of the way, so that both directions show.
                way = position[j] - position[i]
                length = max(float(np.hypot(*way)), 1e-9)
                shift = 0.5 * np.array([-way[1], way[0]]) / length
                line = np.stack([position[i], position[j]]) + shift
                width = 0.3 + 2.2 * waiting[i, j] / most
                axes.plot(*line.T, color="tab:purple", alpha=0.35, linewidth=width, zorder=1)
    flying = (state.landed[0] > now) & (state.flights[0] > 0)
    grounded = np.bincount(state.location[0][~flying], minlength=n)
    inbound = np.bincount(state.location[0][flying], minlength=n)
    stop = instance.chargers[0] == 0
    business = instance.business[0]
    for which, marker, label in (
        (~stop & business, "D", "business district"),
        (~stop & ~business, "o", "vertiport"),
        (stop, "s", "no chargers"),
    ):
        if which.any():
            axes.scatter(
                *position[which].T,
                s=130,
                marker=marker,
                color="0.8",
                zorder=2,
                edgecolors="black",
                label=label,
            )
    for i in range(n):
        axes.annotate(str(grounded[i]), position[i], ha="center", va="center", fontsize=8, zorder=4)
        if inbound[i]:
            axes.annotate(
                f"+{inbound[i]}",
                position[i],
                xytext=(8, 6),
                textcoords="offset points",
                color="tab:blue",
                fontsize=8,
                zorder=4,
            )
    k = int(state.ready[0].argmin())
    axes.scatter(
        *position[state.location[0, k]],
        s=330,
        facecolors="none",
        edgecolors="tab:red",
        zorder=3,
        label="decides next",
    )
    clock = problem.setting.opening * 60 + now
    side = problem.setting.side
    axes.set(
        title=f"{int(clock // 60):02d}:{int(clock % 60):02d}, {int(waiting.sum()):,} waiting,"
        f" {int(flying.sum())} in the air",
        aspect="equal",
        xlim=(-0.08 * side, 1.08 * side),
        ylim=(-0.08 * side, 1.08 * side),
        xlabel="miles",
    )
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7, markerscale=0.5, frameon=False
    )
