"""Numba kernels of the fleet, behind the same function names.

They state the equations of :mod:`or_envs.uam_fleet.problem` and the relational features of
:mod:`or_envs.uam_fleet.observations` a second time, for speed only, operation by operation in the
same order; ``check_problem`` compares the two on random days.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"
from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from or_envs.core.arrays import Array
from or_envs.uam_fleet import observations
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.observations import (
    AHEAD,
    CLOSURE,
    DELAY,
    FAILURE,
    FARE,
    GROUND,
    LIMIT,
    MILES,
    POTENTIAL,
    PROFIT,
    QUEUE,
)
from or_envs.uam_fleet.problem import TOLERANCE, Legs, UAMFleet, UAMState


class CompiledUAMFleet(UAMFleet):
    """A fleet on compiled numpy kernels (float64 arrays)."""

    def __init__(self, problem: UAMFleet) -> None:
        self.__dict__.update(problem.__dict__)
        s = self.setting
        forever = s.patience is None
        self._whole = (s.seats, s.bin, s.num_bins, s.num_hours, s.lanes, forever)
        self._flight = (s.takeoff, s.landing, s.speed, s.turnaround, s.stay, s.repair, s.headway)
        self._energy = (s.battery, s.consumption, s.flight_energy, s.reserve, s.power)
        self._money = (s.mile_cost, s.passenger_mile_cost, s.electricity_price)

    def post_decision(
        self, instance: UAMInstance, state: UAMState, action: Array
    ) -> tuple[UAMState, Array]:
        """Compiled form of :meth:`UAMFleet.post_decision`."""
        location, charge = state.location.copy(), state.charge.copy()
        charging, flights = state.charging.copy(), state.flights.copy()
        queue, carried = state.queue.copy(), state.carried.copy()
        revenue, cost = state.revenue.copy(), state.cost.copy()
        origin, reward = np.empty_like(state.origin), np.empty_like(revenue)
        _decide(
            instance.distance,
            instance.parking,
            instance.chargers,
            instance.fare,
            state.ready,
            state.bin,
            action,
            self._whole,
            self._flight,
            self._energy,
            self._money,
            location,
            charge,
            charging,
            flights,
            queue,
            carried,
            origin,
            revenue,
            cost,
            reward,
        )
        post = UAMState(
            location,
            state.ready,
            charge,
            charging,
            flights,
            state.takeoff,
            state.landed,
            queue,
            state.lanes,
            state.closed,
            state.bin,
            origin,
            revenue,
            cost,
            carried,
        )
        return post, reward if self.reward == "dense" else np.zeros_like(reward)

    def transition(
        self, instance: UAMInstance, post_state: UAMState, exogenous: UAMTape | None
    ) -> tuple[UAMState, Array, Array]:
        """Compiled form of :meth:`UAMFleet.transition`."""
        assert exogenous is not None
        state = post_state
        ready, charge = state.ready.copy(), state.charge.copy()
        takeoff, landed = state.takeoff.copy(), state.landed.copy()
        queue, lanes, closed = state.queue.copy(), state.lanes.copy(), state.closed.copy()
        entered, over = np.empty_like(state.bin), np.empty(len(ready), np.bool_)
        _happen(
            instance.distance,
            exogenous.arrivals,
            exogenous.delay,
            exogenous.closed,
            exogenous.failure,
            state.location,
            state.charging,
            state.flights,
            state.bin,
            state.origin,
            self._whole,
            self._flight,
            self._energy,
            self.closing,
            ready,
            charge,
            takeoff,
            landed,
            queue,
            lanes,
            closed,
            entered,
            over,
        )
        after = UAMState(
            state.location,
            ready,
            charge,
            state.charging,
            state.flights,
            takeoff,
            landed,
            queue,
            lanes,
            closed,
            entered,
            np.full_like(state.origin, -1),
            state.revenue,
            state.cost,
            state.carried,
        )
        if self.reward == "dense" or not over.any():
            return after, np.zeros(len(over)), over
        return after, self.paid_at_closing(instance, after, over), over

    def legs(self, instance: UAMInstance, state: UAMState) -> Legs:
        """Compiled form of :meth:`UAMFleet.legs`."""
        shape = (len(state.ready), self.setting.num_vertiports)
        legs = Legs(
            np.empty(shape, np.bool_), np.empty(shape, np.int64), np.empty(shape), np.empty(shape)
        )
        _legs(*self._read(instance, state), *legs)
        return legs

    def observation(self, instance: UAMInstance, state: UAMState) -> dict[str, Any]:
        """Compiled form of :meth:`UAMFleet.observation`."""
        if self.features != "relational":
            return observations.observe(self, instance, state)
        s, num = self.setting, len(state.ready)
        legs = self.legs(instance, state)
        shapes = observations.shapes(s, self.features)
        seen = {name: np.empty((num, *shape), np.float32) for name, shape in shapes.items()}
        _relational(
            *self._read(instance, state),
            *legs,
            instance.position,
            instance.business,
            instance.demand,
            instance.closure,
            instance.failure,
            state.landed,
            (s.side, s.opening, float(s.day), s.demand == "pool"),
            seen["vertiports"],
            seen["aircraft"],
            seen["series"],
            seen["context"],
            seen["decider"],
        )
        return seen

    def _read(self, instance: UAMInstance, state: UAMState) -> tuple[Any, ...]:
        return (
            instance.distance,
            instance.escape,
            instance.parking,
            instance.chargers,
            instance.fare,
            instance.expected_delay,
            state.location,
            state.ready,
            state.charge,
            state.charging,
            state.queue,
            state.closed,
            state.bin,
            self._whole,
            self._flight,
            self._energy,
            self._money,
            self.setting.charger_landing,
        )


@numba.njit(cache=True, inline="always")
def _first(ready, b):
    k = 0
    for other in range(1, ready.shape[1]):
        if ready[b, other] < ready[b, k]:
            k = other
    return k


@numba.njit(cache=True, inline="always")
def _row(array, b):
    """The batch row, or the only one where all share it."""
    return b if array.shape[0] > 1 else 0


@numba.njit(cache=True, error_model="numpy")
def _decide(
    distance,
    parking,
    chargers,
    fare,
    ready,
    bin,
    action,
    whole,
    flight,
    energy,
    money,
    location,
    charge,
    charging,
    flights,
    queue,
    carried,
    origin,
    revenue,
    cost,
    reward,
):
    seats, minutes, bins, _, _, _ = whole
    stay = flight[4]
    battery, consumption, flight_energy, _, power = energy
    mile_cost, passenger_mile_cost, electricity_price = money
    for b in range(ready.shape[0]):
        k = _first(ready, b)
        here, there = location[b, k], action[b]
        flies = here != there
        taken, parked = 0, 0
        for other in range(location.shape[1]):
            if location[b, other] == there and charging[b, other]:
                taken += 1
            if location[b, other] == here and not charging[b, other]:
                parked += 1
        charger_free = taken < chargers[_row(chargers, b), there]
        spent = 0.0
        bought = 0.0
        if flies:
            boarded = 0
            for age in range(queue.shape[1]):
                enter = min(queue[b, age, here, there], seats - boarded)
                queue[b, age, here, there] -= enter
                boarded += enter
            if carried.shape[1]:
                point = min(math.ceil(ready[b, k] / minutes), bins - 1)
                carried[b, point, here, there] += boarded
            earned = boarded * fare[_row(fare, b), bin[b], here, there]
            miles = distance[_row(distance, b), here, there]
            left = charge[b, k] - (flight_energy + consumption * miles)
            if charger_free:
                bought = battery - left
            spent = mile_cost * miles + passenger_mile_cost * miles * boarded
            location[b, k] = there
            charge[b, k] = left
            charging[b, k] = charger_free
            flights[b, k] += 1
            origin[b] = here
        else:
            earned = 0.0
            full = charge[b, k] >= battery - TOLERANCE
            if charging[b, k]:
                charging[b, k] = not (full and parked < parking[_row(parking, b), here])
            else:
                charging[b, k] = charger_free and not full
            if charging[b, k]:
                bought = min(max(battery - charge[b, k], 0.0), power * stay / 60)
                charge[b, k] += bought
            origin[b] = -1
        spent = spent + electricity_price * bought
        revenue[b] += earned
        cost[b] += spent
        reward[b] = earned - spent


@numba.njit(cache=True, error_model="numpy")
def _happen(
    distance,
    arrivals,
    delay,
    closed_later,
    failure,
    location,
    charging,
    flights,
    bin,
    origin,
    whole,
    flight,
    energy,
    closing,
    ready,
    charge,
    takeoff,
    landed,
    queue,
    lanes,
    closed,
    entered,
    over,
):
    _, minutes, bins, hours, num_lanes, forever = whole
    takeoff_minutes, landing_minutes, speed, turnaround, stay, repair, headway = flight
    battery, power = energy[0], energy[4]
    n, ages = queue.shape[2], queue.shape[1]
    for b in range(ready.shape[0]):
        k = _first(ready, b)
        now = ready[b, k]
        before = bin[b]
        if origin[b] >= 0:
            here, there = origin[b], location[b, k]
            up = now + delay[_row(delay, b), before, here]
            if num_lanes:
                lane = 0
                for other in range(1, num_lanes):
                    if lanes[b, here, there, other] < lanes[b, here, there, lane]:
                        lane = other
                up = max(up, lanes[b, here, there, lane])
                lanes[b, here, there, lane] = up + headway
            miles = distance[_row(distance, b), here, there]
            down = up + takeoff_minutes + miles * 60 / speed + landing_minutes
            ground = turnaround
            if charging[b, k]:
                ground = (battery - charge[b, k]) / power * 60
                charge[b, k] = battery
            landing = min(max(flights[b, k] - 1, 0), failure.shape[2] - 1)
            pause = repair if failure[_row(failure, b), k, landing] else 0.0
            takeoff[b, k] = up
            landed[b, k] = down
            ready[b, k] = down + ground + pause
        else:
            ready[b, k] = now + stay
        clock = ready[b, _first(ready, b)]
        after = math.floor(min(clock / minutes, bins - 1))
        entered[b] = after
        over[b] = clock >= closing
        if after > before:
            if forever:
                for g in range(before + 1, after + 1):
                    for i in range(n):
                        for j in range(n):
                            queue[b, 0, i, j] += arrivals[_row(arrivals, b), g - 1, i, j]
            else:
                for age in range(ages):
                    came = after - (ages - 1 - age)
                    for i in range(n):
                        for j in range(n):
                            if came > before:
                                queue[b, age, i, j] = arrivals[_row(arrivals, b), came - 1, i, j]
                            else:
                                queue[b, age, i, j] = queue[b, age + after - before, i, j]
            hour = min(after * minutes // 60, hours - 1)
            if hour > min(before * minutes // 60, hours - 1):
                for i in range(n):
                    for j in range(n):
                        closed[b, i, j] = closed_later[_row(closed_later, b), hour - 1, i, j]


@numba.njit(cache=True, error_model="numpy")
def _legs(
    distance,
    escape,
    parking,
    chargers,
    fare,
    expected_delay,
    location,
    ready,
    charge,
    charging,
    queue,
    closed,
    bin,
    whole,
    flight,
    energy,
    money,
    charger_landing,
    allowed,
    boarded,
    profit,
    minutes,
):
    seats, bin_minutes, _, hours, _, _ = whole
    takeoff, landing, speed, _, stay, _, _ = flight
    _, consumption, flight_energy, reserve, power = energy
    mile_cost, passenger_mile_cost, electricity_price = money
    n = allowed.shape[1]
    taken = np.empty(n, np.int64)
    parked = np.empty(n, np.int64)
    for b in range(ready.shape[0]):
        k = _first(ready, b)
        here = location[b, k]
        _count(location, charging, b, taken, parked)
        hour = min(bin[b] * bin_minutes // 60, hours - 1)
        wait = expected_delay[_row(expected_delay, b), hour, here]
        some = False
        for j in range(n):
            charger_free = taken[j] < chargers[_row(chargers, b), j]
            stand_free = parked[j] < parking[_row(parking, b), j]
            if j == here:
                boarded[b, j] = 0
                profit[b, j] = 0.0
                minutes[b, j] = stay
                allowed[b, j] = True
                if charger_landing:
                    allowed[b, j] = charger_free and not (charging[b, k] and not stand_free)
            else:
                miles = distance[_row(distance, b), here, j]
                used = flight_energy + consumption * miles
                spare = charge[b, k] - used - reserve + TOLERANCE
                lands = charger_free
                if not charger_landing:
                    lands = lands or (stand_free and spare >= escape[_row(escape, b), j])
                allowed[b, j] = not closed[b, here, j] and spare >= 0 and lands
                waiting = 0
                for age in range(queue.shape[1]):
                    waiting += queue[b, age, here, j]
                people = min(waiting, seats)
                boarded[b, j] = people
                margin = fare[_row(fare, b), bin[b], here, j] - passenger_mile_cost * miles
                earned = people * margin - mile_cost * miles
                profit[b, j] = earned - electricity_price * used
                flown = wait + takeoff + miles * 60 / speed + landing
                minutes[b, j] = flown + used / power * 60
            some = some or allowed[b, j]
        if not some:
            allowed[b, here] = True


@numba.njit(cache=True, inline="always")
def _count(location, charging, b, taken, parked):
    taken[:] = 0
    parked[:] = 0
    for k in range(location.shape[1]):
        if charging[b, k]:
            taken[location[b, k]] += 1
        else:
            parked[location[b, k]] += 1


@numba.njit(cache=True, error_model="numpy")
def _relational(
    distance,
    escape,
    parking,
    chargers,
    fare,
    expected_delay,
    location,
    ready,
    charge,
    charging,
    queue,
    closed,
    bin,
    whole,
    flight,
    energy,
    money,
    charger_landing,
    allowed,
    boarded,
    profit,
    minutes,
    position,
    business,
    demand,
    closure,
    failure,
    landed,
    frame,
    vertiports,
    aircraft,
    series,
    context,
    decider,
):
    seats, bin_minutes, bins, hours, _, _ = whole
    battery, consumption, flight_energy = energy[0], energy[1], energy[2]
    side, opening, day, pool = frame
    mile_cost, passenger_mile_cost, electricity_price = money
    forever, ages = whole[5], queue.shape[1]
    n, fleet = allowed.shape[1], ready.shape[1]
    taken = np.empty(n, np.int64)
    parked = np.empty(n, np.int64)
    inbound = np.empty(n, np.int64)
    from_here = np.empty(n, np.int64)
    to_here = np.empty(n, np.int64)
    outgoing = np.empty(n)
    incoming = np.empty(n)
    fares = np.empty(n)
    potential = np.empty(n)
    cost = np.empty((n, n))
    for b in range(ready.shape[0]):
        k = _first(ready, b)
        now = ready[b, k]
        here = location[b, k]
        at = _row(distance, b)
        places = _row(position, b)
        _count(location, charging, b, taken, parked)
        inbound[:] = 0
        from_here[:] = 0
        to_here[:] = 0
        for other in range(fleet):
            if landed[b, other] > now:
                inbound[location[b, other]] += 1
        for age in range(queue.shape[1]):
            for i in range(n):
                for j in range(n):
                    from_here[i] += queue[b, age, i, j]
                    to_here[j] += queue[b, age, i, j]
        hour = min(bin[b] * bin_minutes // 60, hours - 1)
        for i in range(n):
            for j in range(n):
                used = flight_energy + consumption * distance[at, i, j]
                cost[i, j] = mile_cost * distance[at, i, j] + electricity_price * used
        for j in range(n):
            stands = chargers[_row(chargers, b), j]
            miles = distance[at, here, j]
            row = vertiports[b, j]
            row[0] = position[places, j, 0] / side
            row[1] = position[places, j, 1] / side
            row[2] = business[_row(business, b), j]
            row[3] = stands > 0
            row[4] = 1 - parked[j] / parking[_row(parking, b), j]
            row[5] = (stands - taken[j]) / max(stands, 1)
            row[6] = (taken[j] + parked[j] - inbound[j]) / GROUND
            row[7] = inbound[j] / GROUND
            row[8] = expected_delay[_row(expected_delay, b), hour, j] / DELAY
            row[9] = min(from_here[j] / QUEUE, LIMIT)
            row[10] = min(to_here[j] / QUEUE, LIMIT)
            row[11] = j == here
            row[12] = allowed[b, j]
            row[13] = boarded[b, j] / seats
            row[14] = fare[_row(fare, b), bin[b], here, j] / FARE
            row[15] = profit[b, j] / PROFIT
            row[16] = minutes[b, j] / 60
            row[17] = profit[b, j] / minutes[b, j]
            row[18] = closure[_row(closure, b), hour, here, j] * CLOSURE
            row[19] = miles / MILES
            then = now + minutes[b, j]
            best = 0.0
            if then < day:
                h = math.floor(min(then / bin_minutes, bins - 1))
                first = 0 if forever else h - ages + 1
                for i in range(n):
                    people = 0.0
                    for age in range(ages):
                        if forever or bin[b] - (ages - 1 - age) >= first:
                            people += queue[b, age, j, i]
                    for g in range(h, max(first - 1, bin[b]), -1):
                        if pool or people >= seats:
                            break
                        people += demand[_row(demand, b), g, j, i]
                    price = fare[_row(fare, b), h, j, i]
                    margin = price - passenger_mile_cost * distance[at, j, i]
                    best = max(best, min(people, seats) * margin - cost[j, i])
            row[20] = min(best / PROFIT, LIMIT)
        for other in range(fleet):
            where = location[b, other]
            craft = aircraft[b, other]
            craft[0] = position[places, where, 0] / side
            craft[1] = position[places, where, 1] / side
            craft[2] = min((ready[b, other] - now) / 60, LIMIT)
            craft[3] = charge[b, other] / battery
            craft[4] = charging[b, other]
            craft[5] = failure[_row(failure, b), other] * FAILURE
            craft[6] = other == k
            craft[7] = where == here
            craft[8] = (flight_energy + consumption * distance[at, here, where]) / battery
        for step in range(AHEAD):
            h = bin[b] + 1 + step
            if h > bins - 1:
                series[b, step:] = 0.0
                break
            outgoing[:] = 0.0
            incoming[:] = 0.0
            fares[:] = 0.0
            potential[:] = 0.0
            for i in range(n):
                for j in range(n):
                    expected = demand[_row(demand, b), h, i, j]
                    price = fare[_row(fare, b), h, i, j]
                    outgoing[i] += expected
                    incoming[j] += expected
                    fares[i] += price
                    margin = price - passenger_mile_cost * distance[at, i, j]
                    potential[i] += expected * max(margin - cost[i, j] / seats, 0.0)
            later = min(h * bin_minutes // 60, hours - 1)
            for j in range(n):
                series[b, step, j, 0] = min(outgoing[j] / QUEUE, LIMIT)
                series[b, step, j, 1] = min(incoming[j] / QUEUE, LIMIT)
                series[b, step, j, 2] = fares[j] / ((n - 1) * FARE)
                series[b, step, j, 3] = expected_delay[_row(expected_delay, b), later, j] / DELAY
                series[b, step, j, 4] = min(potential[j] / POTENTIAL, LIMIT)
        clock = (opening + now / 60) * (2 * math.pi / 24)
        context[b, 0] = now / day
        context[b, 1] = math.sin(clock)
        context[b, 2] = math.cos(clock)
        context[b, 3] = (day - now) / 720
        decider[b, 0] = k
