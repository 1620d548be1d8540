"""The time-expanded network of one known day: what linear and integer models plan with.

Aircraft are identical, so plans count them: x of them leave vertiport i for j in step t, y of them
stay at i. A flight lasts a whole number of steps; then the aircraft is ready at j. Passengers of
group g (those of bin g) fly in bins g to g + patience - 1, at the fare of the bin in which they
fly.

Rounding durations *down* gives a bound. A decision of the real day at minute s is put in step
floor(s / step); since floor(s) + floor(d) <= floor(s + d), the model's aircraft is never later than
the real one and can wait, and steps divide bins, so that fares and passengers are those of the real
day. Left out are failures, corridors and who gets a charger: the model charges after every flight
to a vertiport that has chargers, and needs no energy from others. A real aircraft that finds all
chargers taken puts its charge off, which costs less time at first; only on days where that happens
could this bound be too low.

:class:`baselines.uam_fleet.battery_model.BatteryModel` closes that gap: it is a bound on every day.

Rounding *up* gives plans that can be flown: where staying takes one step and chargers suffice (see
``reserve`` of the models), every flight of the plan takes off in its own step.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from baselines.common.checks import check_problem
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.presets import Setting
from or_envs.uam_fleet.problem import TOLERANCE, UAMFleet

Rounding = Literal["down", "nearest", "up"]


@dataclasses.dataclass(frozen=True)
class TimeNetwork:
    """Data of a day of T steps, M routes, N vertiports and H bins.

    Attributes
    ----------
    setting
        Constants of the fleet.
    step
        Minutes.
    origin, destination
        Vertiports of the routes within reach of a full battery, integers (M,).
    bin
        Bin of every step, integers (T,).
    duration
        Steps from the decision to fly until readiness (or landing), at least 1, integers (M, T).
    energy
        kWh per flight, (M,).
    open
        Whether the route is open, bool (M, T).
    cost
        Money per flight, (M,).
    margin
        Money per passenger by bin, (H, M).
    arrivals
        Passengers by bin, (H, M).
    start
        Aircraft at the vertiports in step 0, (N,).
    parking, chargers
        Stands, (N,) each.
    """

    setting: Setting
    step: float
    origin: np.ndarray
    destination: np.ndarray
    bin: np.ndarray
    duration: np.ndarray
    energy: np.ndarray
    open: np.ndarray
    cost: np.ndarray
    margin: np.ndarray
    arrivals: np.ndarray
    start: np.ndarray
    parking: np.ndarray
    chargers: np.ndarray

    @property
    def steps(self) -> int:
        """T."""
        return len(self.bin)

    @property
    def groups(self) -> list[tuple[int, int]]:
        """Pairs (g, h): passengers of bin g may fly in bin h."""
        bins, patience = len(self.arrivals), self.setting.patience
        last = bins if patience is None else patience
        return [(g, h) for g in range(bins) for h in range(g, min(g + last, bins))]


def time_network(
    problem: UAMFleet,
    instance: UAMInstance,
    tape: UAMTape,
    step: float = 5.0,
    rounding: Rounding = "down",
    ground: bool = True,
) -> TimeNetwork:
    """Return the network of a day, a batch of one; its delays and closures are known.

    Parameters
    ----------
    step
        Minutes, a divisor of the bins.
    rounding
        Of durations.
    ground
        Whether durations go on until readiness and costs hold the charge; else flights end with
        their landing.

    Raises
    ------
    ValueError
        If the problem is another, or ``step`` does not divide the bins.
    """
    check_problem(problem, UAMFleet)
    setting, n = problem.setting, problem.setting.num_vertiports
    if not step > 0 or setting.bin % step:
        raise ValueError(f"step: expected minutes that divide {setting.bin}, got {step!r}")
    miles = instance.distance[0]
    energy = setting.flight_energy + setting.consumption * miles
    # From a stop without chargers, one must still be in reach of what a full battery has left.
    reach = energy + instance.escape[0] <= setting.battery - setting.reserve + TOLERANCE
    reach &= ~np.eye(n, dtype=np.bool_)
    origin, destination = np.nonzero(reach)
    steps = round(setting.day / step)
    start = np.arange(steps) * step
    bin = (start // setting.bin).astype(np.int64)
    hour = np.minimum(start // 60, setting.num_hours - 1).astype(np.int64)
    charged = instance.chargers[0, destination] > 0
    miles, energy = miles[origin, destination], energy[origin, destination]
    flight = setting.takeoff + setting.landing + miles / setting.speed * 60
    if ground:
        flight += np.where(charged, energy / setting.power * 60, setting.turnaround)
    minutes = tape.delay[0][bin][:, origin].T + flight[:, None]
    exact = minutes / step
    rounded = {
        "down": np.floor(exact),
        "nearest": np.rint(exact),
        "up": np.ceil(exact - 1e-9),  # a whole number stays one, whatever its last digit
    }[rounding]
    closed = np.concatenate([instance.closed, tape.closed[0]])[hour]
    arrivals = np.concatenate([instance.waiting, tape.arrivals[0]])
    margin = instance.fare[0][:, origin, destination] - setting.passenger_mile_cost * miles
    bought = np.where(charged & ground, energy, 0.0)
    return TimeNetwork(
        setting=setting,
        step=step,
        origin=origin,
        destination=destination,
        bin=bin,
        duration=np.maximum(rounded, 1).astype(np.int64),
        energy=energy,
        open=~closed[:, origin, destination].T,
        cost=setting.mile_cost * miles + setting.electricity_price * bought,
        margin=margin,
        arrivals=arrivals[:, origin, destination],
        start=np.bincount(instance.location[0], minlength=n),
        parking=instance.parking[0],
        chargers=instance.chargers[0],
    )
