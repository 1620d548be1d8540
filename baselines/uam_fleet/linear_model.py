"""Model A as sparse matrices: bounds, and what an aircraft is worth where and when.

With departures x, idle aircraft y and passengers p of :mod:`baselines.uam_fleet.time_network`::

    max  sum margin p - sum cost x
    y(i, t - 1) + arrivals(i, t) = y(i, t) + departures(i, t)      y(i, -1) = start(i)
    sum of p(g, h) over g <= seats * sum of x over the steps of h  for every route and h
    sum of p(g, h) over h <= passengers(g)                         for every route and g
    y <= stands

The relaxation flies fractions of aircraft, all full. Mixed-integer rounding cuts that off: let D
passengers be all that a set of flights can carry, u = ceil(D / seats) and f = D - seats (u - 1);
then those flights carry at most D - f (u - number of flights). The sets are the flights of a route
in a bin with all groups, with one group, and those in all bins of a group.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from baselines.uam_fleet.sparse import Rows, solve_linear
from baselines.uam_fleet.time_network import TimeNetwork


class Variables(NamedTuple):
    """What the columns of the model mean, in this order.

    Attributes
    ----------
    route, step
        Of the departures, integers (X,) each.
    idle
        Column of the aircraft that stay, integers (N, T).
    passenger_route, group, bin
        Of the passengers, integers (P,) each; where they wait for ever the group is the bin.
    """

    route: np.ndarray
    step: np.ndarray
    idle: np.ndarray
    passenger_route: np.ndarray
    group: np.ndarray
    bin: np.ndarray


@dataclasses.dataclass(frozen=True)
class LinearResult:
    """Optimal solution of a relaxation.

    Attributes
    ----------
    profit
        Objective, as a maximisation.
    departures
        (M, T).
    price
        What one more aircraft at a vertiport in a step would earn, (N, T).
    """

    profit: float
    departures: np.ndarray
    price: np.ndarray


class LinearModel:
    """The relaxation of model A.

    Parameters
    ----------
    network
        The day.
    cuts
        Whether to add mixed-integer rounding.
    reserve
        Whether every flight needs a charger at its destination (a stand, where there are none)
        from the decision to fly until one step after it is ready, and idle aircraft other stands.
        The real fleet can put charging off, so this gives plans that can be flown, not bounds.
    """

    def __init__(self, network: TimeNetwork, cuts: bool = True, reserve: bool = False) -> None:
        self.network = network
        self.variables = variables = _variables(network)
        flights, people = len(variables.route), len(variables.bin)
        forever = network.setting.patience is None
        first = int(variables.idle.max()) + 1  # column of the first passengers; queues come after
        columns = first + people + (people if forever else 0)
        cost = np.zeros(columns)
        cost[:flights] = network.cost[variables.route]
        cost[first : first + people] = -network.margin[variables.bin, variables.passenger_route]
        limit = np.full(columns, np.inf)
        stands = network.parking if reserve else network.parking + network.chargers
        limit[variables.idle] = stands[:, None]
        rows, places = Rows(), first + np.arange(people)
        more = self._add_flow(rows, columns)
        _add_seats(rows, network, variables, places)
        if forever:
            _add_queues(rows, network, variables, places)
        else:
            _add_groups(rows, network, variables, places)
        if cuts:
            _add_cuts(rows, network, variables, places)
        if reserve:
            _add_reservations(rows, network, variables)
        cost = np.concatenate([cost, more[0]])
        limit = np.concatenate([limit, more[1]])
        self.program = rows.program(cost, limit)

    def _add_flow(self, rows: Rows, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Add the rows of where aircraft are, first of all.

        Returns
        -------
        Costs and limits of further columns, from number ``columns`` on.
        """
        _add_balance(rows, self.network, self.variables)
        return np.zeros(0), np.zeros(0)

    def solve(self, crossover: bool = True) -> LinearResult:
        """Solve the relaxation.

        Parameters
        ----------
        crossover
            See :func:`baselines.uam_fleet.sparse.solve_linear`.

        Raises
        ------
        RuntimeError
            If HiGHS does not reach the optimum.
        """
        outcome = solve_linear(self.program, crossover)
        if outcome.status != "optimal":
            raise RuntimeError(f"HiGHS stopped with {outcome.status!r}")
        route, step = self.variables.route, self.variables.step
        departures = np.zeros(self.network.open.shape)
        departures[route, step] = outcome.values[: len(route)]
        return LinearResult(-outcome.objective, departures, self._price(outcome.duals))

    def _price(self, duals: np.ndarray) -> np.ndarray:
        """What one more aircraft earns, (N, T), from the duals of the rows."""
        idle = self.variables.idle
        price: np.ndarray = -duals[: idle.size].reshape(idle.shape)
        return price


def _variables(network: TimeNetwork) -> Variables:
    route, step = np.nonzero(network.open)
    n, steps = len(network.start), network.steps
    idle = len(route) + np.arange(n * steps).reshape(n, steps)
    if network.setting.patience is None:
        bin, passenger_route = np.nonzero(np.ones_like(network.arrivals, dtype=np.bool_))
        return Variables(route, step, idle, passenger_route, bin, bin)
    pairs = np.array(network.groups)
    pair, passenger_route = np.nonzero(network.arrivals[pairs[:, 0]] > 0)
    return Variables(route, step, idle, passenger_route, pairs[pair, 0], pairs[pair, 1])


def _add_balance(rows: Rows, network: TimeNetwork, variables: Variables) -> None:
    """Aircraft at every vertiport in every step; those that land after closing leave the model."""
    route, step, idle = variables.route, variables.step, variables.idle
    n, steps = idle.shape
    flights = np.arange(len(route))
    later = step + network.duration[route, step]
    lands = later < steps
    source = np.zeros((n, steps))
    source[:, 0] = network.start
    place = np.arange(n * steps).reshape(n, steps)
    rows.add(
        source.ravel(),
        source.ravel(),
        (place[network.origin[route], step], flights, 1.0),
        (place[network.destination[route[lands]], later[lands]], flights[lands], -1.0),
        (place.ravel(), idle.ravel(), 1.0),
        (place[:, 1:].ravel(), idle[:, :-1].ravel(), -1.0),
    )


def _add_seats(rows: Rows, network: TimeNetwork, variables: Variables, people: np.ndarray) -> None:
    """Passengers of a route and bin against the seats that leave in it."""
    bins, routes = network.arrivals.shape
    flown = network.bin[variables.step]
    rows.add(
        -np.inf,
        np.zeros(bins * routes),
        (variables.bin * routes + variables.passenger_route, people, 1.0),
        (
            flown * routes + variables.route,
            np.arange(len(flown)),
            -float(network.setting.seats),
        ),
    )


def _add_groups(rows: Rows, network: TimeNetwork, variables: Variables, people: np.ndarray) -> None:
    """No more of a group fly than came."""
    routes = network.arrivals.shape[1]
    rows.add(
        -np.inf,
        network.arrivals.astype(float).ravel(),
        (variables.group * routes + variables.passenger_route, people, 1.0),
    )


def _add_queues(rows: Rows, network: TimeNetwork, variables: Variables, people: np.ndarray) -> None:
    """Who waits after a bin = who waited before it + who came - who flew."""
    bins, routes = network.arrivals.shape
    row = variables.bin * routes + variables.passenger_route
    queue = people + len(people)
    came = network.arrivals.astype(float).ravel()
    stays = variables.bin < bins - 1
    rows.add(
        came,
        came,
        (row, people, 1.0),
        (row, queue, 1.0),
        ((row + routes)[stays], queue[stays], -1.0),
    )


def _add_cuts(rows: Rows, network: TimeNetwork, variables: Variables, people: np.ndarray) -> None:
    """Mixed-integer rounding of three families of sets of flights; see the module."""
    bins, routes = network.arrivals.shape
    arrivals = network.arrivals.astype(float)
    flown, route = network.bin[variables.step], variables.route
    flights = np.arange(len(flown))
    patience = network.setting.patience
    seats = network.setting.seats
    if patience is None:  # who waits for ever can fly with any flight of the route
        passengers = (variables.passenger_route, people)
        _add_rounding(rows, seats, arrivals.sum(axis=0), (route, flights), passengers)
        return
    # Flights of bin h can take the groups h, h - 1, ..., h - patience + 1.
    offsets = np.repeat(np.arange(patience), len(flown))
    many, group = np.tile(flights, patience), np.tile(flown, patience) - offsets
    there = group >= 0
    many, group, offsets = many[there], group[there], offsets[there]
    total = np.zeros_like(arrivals)
    for offset in range(patience):
        total[offset:] += arrivals[: bins - offset]
    age = variables.bin - variables.group
    families = (
        (
            total,
            (flown * routes + route, flights),
            variables.bin * routes + variables.passenger_route,
        ),
        (
            np.repeat(arrivals[:, None], patience, axis=1),
            ((group * patience + offsets) * routes + route[many], many),
            (variables.group * patience + age) * routes + variables.passenger_route,
        ),
        (
            arrivals,
            (group * routes + route[many], many),
            variables.group * routes + variables.passenger_route,
        ),
    )
    for carried, of_flights, of_people in families:
        _add_rounding(rows, seats, carried.ravel(), of_flights, (of_people, people))


def _add_rounding(
    rows: Rows,
    seats: int,
    carried: np.ndarray,
    flights: tuple[np.ndarray, np.ndarray],
    people: tuple[np.ndarray, np.ndarray],
) -> None:
    """A cut for every set: ``carried`` passengers at most, and which columns belong to it."""
    needed = np.ceil(carried / seats)
    last = carried - seats * (needed - 1)
    # Where the last flight would be full, too, the cut says what the seats say.
    kept = (carried > 0) & (last < seats)
    number = np.cumsum(kept) - 1
    terms = []
    for (sets, columns), sign in ((flights, -1.0), (people, 1.0)):
        own = kept[sets]
        values = -last[sets[own]] if sign < 0 else np.ones(int(own.sum()))
        terms.append((number[sets[own]], columns[own], values))
    rows.add(-np.inf, (carried - last * needed)[kept], *terms)


def _add_reservations(rows: Rows, network: TimeNetwork, variables: Variables) -> None:
    """Stands that are kept for flights, from the decision to fly until a step after readiness."""
    steps = variables.idle.shape[1]
    route, step = variables.route, variables.step
    held = np.minimum(network.duration[route, step] + 1, steps - step)
    flight = np.repeat(np.arange(len(route)), held)
    since = np.arange(len(flight)) - np.repeat(np.cumsum(held) - held, held)
    row = network.destination[route[flight]] * steps + step[flight] + since
    stops = np.flatnonzero(network.chargers == 0)
    idle = variables.idle[stops]
    stands = np.where(network.chargers > 0, network.chargers, network.parking)
    rows.add(
        -np.inf,
        np.repeat(stands.astype(float), steps),
        (row, flight, 1.0),
        ((stops[:, None] * steps + np.arange(steps)).ravel(), idle.ravel(), 1.0),
    )
