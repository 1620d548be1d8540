"""Data of a day of the fleet: what is announced, and what chance brings; their laws and files."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import TypeVar

import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.random import Generators
from or_envs.uam_fleet.presets import Setting

#: Gravity of two vertiports falls by e in so many miles.
_GRAVITY_MILES = 40.0
#: Weight of a peak by whether it leads from homes to work, within business districts, or elsewhere.
_WITH_TIDE, _WITHIN, _AGAINST, _MIDDAY = 3.0, 1.5, 0.3, 0.6
#: Layouts that are tried before the least distance counts as impossible.
_TRIES = 10_000

A = TypeVar("A", bound=Arrays)


@dataclasses.dataclass(frozen=True)
class UAMInstance(Arrays):
    """What the controller knows at the opening; N vertiports, K aircraft, H bins, U hours.

    Attributes
    ----------
    position
        Miles, (B, N, 2).
    distance
        Miles, (B, N, N).
    escape
        kWh to the nearest vertiport with chargers, 0 at those that have some, (B, N).
    business
        Whether a vertiport belongs to a business district, bool (B, N).
    parking, chargers
        Stands without and with a charger, integers (B, N).
    location
        Vertiport of every aircraft at the opening, integers (B, K).
    demand
        Expected passengers of a bin, (B, H, N, N).
    fare
        Money per passenger by the bin in which the aircraft is sent off, (B, H, N, N).
    expected_delay
        Announced minutes before take-off, (B, U, N).
    closure
        Probability that a route is closed in an hour, (B, U, N, N).
    failure
        Probability that an aircraft fails at a landing, (B, K).
    waiting
        Passengers of the first bin, integers (B, N, N).
    closed
        Routes closed in the first hour, bool (B, N, N).
    """

    position: Array
    distance: Array
    escape: Array
    business: Array
    parking: Array
    chargers: Array
    location: Array
    demand: Array
    fare: Array
    expected_delay: Array
    closure: Array
    failure: Array
    waiting: Array
    closed: Array


@dataclasses.dataclass(frozen=True)
class UAMTape(Arrays):
    """What chance brings after the opening, whatever is decided.

    Attributes
    ----------
    arrivals
        Passengers of bins 1 to H - 1, integers (B, H - 1, N, N).
    delay
        Minutes before take-off of a decision in every bin, (B, H, N).
    closed
        Routes closed in hours 1 to U - 1, bool (B, U - 1, N, N).
    failure
        Whether an aircraft fails at its m-th landing, bool (B, K, M).
    """

    arrivals: Array
    delay: Array
    closed: Array
    failure: Array


def make_instance(
    setting: Setting,
    position: np.ndarray,
    business: np.ndarray,
    parking: np.ndarray,
    chargers: np.ndarray,
    location: np.ndarray,
    demand: np.ndarray,
    fare: np.ndarray,
    expected_delay: np.ndarray,
    closure: np.ndarray,
    failure: np.ndarray,
    waiting: np.ndarray,
    closed: np.ndarray,
) -> UAMInstance:
    """Return the instance with the distances and energies that follow from the positions."""
    distance = distances(position)
    energy = setting.flight_energy + setting.consumption * distance
    away = np.where((chargers > 0)[:, None, :], energy, np.inf).min(axis=2)
    return UAMInstance(
        position=position,
        distance=distance,
        escape=np.where(chargers > 0, 0.0, away),
        business=business,
        parking=parking,
        chargers=chargers,
        location=location,
        demand=demand,
        fare=fare,
        expected_delay=expected_delay,
        closure=closure,
        failure=failure,
        waiting=waiting,
        closed=closed,
    )


def distances(position: np.ndarray) -> np.ndarray:
    """Euclidean distances (B, N, N) of positions (B, N, 2)."""
    difference = position[:, :, None, :] - position[:, None, :, :]
    squares = difference**2
    return np.sqrt(squares[..., 0] + squares[..., 1])


# ---- laws -----------------------------------------------------------------------------------


def sample_instances(setting: Setting, rngs: Generators) -> UAMInstance:
    """Draw layouts, forecasts and where aircraft stand; see :class:`Setting` for the laws."""
    n, k, hours = setting.num_vertiports, setting.num_aircraft, setting.num_hours
    num = len(rngs)
    position, business = np.empty((num, n, 2)), np.zeros((num, n), dtype=np.bool_)
    chargers = np.full((num, n), setting.chargers)
    weight = np.empty((num, n))
    location = np.empty((num, k), dtype=np.int64)
    expected_delay, closure = np.empty((num, hours, n)), np.empty((num, hours, n, n))
    failure = np.empty((num, k))
    luck = np.empty((num, n, n))
    for b, rng in enumerate(rngs):
        seed = setting.layout_seed
        of_layout = rng if seed is None else np.random.default_rng(seed)
        position[b] = _separate_points(setting, of_layout)
        centre = setting.side * (0.3 + 0.4 * of_layout.random(2))
        order = ((position[b] - centre) ** 2).sum(axis=1).argsort(kind="stable")
        business[b, order[: setting.num_business]] = True
        others = order[setting.num_business :]
        chargers[b, of_layout.permutation(others)[: setting.num_vertistops]] = 0
        weight[b] = np.exp(0.4 * of_layout.standard_normal(n))
        location[b] = _starts(setting, rng)
        expected_delay[b] = setting.max_expected_delay * rng.random((hours, n))
        closure[b] = setting.max_closure * rng.random((hours, n, n))
        failure[b] = setting.max_failure * rng.random(k)
        luck[b] = rng.random((n, n))
    distance = distances(position)
    if setting.demand == "pool":
        demand = _published_table(setting, position, rngs)
        waiting = np.stack([rng.integers(0, 100, (n, n)) for rng in rngs])
        waiting[:, np.arange(n), np.arange(n)] = 0
    else:
        demand = _commuters(setting, distance, business, weight)
        waiting = np.stack([rng.poisson(mean[0]) for rng, mean in zip(rngs, demand, strict=True)])
    return make_instance(
        setting,
        position,
        business,
        np.full((num, n), setting.parking),
        chargers,
        location,
        demand,
        fares(setting, distance, demand),
        expected_delay,
        closure,
        failure,
        waiting,
        luck < closure[:, 0],
    )


def sample_tape(setting: Setting, instance: UAMInstance, rngs: Generators) -> UAMTape:
    """Draw what chance brings after the opening."""
    num, n, k = len(rngs), setting.num_vertiports, setting.num_aircraft
    bins, hours = setting.num_bins, setting.num_hours
    arrivals = np.zeros((num, bins - 1, n, n), dtype=np.int64)
    normal, closed = np.empty((num, bins, n)), np.empty((num, hours - 1, n, n))
    failure = np.empty((num, k, setting.max_flights))
    for b, rng in enumerate(rngs):
        if setting.demand == "commuters":
            arrivals[b] = rng.poisson(instance.demand[b if instance.demand.shape[0] > 1 else 0, 1:])
        normal[b] = rng.standard_normal((bins, n))
        closed[b] = rng.random((hours - 1, n, n))
        failure[b] = rng.random((k, setting.max_flights))
    hour = np.minimum(np.arange(bins) * setting.bin // 60, hours - 1)
    delay = instance.expected_delay[:, hour] + setting.delay_deviation * normal
    return UAMTape(
        arrivals,
        np.clip(delay, 0.0, setting.max_delay),
        closed < instance.closure[:, 1:],
        failure < instance.failure[:, :, None],
    )


def _separate_points(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    n = setting.num_vertiports
    for _ in range(_TRIES):
        points = setting.side * rng.random((n, 2))
        near = distances(points[None])[0] + np.diag(np.full(n, np.inf))
        if near.min() > setting.min_separation or setting.min_separation == 0:
            return points
    raise ValueError(
        f"min_separation: {n} vertiports in {setting.side:g} x {setting.side:g} miles are hardly"
        f" ever {setting.min_separation:g} miles apart; expected less"
    )


def _starts(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """Vertiports of the aircraft, uniform, drawn again until enough stands are free everywhere."""
    room = setting.parking - setting.spare_parking
    while True:
        location = rng.integers(0, setting.num_vertiports, setting.num_aircraft)
        if np.bincount(location).max() <= room:
            return location


def _commuters(
    setting: Setting, distance: np.ndarray, business: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Expected passengers (B, H, N, N): gravity times three peaks, scaled to the load."""
    n = setting.num_vertiports
    gravity = weight[:, :, None] * weight[:, None, :] * np.exp(-distance / _GRAVITY_MILES)
    gravity[:, np.arange(n), np.arange(n)] = 0.0
    hour = setting.opening + (np.arange(setting.num_bins) + 0.5) * setting.bin / 60

    def peak(centre: float, deviation: float) -> np.ndarray:
        return np.exp(-0.5 * ((hour - centre) / deviation) ** 2)[None, :, None, None]

    start, end = business[:, :, None], business[:, None, :]
    within = np.where(start & end, _WITHIN, _AGAINST)
    inward = np.where(~start & end, _WITH_TIDE, within)[:, None]
    outward = np.where(start & ~end, _WITH_TIDE, within)[:, None]
    shape = gravity[:, None] * (
        inward * peak(*setting.morning)
        + outward * peak(*setting.evening)
        + _MIDDAY * peak(*setting.midday)
    )
    if setting.route_demand is not None:
        total = np.full(len(distance), setting.route_demand * n * (n - 1) * setting.num_hours)
    else:
        mean = _total(gravity * distance) / _total(gravity)
        energy = setting.flight_energy + setting.consumption * mean
        cycle = setting.takeoff + setting.landing + mean / setting.speed * 60
        cycle += energy / setting.power * 60
        total = setting.load * setting.num_aircraft * setting.seats * setting.day / cycle
    demand: np.ndarray = shape * (total / _total(shape))[:, None, None, None]
    return demand


def _total(values: np.ndarray) -> np.ndarray:
    # Over one axis, so that the order of summation does not depend on the batch size.
    total: np.ndarray = values.reshape(len(values), -1).sum(axis=1)
    return total


def fares(setting: Setting, distance: np.ndarray, demand: np.ndarray) -> np.ndarray:
    """Fares (B, H, N, N), 0 on the diagonal; where nobody travels there is no surge."""
    miles = distance[:, None]
    if setting.fare == "truncated":
        return np.broadcast_to(np.trunc(setting.mile_fare * miles), demand.shape).copy()
    level = np.where(demand > 0, demand, 1e-9)
    if setting.fare == "logarithmic":
        hourly = level * (60 / setting.bin)
        rate = setting.passenger_mile_cost * np.maximum(np.log(hourly / 10), 1.0)
    else:
        mean = np.maximum(demand.mean(axis=1, keepdims=True), 1e-9)
        rate = setting.mile_fare * np.clip(1 + 0.5 * np.log(level / mean), 1.0, 2.0)
    per_passenger: np.ndarray = np.where(
        np.eye(setting.num_vertiports, dtype=np.bool_), 0.0, setting.base_fare + rate * miles
    )
    return per_passenger


def _published_table(setting: Setting, position: np.ndarray, rngs: Generators) -> np.ndarray:
    """REF22's "time-varying demand" (B, 13, N, N), with its evening peak at 4.30 h."""
    time = np.linspace(setting.opening, setting.opening + setting.num_hours, setting.num_bins)
    n = setting.num_vertiports
    urban = distances(np.concatenate([position, np.full((len(position), 1, 2), [45.0, 55.0])], 1))
    urban = urban[:, :n, n] < 30.0

    def bell(centre: np.ndarray | float, height: float) -> np.ndarray:
        density = np.exp(-0.5 * ((time - centre) / 4.0) ** 2) / (4.0 * 1.41 * 3.14)
        return np.trunc(density * height + height)[None, :, None, None]

    noise = np.stack([rng.integers(1, 10, (len(time), n, n)) for rng in rngs])
    start, end = urban[:, None, :, None], urban[:, None, None, :]
    both = bell(np.where(time < 6.65, 9.0, 4.30), 100.0)
    table = np.where(
        start & end,
        both,
        np.where(start, bell(4.30, 30.0), np.where(end, bell(9.0, 30.0), 20.0)) + noise,
    )
    table[:, :, np.arange(n), np.arange(n)] = 0.0
    return table


# ---- files ----------------------------------------------------------------------------------


def save(path: str | Path, instance: UAMInstance, tape: UAMTape) -> None:
    """Write days to a compressed npz file."""
    arrays = {f"instance.{name}": getattr(instance, name) for name in instance.names()}
    arrays |= {f"tape.{name}": getattr(tape, name) for name in tape.names()}
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)


def load(path: str | Path) -> tuple[UAMInstance, UAMTape]:
    """Read days that :func:`save` wrote; nothing in the file is executed.

    Raises
    ------
    ValueError
        If the file is none of these, or an array is missing or has an impossible shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"path: {path} is no npz file of days: {error}") from None
    instance = _part(path, arrays, "instance", UAMInstance)
    tape = _part(path, arrays, "tape", UAMTape)
    _check_shapes(path, instance, tape)
    return instance, tape


def _part(path: str | Path, arrays: dict[str, np.ndarray], name: str, kind: type[A]) -> A:
    wanted = [f"{name}.{field}" for field in kind.names()]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        raise ValueError(f"path: {path} lacks {', '.join(missing)}")
    return kind(*(arrays[key] for key in wanted))


def _check_shapes(path: str | Path, instance: UAMInstance, tape: UAMTape) -> None:
    num, n = instance.position.shape[:2]
    k, bins, hours = (
        instance.location.shape[1],
        instance.demand.shape[1],
        instance.closure.shape[1],
    )
    shapes = {
        "distance": (num, n, n),
        "escape": (num, n),
        "business": (num, n),
        "parking": (num, n),
        "chargers": (num, n),
        "location": (num, k),
        "demand": (num, bins, n, n),
        "fare": (num, bins, n, n),
        "expected_delay": (num, hours, n),
        "closure": (num, hours, n, n),
        "failure": (num, k),
        "waiting": (num, n, n),
        "closed": (num, n, n),
    }
    later = {
        "arrivals": (num, bins - 1, n, n),
        "delay": (num, bins, n),
        "closed": (num, hours - 1, n, n),
        "failure": (num, k, tape.failure.shape[2]),
    }
    for part, expected in ((instance, shapes), (tape, later)):
        for name, shape in expected.items():
            found = getattr(part, name).shape
            if found != shape:
                raise ValueError(f"path: {path}: {name} has shape {found}, expected {shape}")
