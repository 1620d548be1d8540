"""Draws tours, routes and a route with prizes in the plane."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.rendering import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the cities and the tour so far."""
    nodes = episode.instance.coordinates[0]
    legs = [int(action) for action in episode.actions]
    finished = not episode.state.remaining[0].any()
    axes = figure.add_subplot()
    _line(axes, nodes, [0, *legs, *([0] if finished else [])], "tab:blue")
    _nodes(axes, nodes, episode, finished, "start")
    state = "tour" if finished else "path"
    _frame(
        figure,
        axes,
        f"{len(nodes)} cities, {len(legs)} of {len(nodes) - 1} steps, {state} length"
        f" {_sum(episode, -1):.4g}",
    )


def draw_routes(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with customers, sized by demand, and the routes so far."""
    instance = episode.instance
    nodes, state = instance.coordinates[0], episode.state
    problem: Any = episode.problem
    path = [0]
    for action in episode.actions:
        if problem.mode == "direct":
            path.append(int(action))
        else:
            path += [0] * (int(action) % 2) + [int(action) // 2 + 1]
    finished = not state.remaining[0].any()
    if finished and path[-1] != 0:
        path.append(0)
    axes = figure.add_subplot()
    from matplotlib import colormaps

    colors = colormaps["tab10"]
    starts = [i for i, node in enumerate(path) if node == 0]
    for route, start in enumerate(starts):
        end = starts[route + 1] if route + 1 < len(starts) else len(path) - 1
        if end > start:
            _line(axes, nodes, path[start : end + 1], colors(route % 10))
    sizes = 20 + 60 * instance.demand[0] / instance.capacity[0]
    _nodes(axes, nodes, episode, finished, "depot", sizes)
    served = len(nodes) - 1 - int(state.remaining[0].sum())
    load = "" if finished else f", load {state.load[0]:g} of {instance.capacity[0]:g}"
    _frame(
        figure,
        axes,
        f"{served} of {len(nodes) - 1} customers served, length {_sum(episode, -1):.4g}{load}",
    )


def draw_route(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with customers, sized by prize, and the route so far."""
    instance = episode.instance
    nodes, state = instance.coordinates[0], episode.state
    legs = [int(action) for action in episode.actions]
    problem: Any = episode.problem
    mask = problem.action_mask(instance, state)[0]
    finished = bool(state.over[0]) or not mask[1:].any()
    axes = figure.add_subplot()
    _line(axes, nodes, [0, *legs, *([0] if finished else [])], "tab:blue")
    sizes = 12 + 70 * instance.prize[0] / max(float(instance.prize[0].max()), 1e-9)
    visited = np.zeros(len(nodes), dtype=bool)
    visited[legs] = True
    _nodes(axes, nodes, episode, finished, "depot", sizes, ~visited & (np.arange(len(nodes)) > 0))
    _frame(
        figure,
        axes,
        f"prize {_sum(episode, 1):.4g} of {instance.prize[0].sum():.4g},"
        f" length left {state.left[0]:.4g} of {instance.budget[0]:g} before the way home",
    )


def _sum(episode: Episode, sign: int) -> float:
    return sign * float(np.sum(episode.decision_rewards))


def _line(axes: Any, nodes: np.ndarray, path: Sequence[int], color: Any) -> None:
    points = nodes[list(path)]
    axes.plot(points[:, 0], points[:, 1], color=color, linewidth=1.5, zorder=1)


def _nodes(
    axes: Any,
    nodes: np.ndarray,
    episode: Episode,
    finished: bool,
    start: str,
    sizes: np.ndarray | None = None,
    todo: np.ndarray | None = None,
) -> None:
    sizes = np.full(len(nodes), 30.0) if sizes is None else sizes
    todo = episode.state.remaining[0] if todo is None else todo
    done = ~todo
    done[0] = False
    for which, color, label in ((todo, "0.6", "to visit"), (done, "tab:blue", "visited")):
        axes.scatter(
            nodes[which, 0], nodes[which, 1], s=sizes[which], color=color, label=label, zorder=2
        )
    axes.scatter(*nodes[0], s=110, marker="s", color="tab:red", label=start, zorder=3)
    if not finished:
        here = nodes[int(episode.state.current[0])]
        axes.scatter(*here, s=110, facecolors="none", edgecolors="black", label="here", zorder=4)


def _frame(figure: Figure, axes: Any, title: str) -> None:
    axes.set(title=title, aspect="equal")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    figure.tight_layout()


def draw_asymmetric(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with an embedding of the distances and the tour so far, as arrows."""
    from or_envs.routing.tsplib import embedding

    nodes = embedding(np.asarray(episode.instance.distances[0]))
    legs = [int(action) for action in episode.actions]
    finished = not episode.state.remaining[0].any()
    path = nodes[[0, *legs, *([0] if finished else [])]]
    axes = figure.add_subplot()
    for start, end in itertools.pairwise(path):
        arrow = {"arrowstyle": "->", "color": "tab:blue", "shrinkA": 4, "shrinkB": 4}
        axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
    _nodes(axes, nodes, episode, finished, "start")
    _frame(
        figure,
        axes,
        f"{len(nodes)} cities, {len(legs)} of {len(nodes) - 1} steps, length"
        f" {_sum(episode, -1):.4g}\npoints nearly as far apart as the mean of both directions",
    )
