"""What happened in a day: figures per day, and the time-table of every aircraft."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet, UAMState


@dataclasses.dataclass(frozen=True)
class DayReport:
    """Figures of B days, arrays of shape (B,).

    Attributes
    ----------
    profit, revenue, electricity, operating
        Money; ``operating`` is the cost per mile of aircraft and passengers.
    arrived, served, expired, waiting
        Passengers: who came, flew, lost patience, and waited at closing.
    flights, empty_flights
        Flights, and those without passengers.
    load_factor
        Passenger-miles over seat-miles.
    utilisation
        Share of the time from opening to closing that aircraft are in the air.
    mean_wait
        Minutes from the start of a passenger's bin to boarding; NaN if they wait for ever.
    decisions, stays, forced_stays
        Decisions, those to stay, and those where nothing else was allowed.
    closures
        Decisions at which a route from the vertiport was closed.
    delay, downtime
        Minutes lost before take-off, and in repair.
    """

    profit: np.ndarray
    revenue: np.ndarray
    electricity: np.ndarray
    operating: np.ndarray
    arrived: np.ndarray
    served: np.ndarray
    expired: np.ndarray
    waiting: np.ndarray
    flights: np.ndarray
    empty_flights: np.ndarray
    load_factor: np.ndarray
    utilisation: np.ndarray
    mean_wait: np.ndarray
    decisions: np.ndarray
    stays: np.ndarray
    forced_stays: np.ndarray
    closures: np.ndarray
    delay: np.ndarray
    downtime: np.ndarray


def report(
    problem: UAMFleet, actions: np.ndarray, instance: UAMInstance, tape: UAMTape
) -> DayReport:
    """Play actions (B, T) again and count.

    Raises
    ------
    ValueError
        If the actions run out before closing.
    """
    problem = problem.compiled()
    setting, num = problem.setting, instance.num
    rows = np.arange(num)
    names = (
        *("operating", "served", "flights", "empty_flights", "flown", "offered", "air", "waited"),
        *("decisions", "stays", "forced_stays", "closures", "delay", "downtime"),
    )
    sums = {name: np.zeros(num) for name in names}
    state = problem.initial(instance)
    running = np.ones(num, dtype=np.bool_)
    last = state
    for step in range(actions.shape[1]):
        action = actions[:, step]
        k = state.ready.argmin(axis=1)
        here, now = state.location[rows, k], state.ready[rows, k]
        mask = problem.action_mask(instance, state)
        post, _ = problem.post_decision(instance, state, action)
        after, _, over = problem.transition(instance, post, tape)
        flies = action != here
        boarded = (state.queue - post.queue).sum(axis=(2, 3))
        people = boarded.sum(axis=1)
        miles = np.where(
            flies,
            np.broadcast_to(instance.distance, mask.shape + mask.shape[1:])[rows, here, action],
            0.0,
        )
        takeoff, landed = after.takeoff[rows, k], after.landed[rows, k]
        ground = _ground(problem, post, k)
        air = np.minimum(landed, setting.day) - np.minimum(takeoff, setting.day)
        closed = state.closed[rows, here]
        closed[rows, here] = False
        arrived = _arrival_times(problem, state)
        counts = {
            "operating": miles * (setting.mile_cost + setting.passenger_mile_cost * people),
            "served": people,
            "flights": flies,
            "empty_flights": flies & (people == 0),
            "flown": miles * people,
            "offered": miles * setting.seats,
            "air": np.where(flies, air, 0.0),
            "waited": (boarded * (now[:, None] - arrived)).sum(axis=1),
            "decisions": 1,
            "stays": ~flies,
            "forced_stays": mask.sum(axis=1) == 1,
            "closures": closed.any(axis=1),
            "delay": np.where(flies, takeoff - now, 0.0),
            "downtime": np.where(flies, after.ready[rows, k] - landed - ground, 0.0),
        }
        for name, count in counts.items():
            sums[name] += np.where(running, count, 0)
        last = after if step == 0 else last.replace_rows(running, after.rows(running))
        state = after
        running &= ~over
        if not running.any():
            break
    else:
        raise ValueError(f"actions: {actions.shape[1]} steps given, but days go on")
    came = np.concatenate(
        [
            np.broadcast_to(instance.waiting, (num, *instance.waiting.shape[1:]))[:, None],
            tape.arrivals,
        ],
        axis=1,
    ).sum(axis=(1, 2, 3))
    waiting = last.queue.sum(axis=(1, 2, 3))
    served = sums["served"]
    forever = setting.patience is None
    return DayReport(
        profit=last.revenue - last.cost,
        revenue=last.revenue,
        electricity=last.cost - sums["operating"],
        operating=sums["operating"],
        arrived=came,
        served=served,
        expired=came - served - waiting,
        waiting=waiting,
        flights=sums["flights"],
        empty_flights=sums["empty_flights"],
        load_factor=sums["flown"] / np.maximum(sums["offered"], 1e-9),
        utilisation=sums["air"] / (setting.num_aircraft * setting.day),
        mean_wait=np.full(num, np.nan) if forever else sums["waited"] / np.maximum(served, 1),
        **{
            name: sums[name]
            for name in ("decisions", "stays", "forced_stays", "closures", "delay", "downtime")
        },
    )


def _arrival_times(problem: UAMFleet, state: UAMState) -> np.ndarray:
    """When the passengers of every place in the queues came, (B, A)."""
    ages = state.queue.shape[1]
    times: np.ndarray = (state.bin[:, None] - np.arange(ages - 1, -1, -1)) * problem.setting.bin
    return times


def _ground(problem: UAMFleet, post: UAMState, k: np.ndarray) -> np.ndarray:
    """Minutes (B,) from landing to readiness of an aircraft that does not fail."""
    setting, rows = problem.setting, np.arange(len(k))
    filling = (setting.battery - post.charge[rows, k]) / setting.power * 60
    ground: np.ndarray = np.where(post.charging[rows, k], filling, setting.turnaround)
    return ground


class Bar(NamedTuple):
    """What an aircraft does for a time.

    Attributes
    ----------
    aircraft
        Its number.
    doing
        "delay" (before take-off), "flight", "charge", "turnaround", "repair" or "stay".
    start, minutes
        Since the opening.
    vertiport
        Where, or where to.
    passengers
        On board of a flight.
    """

    aircraft: int
    doing: str
    start: float
    minutes: float
    vertiport: int
    passengers: int


def timetable(
    problem: UAMFleet,
    instance: UAMInstance,
    states: Sequence[UAMState],
    actions: Sequence[np.ndarray],
) -> list[Bar]:
    """What every aircraft did in one day.

    Parameters
    ----------
    instance
        A batch of one.
    states
        The states before the actions, and the last one; batches of one.
    actions
        One fewer.
    """
    bars = []
    for state, after, given in zip(states, states[1:], actions, strict=False):
        action = np.reshape(given, 1)
        k = int(state.ready[0].argmin())
        now, ready = float(state.ready[0, k]), float(after.ready[0, k])
        there = int(action[0])
        post, _ = problem.post_decision(instance, state, action)
        if post.origin[0] < 0:
            charged = post.charge[0, k] > state.charge[0, k]
            bars.append(Bar(k, "charge" if charged else "stay", now, ready - now, there, 0))
            continue
        people = int((state.queue - post.queue).sum())
        takeoff, landed = float(after.takeoff[0, k]), float(after.landed[0, k])
        ground = float(_ground(problem, post, np.array([k]))[0])
        doing = "charge" if post.charging[0, k] else "turnaround"
        bars += [
            Bar(k, "delay", now, takeoff - now, there, people),
            Bar(k, "flight", takeoff, landed - takeoff, there, people),
            Bar(k, doing, landed, ground, there, 0),
        ]
        if ready - landed - ground > 1e-6:
            bars.append(Bar(k, "repair", landed + ground, ready - landed - ground, there, 0))
    return bars
