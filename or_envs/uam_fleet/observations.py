"""What the controller of the fleet sees: three ways to show the same day.

All are Dicts of float32 arrays of fixed shapes; agents build their own edges. N vertiports, K
aircraft, H bins. "The decider" is the aircraft that decides next; "now" is its time. Numbers are
scaled to about [-2, 2] and cut at 5.

"relational" (ours): the width per vertiport and aircraft depends on neither N nor K.

- "vertiports" (N, 21): x, y (share of the side); whether business district; whether it has
  chargers; share of free stands without charger, with charger; aircraft on the ground / 8, under
  way to it / 8; announced delay / 6; waiting passengers from here / 10, to here / 10. Of the leg
  that the decider can fly to it: whether it is where the decider is; whether allowed; passengers
  who would board / seats; fare / 50; profit / 100; expected minutes / 60; profit per minute;
  probability of closure * 20; miles / 50; expected profit of the best leg after it / 100, if
  nobody else flies that.
- "aircraft" (K, 9): x, y of its vertiport; minutes until it decides / 60; charge (share of the
  battery); whether on a charger; probability of failure * 200; whether the decider; whether at the
  decider's vertiport; energy from the decider's vertiport to its own (share of the battery).
- "series" (12, N, 5), the next 12 bins, 0 after closing: expected passengers from here / 10, to
  here / 10, mean fare from here / 50, announced delay / 6, profit of full flights with all expected
  passengers from here / 500.
- "context" (4,): share of the day that is over, sine and cosine of the hour, hours left / 12.
- "decider" (1,): its number.

"paper": the node features of arXiv 2401.04851, as far as they are known.

- "vertiports" (N, 6): x, y; share of taken stands without charger; minutes until a charger may be
  free / 60; announced delay / 6; whether a vertistop (no chargers).
- "aircraft" (K, 6): x, y of its vertiport; charge; minutes since its last take-off / 60 and until
  it decides / 60; probability of failure * 200.
- "series" (12, N, N, 2): expected passengers / 10 and fares / 50 of the next 12 bins.
- "context", "decider" as above.

"ref2022": the node features of REF22, aircraft scaled (there they were not).

- "vertiports" (N, 6 + 2 H + N^2): x, y; share of stands taken, without and with charger; both
  numbers of stands / 6; demand from here, to here, in every bin, less who was flown, as shares of
  the largest; the fares of all routes as shares of the largest.
- "aircraft" (K, 9): x, y of its vertiport; seats / 4; hours of landing * 10 and take-off * 10;
  speed / 100; hour of the last take-off / 24 and of the next decision / 24; battery / 110.
- "decider" as above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, gather
from or_envs.uam_fleet.presets import Setting

if TYPE_CHECKING:
    from or_envs.uam_fleet.instances import UAMInstance
    from or_envs.uam_fleet.problem import Features, UAMFleet, UAMState

#: Bins of the forecast that are shown.
AHEAD = 12
#: Units of the features.
DELAY, FARE, PROFIT, QUEUE, GROUND, MILES = 6.0, 50.0, 100.0, 10.0, 8.0, 50.0
CLOSURE, FAILURE, POTENTIAL = 20.0, 200.0, 500.0
#: Where features that may grow are cut.
LIMIT = 5.0

#: Names of the relational features, in their order.
VERTIPORT_FEATURES = (
    *("x", "y", "business", "has chargers", "free stands", "free chargers"),
    *("aircraft on the ground", "aircraft under way", "delay", "waiting from", "waiting to"),
    *("here", "allowed", "boarding", "fare", "profit", "minutes", "profit per minute"),
    *("closure", "miles", "next profit"),
)
AIRCRAFT_FEATURES = (
    *("x", "y", "minutes", "charge", "charging", "failure", "decider", "with the decider"),
    "energy",
)
SERIES_FEATURES = ("demand from", "demand to", "fare", "delay", "potential")
CONTEXT_FEATURES = ("time", "sine", "cosine", "left")


def shapes(setting: Setting, features: Features) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of one observation; see the module."""
    n, k = setting.num_vertiports, setting.num_aircraft
    nodes: dict[Features, dict[str, tuple[int, ...]]] = {
        "relational": {
            "vertiports": (n, len(VERTIPORT_FEATURES)),
            "aircraft": (k, len(AIRCRAFT_FEATURES)),
            "series": (AHEAD, n, len(SERIES_FEATURES)),
            "context": (len(CONTEXT_FEATURES),),
        },
        "paper": {
            "vertiports": (n, 6),
            "aircraft": (k, 6),
            "series": (AHEAD, n, n, 2),
            "context": (4,),
        },
        "ref2022": {
            "vertiports": (n, 6 + 2 * setting.num_bins + n * n),
            "aircraft": (k, 9),
        },
    }
    return {**nodes[features], "decider": (1,)}


def space(setting: Setting, features: Features) -> gym.spaces.Dict:
    """Space of one observation; see the module."""
    spaces = {
        name: gym.spaces.Box(-np.inf, np.inf, shape, np.float32)
        for name, shape in shapes(setting, features).items()
    }
    return gym.spaces.Dict({**spaces})


def observe(problem: UAMFleet, instance: UAMInstance, state: UAMState) -> dict[str, Array]:
    """Observation batch; see the module."""
    show = {"relational": _relational, "paper": _paper, "ref2022": _ref2022}[problem.features]
    xp = array_namespace(state.ready)
    seen = show(xp, problem, instance, state)
    decider = xp.argmin(state.ready, axis=1)
    seen["decider"] = xp.astype(decider, state.ready.dtype)[:, None]
    return seen


def _relational(
    xp: Any, problem: UAMFleet, instance: UAMInstance, state: UAMState
) -> dict[str, Array]:
    setting, n = problem.setting, problem.setting.num_vertiports
    number, whole = state.ready.dtype, state.location.dtype
    legs = problem.legs(instance, state)
    now = xp.min(state.ready, axis=1, keepdims=True)
    k = xp.argmin(state.ready, axis=1)
    here = gather(xp, state.location, k)
    hour = problem.hour(xp, state.bin)
    own = xp.arange(n, dtype=whole, device=here.device) == here[:, None]
    at, taken = _occupied(xp, state, n)
    parked = xp.sum(at, axis=1, dtype=whole) - taken
    flying = at * xp.astype(state.landed > now, whole)[:, :, None]
    inbound = xp.sum(flying, axis=1, dtype=whole)
    waiting = xp.sum(xp.astype(state.queue, number), axis=1)
    miles = gather(xp, instance.distance, here)
    delay = gather(xp, instance.expected_delay, hour)
    fares = xp.reshape(instance.fare, (instance.fare.shape[0], -1, n))
    closures = xp.reshape(instance.closure, (instance.closure.shape[0], -1, n))
    stands = xp.astype(instance.chargers, number)
    most = xp.maximum(stands, xp.ones_like(stands))
    columns = (
        *_places(xp, instance, setting),
        xp.astype(instance.business, number),
        xp.astype(instance.chargers > 0, number),
        1 - xp.astype(parked, number) / xp.astype(instance.parking, number),
        (stands - xp.astype(taken, number)) / most,
        xp.astype(xp.sum(at, axis=1, dtype=whole) - inbound, number) / GROUND,
        xp.astype(inbound, number) / GROUND,
        delay / DELAY,
        _cut(xp, xp.sum(waiting, axis=2) / QUEUE),
        _cut(xp, xp.sum(waiting, axis=1) / QUEUE),
        xp.astype(own, number),
        xp.astype(legs.allowed, number),
        xp.astype(legs.boarded, number) / setting.seats,
        gather(xp, fares, state.bin * n + here) / FARE,
        legs.profit / PROFIT,
        legs.minutes / 60,
        legs.profit / legs.minutes,
        gather(xp, closures, hour * n + here) * CLOSURE,
        miles / MILES,
        _cut(xp, _next_profit(xp, problem, instance, state, now + legs.minutes) / PROFIT),
    )
    energy = setting.flight_energy + setting.consumption * miles
    aircraft = xp.arange(state.ready.shape[1], dtype=k.dtype, device=k.device)
    craft = (
        *(gather(xp, place, state.location) for place in _places(xp, instance, setting)),
        _cut(xp, (state.ready - now) / 60),
        state.charge / setting.battery,
        xp.astype(state.charging, number),
        instance.failure * FAILURE,
        xp.astype(aircraft == k[:, None], number),
        xp.astype(state.location == here[:, None], number),
        gather(xp, energy, state.location) / setting.battery,
    )
    return {
        "vertiports": _stack(xp, columns, (state.num, n)),
        "aircraft": _stack(xp, craft, (state.num, setting.num_aircraft)),
        "series": _vertiport_series(xp, problem, instance, state),
        "context": _context(xp, setting, now[:, 0]),
    }


def _paper(xp: Any, problem: UAMFleet, instance: UAMInstance, state: UAMState) -> dict[str, Array]:
    setting, n = problem.setting, problem.setting.num_vertiports
    number, whole = state.ready.dtype, state.location.dtype
    now = xp.min(state.ready, axis=1, keepdims=True)
    at, taken = _occupied(xp, state, n)
    parked = xp.sum(at, axis=1, dtype=whole) - taken
    minutes = (state.ready - now) / 60
    # A charger is held until its aircraft leaves, which it may when it is ready.
    blocked = xp.full_like(minutes, LIMIT)
    until = xp.where(state.charging, xp.minimum(minutes, blocked), blocked)
    until = xp.where(at > 0, until[:, :, None], xp.full_like(until, LIMIT)[:, :, None])
    until = xp.min(until, axis=1)
    until = xp.where(taken < instance.chargers, xp.zeros_like(until), until)
    delay = gather(xp, instance.expected_delay, problem.hour(xp, state.bin))
    columns = (
        *_places(xp, instance, setting),
        xp.astype(parked, number) / xp.astype(instance.parking, number),
        until,
        delay / DELAY,
        xp.astype(instance.chargers == 0, number),
    )
    craft = (
        *(gather(xp, place, state.location) for place in _places(xp, instance, setting)),
        state.charge / setting.battery,
        _cut(xp, (now - state.takeoff) / 60),
        _cut(xp, minutes),
        instance.failure * FAILURE,
    )
    later, inside = _later(xp, setting, state)
    shown = xp.astype(inside, number)[:, :, None, None]
    series = (
        _cut(xp, gather(xp, instance.demand, later) / QUEUE) * shown,
        gather(xp, instance.fare, later) / FARE * shown,
    )
    return {
        "vertiports": _stack(xp, columns, (state.num, n)),
        "aircraft": _stack(xp, craft, (state.num, setting.num_aircraft)),
        "series": xp.stack(series, axis=4),
        "context": _context(xp, setting, now[:, 0]),
    }


def _ref2022(
    xp: Any, problem: UAMFleet, instance: UAMInstance, state: UAMState
) -> dict[str, Array]:
    setting, n = problem.setting, problem.setting.num_vertiports
    number, whole = state.ready.dtype, state.location.dtype
    at, taken = _occupied(xp, state, n)
    parked = xp.sum(at, axis=1, dtype=whole) - taken
    stands = xp.astype(instance.chargers, number)
    left = instance.demand - xp.astype(state.carried, number)
    fares = xp.reshape(gather(xp, instance.fare, state.bin), (state.num, 1, n * n))
    fares = xp.broadcast_to(_share(xp, fares), (state.num, n, n * n))
    single = (
        *_places(xp, instance, setting),
        xp.astype(parked, number) / xp.astype(instance.parking, number),
        xp.astype(taken, number) / xp.maximum(stands, xp.ones_like(stands)),
        xp.astype(instance.parking, number) / 6,
        stands / 6,
    )
    outgoing = xp.permute_dims(xp.sum(left, axis=3), (0, 2, 1))
    incoming = xp.permute_dims(xp.sum(left, axis=2), (0, 2, 1))
    columns = (
        _stack(xp, single, (state.num, n)),
        _share(xp, outgoing),
        _share(xp, incoming),
        fares,
    )
    one = xp.ones_like(state.ready)
    craft = (
        *(gather(xp, place, state.location) for place in _places(xp, instance, setting)),
        one * (setting.seats / 4),
        one * (setting.landing / 6),
        one * (setting.takeoff / 6),
        one * (setting.speed / 100),
        (setting.opening + state.takeoff / 60) / 24,
        (setting.opening + state.ready / 60) / 24,
        one * (setting.battery / 110),
    )
    return {
        "vertiports": xp.concat(columns, axis=2),
        "aircraft": _stack(xp, craft, (state.num, setting.num_aircraft)),
    }


def _places(xp: Any, instance: UAMInstance, setting: Setting) -> tuple[Array, Array]:
    """Coordinates (B, N) as shares of the side."""
    unit = instance.position / setting.side
    return unit[:, :, 0], unit[:, :, 1]


def _occupied(xp: Any, state: UAMState, n: int) -> tuple[Array, Array]:
    """Where aircraft are, 0 or 1 (B, K, N), and chargers taken or reserved (B, N)."""
    whole = state.location.dtype
    vertiports = xp.arange(n, dtype=whole, device=state.location.device)
    at = xp.astype(state.location[:, :, None] == vertiports, whole)
    taken = xp.sum(at * xp.astype(state.charging, whole)[:, :, None], axis=1, dtype=whole)
    return at, taken


def _later(xp: Any, setting: Setting, state: UAMState) -> tuple[Array, Array]:
    """The next bins (B, AHEAD), and which of them are before closing."""
    ahead = xp.arange(1, AHEAD + 1, dtype=state.bin.dtype, device=state.bin.device)
    later = state.bin[:, None] + ahead
    last = xp.full_like(later, setting.num_bins - 1)
    return xp.minimum(later, last), later <= last


def _next_profit(
    xp: Any, problem: UAMFleet, instance: UAMInstance, state: UAMState, then: Array
) -> Array:
    """Expected profit (B, N) of the best leg from every vertiport at the times ``then`` (B, N).

    Who waits now and will still do so, and who is expected until then, is there for this leg alone.
    """
    setting, n = problem.setting, problem.setting.num_vertiports
    whole, number, ages = state.bin.dtype, state.ready.dtype, state.queue.shape[1]
    last = xp.full_like(then, setting.num_bins - 1)
    bins = xp.astype(xp.floor(xp.minimum(then / setting.bin, last)), whole)
    now = state.bin[:, None]
    own = xp.arange(n, dtype=whole, device=bins.device)
    people = xp.zeros((state.num, n, n), dtype=number, device=bins.device)
    for age in range(ages):
        waits = xp.astype(state.queue[:, age, ...], number)
        if setting.patience is not None:
            stays = now - (ages - 1 - age) > bins - ages
            waits = waits * xp.astype(stays, number)[:, :, None]
        people = people + waits
    if setting.demand != "pool":
        demand = xp.reshape(instance.demand, (instance.demand.shape[0], -1, n))
        for age in range(setting.num_bins if setting.patience is None else ages):
            came = bins - age
            expected = gather(xp, demand, xp.maximum(came, xp.zeros_like(came)) * n + own)
            people = people + expected * xp.astype(came > now, number)[:, :, None]
    people = xp.minimum(people, xp.full_like(people, setting.seats))
    fares = xp.reshape(instance.fare, (instance.fare.shape[0], -1, n))
    cost, margin = _leg_money(setting, instance.distance, gather(xp, fares, bins * n + own))
    best = xp.max(people * margin - cost, axis=2)
    return xp.where(then < setting.day, xp.maximum(best, xp.zeros_like(best)), xp.zeros_like(best))


def _leg_money(setting: Setting, miles: Array, fare: Array) -> tuple[Array, Array]:
    """Cost of a leg with the energy that it uses, and margin per passenger."""
    energy = setting.flight_energy + setting.consumption * miles
    cost = setting.mile_cost * miles + setting.electricity_price * energy
    return cost, fare - setting.passenger_mile_cost * miles


def _vertiport_series(xp: Any, problem: UAMFleet, instance: UAMInstance, state: UAMState) -> Array:
    setting = problem.setting
    later, inside = _later(xp, setting, state)
    demand = gather(xp, instance.demand, later)
    fare = gather(xp, instance.fare, later)
    delay = gather(xp, instance.expected_delay, problem.hour(xp, later))
    cost, margin = _leg_money(setting, instance.distance[:, None, ...], fare)
    profit = margin - cost / setting.seats
    profit = demand * xp.maximum(profit, xp.zeros_like(profit))
    columns = (
        _cut(xp, xp.sum(demand, axis=3) / QUEUE),
        _cut(xp, xp.sum(demand, axis=2) / QUEUE),
        xp.sum(fare, axis=3) / ((setting.num_vertiports - 1) * FARE),
        delay / DELAY,
        _cut(xp, xp.sum(profit, axis=3) / POTENTIAL),
    )
    return xp.stack(columns, axis=3) * xp.astype(inside, demand.dtype)[:, :, None, None]


def _context(xp: Any, setting: Setting, now: Array) -> Array:
    hour = (setting.opening + now / 60) * (2 * np.pi / 24)
    left = (setting.day - now) / 720
    return xp.stack((now / setting.day, xp.sin(hour), xp.cos(hour), left), axis=1)


def _cut(xp: Any, values: Array) -> Array:
    return xp.minimum(values, xp.full_like(values, LIMIT))


def _share(xp: Any, values: Array) -> Array:
    """Values as shares of the largest in the last axis."""
    largest = xp.max(values, axis=-1, keepdims=True)
    return values / xp.maximum(largest, xp.ones_like(largest))


def _stack(xp: Any, columns: tuple[Array, ...], shape: tuple[int, int]) -> Array:
    """Columns side by side, those that all rows share repeated."""
    return xp.stack([xp.broadcast_to(column, shape) for column in columns], axis=2)
