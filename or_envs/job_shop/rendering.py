"""Draws a Gantt chart: processing, blocked and down time, and the circles that turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.rendering import Episode
from or_envs.job_shop.kernels import DONE
from or_envs.job_shop.schedule import Schedule, circles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Bars shorter than this share of the chart have no room for the number of the job.
_ROOM = 0.012
_BLOCKED: dict[str, Any] = {"alpha": 0.35, "hatch": "///", "edgecolor": "0.3"}
_DOWN: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "hatch": "xxxx"}
_CIRCLE: dict[str, Any] = {"color": "black", "marker": "o", "markerfacecolor": "white"}


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with one row a machine; what runs is drawn to its planned end."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    problem: Any = episode.problem
    instance, state = episode.instance, episode.state
    schedule = Schedule.of_state(problem, instance, state)
    now = int(state.clock[0])
    ends = [schedule.makespan, now, 1, *(down.end for down in schedule.shutdowns)]
    horizon = max(ends)
    colors = colormaps["tab20"]
    axes = figure.add_subplot()
    for j, k in np.argwhere(schedule.start >= 0):
        color = colors(int(j) % 20)
        row = int(instance.machine[0, j, k])
        start, end, leave = (int(x[j, k]) for x in (schedule.start, schedule.end, schedule.leave))
        axes.barh(row, end - start, left=start, height=0.7, color=color)
        if end - start > _ROOM * horizon:
            middle = (start + end) / 2
            axes.text(middle, row, str(j), ha="center", va="center", fontsize=7, clip_on=True)
        until = now if leave < 0 else leave
        if until > end:
            axes.barh(
                row, until - end, left=end, height=0.7, facecolor=color, linewidth=0, **_BLOCKED
            )
    for down in schedule.shutdowns:
        axes.barh(down.machine, down.end - down.start, left=down.start, height=0.9, **_DOWN)
    legend: list[Any] = [Patch(color="0.6", label="processing")]
    if problem.blocking != "none":
        legend.append(Patch(facecolor="0.6", label="blocked", **_BLOCKED))
    if problem.stochastic:
        legend.append(Patch(label="down", **_DOWN))
    if problem.blocking == "swap":
        for circle in circles(instance, schedule):
            rows = sorted(circle.machines)
            axes.plot([circle.time] * len(rows), rows, **_CIRCLE)
        legend.append(Line2D([], [], label="circle turned", **_CIRCLE))
    over = (state.status[0] == DONE).all()
    if not over:
        axes.axvline(now, color="tab:red", linewidth=1)
        legend.append(Line2D([], [], color="tab:red", label="now"))
    started, total = int((schedule.start >= 0).sum()), int(instance.num_operations[0].sum())
    what = "makespan" if over else "deadlock at" if state.deadlock[0] else "time"
    axes.set(
        title=f"{started} of {total} operations started, {what} {now}",
        xlabel="time (numbers: jobs)",
        ylabel="machine",
        yticks=range(problem.num_machines),
        xlim=(0, horizon),
        ylim=(problem.num_machines - 0.4, -0.6),
    )
    axes.legend(
        handles=legend, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=5, frameon=False
    )
    figure.tight_layout()
