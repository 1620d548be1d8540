"""Draws an inventory network: stocks, goods in transit, and what happened in the last periods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.rendering import Episode
from or_envs.inventory.network import Network
from or_envs.inventory.problem import InventoryNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Periods of the history that are shown.
WINDOW = 40
#: Networks with more nodes have no names beside the dots.
MOST_LABELS = 16


def draw(figure: Figure, episode: Episode) -> None:
    """Fill an empty figure with the state of one environment."""
    grid = figure.add_gridspec(2, 2, height_ratios=[1.6, 1], width_ratios=[1.5, 1])
    period = len(episode.actions)
    total = -sum(episode.decision_rewards) - sum(episode.outcome_rewards)
    figure.suptitle(f"period {period}, cost so far {total:.1f}", x=0.02, ha="left", fontsize=12)
    _draw_network(figure.add_subplot(grid[0, 0]), episode)
    _draw_pipelines(figure.add_subplot(grid[0, 1]), episode)
    _draw_costs(figure.add_subplot(grid[1, 0]), episode)
    _draw_orders(figure.add_subplot(grid[1, 1]), episode)
    figure.tight_layout()


def _draw_network(axes: Axes, episode: Episode) -> None:
    """Nodes in columns from outside to the stores; areas are stocks, red ones owed to customers."""
    network, state = _network(episode), episode.state
    depth = np.ones(network.num_nodes, dtype=int)
    for _ in range(network.num_nodes):
        for supplier, buyer in network.edges:
            if supplier >= 0:
                depth[buyer] = max(depth[buyer], depth[supplier] + 1)
    depth[network.num_internal :] = depth.max()
    height = np.zeros(network.num_nodes)
    for level in range(1, depth.max() + 1):
        nodes = np.flatnonzero(depth == level)
        height[nodes] = np.linspace(1, 0, len(nodes) + 2)[1:-1]
    in_transit = state.pipeline[0].sum(axis=1)
    busiest = max(float(in_transit.max()), 1e-9)
    for (supplier, buyer), units in zip(network.edges, in_transit, strict=True):
        x = [depth[supplier] if supplier >= 0 else 0, depth[buyer]]
        y = [height[supplier] if supplier >= 0 else height[buyer], height[buyer]]
        axes.plot(x, y, color="0.6", linewidth=0.4 + 4 * units / busiest, zorder=1)
    outside = [height[buyer] for supplier, buyer in network.edges if supplier < 0]
    axes.scatter(np.zeros(len(outside)), outside, marker=">", color="0.4", s=30, zorder=2)
    on_hand = state.on_hand[0]
    largest = max(float(np.abs(on_hand).max()), 1e-9)
    colours = np.where(on_hand >= 0, "#2b6ca3", "#c0392b")
    crowd = int(np.bincount(depth).max())
    area = 700 * min(1.0, 5 / crowd)
    axes.scatter(depth, height, s=10 + area * np.abs(on_hand) / largest, c=colours, zorder=3)
    if network.num_nodes <= MOST_LABELS:
        for node, name in enumerate(network.nodes):
            place = (depth[node], height[node])
            if crowd > 3 and depth[node] == depth.max():  # no room below
                text, offset, ha, va = f"{name}: {on_hand[node]:.1f}", (13, 0), "left", "center"
            else:
                text, offset, ha, va = f"{name}\n{on_hand[node]:.1f}", (0, -17), "center", "top"
            axes.annotate(text, place, offset, textcoords="offset points", ha=ha, va=va, fontsize=7)
    axes.set_title("on hand (area; red: owed), in transit (width)", loc="left", fontsize=9)
    axes.set_xlim(-0.4, depth.max() + (0.9 if crowd > 3 else 0.5))
    axes.set_ylim(-0.18, 1.05)
    axes.axis("off")


def _draw_pipelines(axes: Axes, episode: Episode) -> None:
    """Units that arrive in each of the coming periods, by the buyer's kind."""
    network, pipeline = _network(episode), episode.state.pipeline[0]
    to_stores = np.array([buyer >= network.num_internal for _, buyer in network.edges])
    first = 1 if network.receive_first else 0
    slots = np.arange(pipeline.shape[1]) + first
    stores = pipeline[to_stores].sum(axis=0)
    others = pipeline[~to_stores].sum(axis=0)
    axes.bar(slots, stores, color="#2b6ca3", label="to stores")
    if network.num_internal:
        axes.bar(slots, others, bottom=stores, color="0.7", label="to other nodes")
        axes.legend(fontsize=7, frameon=False)
    axes.set_title("arrivals to come", loc="left", fontsize=9)
    axes.set_xlabel("periods from now", fontsize=8)
    axes.set_ylabel("units", fontsize=8)
    axes.set_xticks(slots)
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    axes.tick_params(labelsize=7)


def _draw_costs(axes: Axes, episode: Episode) -> None:
    """Cost of every period, the part of the decision below."""
    costs = -np.array([episode.decision_rewards, episode.outcome_rewards])[:, -WINDOW:]
    periods = np.arange(costs.shape[1]) + len(episode.actions) - costs.shape[1] + 1
    axes.bar(periods, costs[0], color="0.7", label="of the decision")
    axes.bar(periods, costs[1], bottom=np.where(costs[1] * costs[0] > 0, costs[0], 0),
             color="#c77700", label="of the outcome")  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_title("cost of a period (negative: profit)", loc="left", fontsize=9)
    axes.set_xlabel("period", fontsize=8)
    axes.tick_params(labelsize=7)
    last = max(len(episode.actions), WINDOW)
    axes.set_xlim(last - WINDOW + 0.4, last + 0.6)
    axes.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _draw_orders(axes: Axes, episode: Episode) -> None:
    """The last actions, one bar per edge."""
    from matplotlib.ticker import MaxNLocator

    edges = len(_network(episode).edges)
    last: Any = episode.actions[-1] if episode.actions else np.zeros(edges)
    values = np.atleast_1d(np.asarray(last, dtype=float))
    axes.bar(np.arange(1, len(values) + 1), values, color="#2b6ca3")
    decoder = _problem(episode).decoder
    mode = "orders" if decoder.mode == "orders" and not decoder.normalized else "actions"
    axes.set_title(f"last {mode}", loc="left", fontsize=9)
    axes.set_xlabel("edge" if len(values) > 1 else "", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_xlim(0.3, len(values) + 0.7)
    low, high = axes.get_ylim()
    axes.set_ylim(low if values.min() < 0 else 0.0, max(1.0, high))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _problem(episode: Episode) -> InventoryNetwork:
    assert isinstance(episode.problem, InventoryNetwork)
    return episode.problem


def _network(episode: Episode) -> Network:
    return _problem(episode).network
