"""Constants of the urban air mobility fleet problem, and the published and own sets of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np

#: "surge": base fare, and a fare per mile that rises with the route's demand. "logarithmic": base
#: fare, and the cost per passenger-mile times the logarithm of hourly demand / 10, at least 1.
#: "truncated": the fare per mile in whole money, as in REF22.
Fare = Literal["surge", "logarithmic", "truncated"]
#: "commuters": Poisson around a gravity model with a morning, an evening and a midday peak. "pool":
#: everybody waits from the opening on, as in REF22.
Demand = Literal["commuters", "pool"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """Constants of a fleet, its vertiports and its passengers.

    Parameters
    ----------
    num_vertiports, num_aircraft
        N >= 2 and K >= 1.
    num_business
        Vertiports of business districts, the nearest to the centre of demand.
    num_vertistops
        Vertiports without chargers, drawn from the others.
    side, min_separation
        Miles: side of the square area, and least distance of two vertiports.
    layout_seed
        Seed of a layout that all episodes share; ``None``: every episode has its own.
    parking, chargers
        Stands of a vertiport without and with a charger.
    spare_parking
        Stands without a charger that are free at every vertiport at the opening.
    opening, day
        Hour of the clock, and minutes until closing, a multiple of 60.
    bin
        Minutes in which demand is counted, a divisor of 60.
    patience
        Bins that passengers wait; ``None``: for ever.
    seats
        Passengers per aircraft.
    speed
        Miles per hour.
    battery, consumption, flight_energy, reserve
        kWh, kWh per mile, kWh for take-off and landing together, and the least kWh after a flight.
    power
        kW of a charger.
    takeoff, landing, turnaround, stay
        Minutes; ``turnaround`` is the time on the ground without charging.
    charger_landing
        Whether every landing needs a charger, as in REF22; else a stand without one will do.
    electricity_price, mile_cost, passenger_mile_cost
        Money per kWh charged, per mile of an aircraft, per mile of a passenger.
    fare, base_fare, mile_fare
        See :data:`Fare`; money per passenger, and per passenger-mile.
    demand
        See :data:`Demand`.
    load
        Expected passengers of a day over what the fleet could carry if it flew full all day.
    route_demand
        Mean passengers per route and hour; replaces ``load``.
    morning, midday, evening
        Centre and deviation of the peaks, hours.
    max_expected_delay, delay_deviation, max_delay
        Minutes before take-off. A vertiport's expected delay of an hour is U[0, max_expected_delay]
        and announced; that of a bin is normal around it, cut to [0, max_delay].
    max_closure
        A route's probability of being closed in an hour is U[0, max_closure].
    max_failure, repair
        An aircraft's probability of failing at a landing is U[0, max_failure]; minutes of repair.
    lanes, headway
        Parallel corridors per route, 0 for no limit, and minutes between take-offs into one.

    Raises
    ------
    ValueError
        If a value is outside its range; the message names field, value and range.
    """

    num_vertiports: int = 8
    num_aircraft: int = 40
    num_business: int = 3
    num_vertistops: int = 2
    side: float = 50.0
    min_separation: float = 5.0
    layout_seed: int | None = None
    parking: int = 10
    chargers: int = 6
    spare_parking: int = 2
    opening: float = 6.0
    day: int = 720
    bin: int = 15
    patience: int | None = 2
    seats: int = 4
    speed: float = 74.5
    battery: float = 110.0
    consumption: float = 2.2
    flight_energy: float = 0.0
    reserve: float = 0.0
    power: float = 150.0
    takeoff: float = 6.0
    landing: float = 6.0
    turnaround: float = 5.0
    stay: float = 15.0
    charger_landing: bool = False
    electricity_price: float = 0.2
    mile_cost: float = 0.64
    passenger_mile_cost: float = 0.0
    fare: Fare = "surge"
    base_fare: float = 5.0
    mile_fare: float = 1.5
    demand: Demand = "commuters"
    load: float = 1.2
    route_demand: float | None = None
    morning: tuple[float, float] = (8.5, 0.75)
    midday: tuple[float, float] = (12.0, 4.0)
    evening: tuple[float, float] = (16.5, 0.75)
    max_expected_delay: float = 6.0
    delay_deviation: float = 6.0
    max_delay: float = 30.0
    max_closure: float = 0.05
    max_failure: float = 0.005
    repair: float = 120.0
    lanes: int = 2
    headway: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (
            ("num_vertiports", 2),
            ("num_aircraft", 1),
            ("num_business", 0),
            ("num_vertistops", 0),
            ("parking", 1),
            ("chargers", 0),
            ("spare_parking", 0),
            ("seats", 1),
            ("lanes", 0),
        ):
            _whole(name, getattr(self, name), least)
        if self.patience is not None:
            _whole("patience", self.patience, 1)
        if self.layout_seed is not None:
            _whole("layout_seed", self.layout_seed, 0)
        for name in ("side", "speed", "battery", "power", "takeoff", "landing", "stay"):
            _number(name, getattr(self, name), "> 0", getattr(self, name) > 0)
        for name in (
            *("min_separation", "consumption", "flight_energy", "reserve", "turnaround"),
            *("electricity_price", "mile_cost", "passenger_mile_cost", "base_fare", "mile_fare"),
            *("load", "max_expected_delay", "delay_deviation", "max_delay", "repair", "headway"),
        ):
            _number(name, getattr(self, name), ">= 0", getattr(self, name) >= 0)
        for name in ("max_closure", "max_failure"):
            value = getattr(self, name)
            _number(name, value, "in [0, 1]", 0 <= value <= 1)
        _number("opening", self.opening, "in [0, 24)", 0 <= self.opening < 24)
        if self.route_demand is not None:
            _number("route_demand", self.route_demand, ">= 0", self.route_demand >= 0)
        if not isinstance(self.bin, int) or self.bin < 1 or 60 % self.bin:
            raise ValueError(f"bin: expected minutes that divide 60, got {self.bin!r}")
        if not isinstance(self.day, int) or self.day < 60 or self.day % 60:
            raise ValueError(f"day: expected a positive multiple of 60 minutes, got {self.day!r}")
        for name, allowed in (("fare", get_args(Fare)), ("demand", get_args(Demand))):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        if self.demand == "pool" and self.patience is not None:
            raise ValueError(f"patience: expected None with demand='pool', got {self.patience!r}")
        if self.num_business + self.num_vertistops > self.num_vertiports:
            raise ValueError(
                "num_vertistops: expected at most num_vertiports - num_business ="
                f" {self.num_vertiports - self.num_business}, got {self.num_vertistops}"
            )
        room = self.num_vertiports * (self.parking - self.spare_parking)
        if self.num_aircraft > room:
            raise ValueError(
                "num_aircraft: expected at most num_vertiports * (parking - spare_parking) ="
                f" {room}, got {self.num_aircraft}"
            )
        if self.reserve >= self.battery:
            raise ValueError(f"reserve: expected less than the battery, got {self.reserve!r}")

    @property
    def num_bins(self) -> int:
        """Bins H of the day; where everybody waits from the opening on, the closing is one more."""
        return self.day // self.bin + (self.demand == "pool")

    @property
    def num_hours(self) -> int:
        """Hours of the day."""
        return self.day // 60

    @property
    def max_flights(self) -> int:
        """No aircraft takes off more often in a day."""
        return 1 + int(np.ceil(self.day / (self.takeoff + self.landing)))


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: expected an integer >= {least}, got {value!r}")


def _number(name: str, value: Any, allowed: str, holds: bool) -> None:
    if not holds or not np.isfinite(value):
        raise ValueError(f"{name}: expected a number {allowed}, got {value!r}")


_DETERMINISTIC: dict[str, Any] = {
    "max_expected_delay": 0.0,
    "delay_deviation": 0.0,
    "max_closure": 0.0,
    "max_failure": 0.0,
    "lanes": 0,
}

#: The sets of constants by name.
#:
#: - "default": our benchmark. "det": the same without delays, closures, failures and corridors;
#:   demand stays random. "tiny": three vertiports, four aircraft and three hours of "det".
#: - "ref2022": repository iamstevepaul/UAM_fleet_Scheduling, commit f7c516c (REF22). Exact.
#: - "paper2024": arXiv 2401.04851. Its constants are not public; see the documentation for which of
#:   these are guesses.
#: - "winged": aircraft, day and profile of the repository adam7758/AAM-SIM; the rest is ours.
PRESETS: dict[str, Setting] = {
    "default": Setting(),
    "det": Setting(**_DETERMINISTIC),
    "tiny": Setting(
        **_DETERMINISTIC,
        num_vertiports=3,
        num_aircraft=4,
        num_business=1,
        num_vertistops=0,
        day=180,
    ),
    "ref2022": Setting(
        **_DETERMINISTIC,
        num_aircraft=19,
        num_business=0,
        num_vertistops=0,
        min_separation=0.0,
        parking=6,
        spare_parking=0,
        bin=60,
        patience=None,
        charger_landing=True,
        mile_cost=0.0,
        fare="truncated",
        base_fare=0.0,
        demand="pool",
    ),
    "paper2024": Setting(
        patience=None,
        mile_cost=0.0,
        passenger_mile_cost=0.64,
        fare="logarithmic",
        # 40 per hour for each of the 64 pairs of vertiports, of which 56 are routes.
        route_demand=320 / 7,
    ),
    "winged": Setting(
        num_vertiports=30,
        num_aircraft=40,
        num_business=8,
        num_vertistops=0,
        min_separation=2.0,
        parking=10,
        chargers=5,
        day=900,
        bin=10,
        patience=1,
        speed=150.0,
        battery=140.0,
        consumption=0.56,
        flight_energy=14.0,
        reserve=28.0,
        power=336.0,
        takeoff=2.0,
        landing=2.0,
        morning=(8.0, 2.0),
        midday=(12.0, 6.0),
        evening=(16.0, 2.0),
    ),
}


def setting_of(preset: str, changes: dict[str, Any]) -> Setting:
    """Return a preset with some of its constants changed.

    Raises
    ------
    ValueError
        If the preset or a constant is unknown, or a value is outside its range.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    names = [field.name for field in dataclasses.fields(Setting)]
    for name in changes:
        if name not in names:
            raise ValueError(f"{name}: unknown constant; those of a setting are {', '.join(names)}")
    return dataclasses.replace(PRESETS[preset], **changes)
