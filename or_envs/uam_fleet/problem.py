"""The fleet of an urban air mobility operator over one day."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.problem import Problem
from or_envs.core.random import Generators
from or_envs.uam_fleet import instances, observations
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.presets import setting_of

#: When profit is paid: with every decision, at closing, or at closing as a share of the fares that
#: all expected passengers would pay.
Reward = Literal["dense", "terminal", "terminal_normalised"]
#: What observations hold, see :mod:`or_envs.uam_fleet.observations`.
Features = Literal["relational", "paper", "ref2022"]

#: kWh by which batteries may miss what they need: 50 miles take 110.00000000000001 of 110 kWh.
TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class UAMState(Arrays):
    """Where aircraft and passengers are; times are minutes after the opening.

    An aircraft is at ``location`` from the decision to fly there on: its stand is kept for it. The
    aircraft with the earliest ``ready`` (the lowest number of equals) decides next, at that time.

    Attributes
    ----------
    location
        Vertiport, integers (B, K).
    ready
        Time of the next decision, (B, K).
    charge
        kWh at that time, (B, K).
    charging
        Whether the stand has a charger, bool (B, K).
    flights
        Flights so far, integers (B, K).
    takeoff, landed
        Times of the last flight, 0 before the first, (B, K).
    queue
        Passengers by route and by the bin in which they came, the oldest first, integers
        (B, A, N, N); where they wait for ever, A is 1.
    lanes
        Times from which the corridors of a route are free, (B, N, N, lanes).
    closed
        Routes closed in this hour, bool (B, N, N).
    bin
        Bin of the clock, integers (B,).
    origin
        After a decision to fly, the vertiport that the aircraft leaves; else -1, integers (B,).
    revenue, cost
        Money so far, (B,).
    carried
        With the features of REF22, passengers so far by bin and route, integers (B, H, N, N); else
        (B, 0, N, N).
    """

    location: Array
    ready: Array
    charge: Array
    charging: Array
    flights: Array
    takeoff: Array
    landed: Array
    queue: Array
    lanes: Array
    closed: Array
    bin: Array
    origin: Array
    revenue: Array
    cost: Array
    carried: Array


class Legs(NamedTuple):
    """What the next aircraft can do: an entry per destination, its own location is to stay.

    Every flight is taken to pay for the energy that it uses and to charge it at once, also where
    no charger is free: it will have to be charged somewhere.

    Attributes
    ----------
    allowed
        Bool (B, N).
    boarded
        Passengers, integers (B, N).
    profit
        Money, (B, N), whether allowed or not; 0 to stay.
    minutes
        Expected time to its next decision, (B, N).
    """

    allowed: Array
    boarded: Array
    profit: Array
    minutes: Array


class UAMFleet(Problem[UAMInstance, UAMState, UAMTape]):
    """Where does the next aircraft fly, or does it stay?

    K electric aircraft serve N vertiports from opening to closing. Whenever one is ready, it
    decides; one step is one decision of one aircraft, in this order:

    1. Of the aircraft, the first to be ready decides (of equals the one with the lowest number).
    2. To stay takes ``stay`` minutes. On a charger the battery is charged; a full one gives the
       charger free if another stand is; one that is not full takes a free charger.
    3. To fly takes the passengers who wait for the destination, the longest waiting first, up to
       the seats. A charger at the destination is reserved if one is free, else another stand. It
       takes off after the vertiport's delay of the bin and when a corridor is free. A charger
       fills the battery; then, or else after the turnaround, and after the repair if it fails, the
       aircraft is ready.
    4. The clock goes to the next decision. Passengers of the bins that it enters come; those who
       have waited for their patience leave. Routes are closed by the hour.

    - Action: Discrete(N), the destination; the own vertiport is to stay. Allowed are open routes
      within reach of the battery with a free stand, one without charger only where the battery
      still reaches a charger from it. Staying always is (with ``charger_landing`` only where REF22
      has it, or nothing else is allowed).
    - Observation: Dict of float32, see :mod:`or_envs.uam_fleet.observations`.
    - Reward: fares less the cost of flying and of the kWh charged, in money, all at the decision;
      with ``reward="terminal"`` their sum at closing, with "terminal_normalised" that sum over the
      fares of all expected passengers (with ``demand="pool"`` of those not flown, as in REF22).
    - End: terminated when the next decision would be at closing or later (with ``demand="pool"``
      later). Flights under way count in full.
    - A masked action ends the day; the penalty is the cost of flying empty over the longest way
      with every decision that may be left.

    Parameters
    ----------
    preset
        Name of a set of constants, see :data:`or_envs.uam_fleet.presets.PRESETS`.
    reward
        "dense", "terminal" or "terminal_normalised".
    features
        "relational", "paper" or "ref2022".
    **changes
        Constants that differ from the preset's, see :class:`or_envs.uam_fleet.presets.Setting`.

    Raises
    ------
    ValueError
        If an argument is unknown or outside its range.
    """

    differentiable: ClassVar[bool] = False
    drawing: ClassVar[str | None] = "or_envs.uam_fleet.rendering:draw"

    def __init__(
        self,
        preset: str = "default",
        reward: Reward = "dense",
        features: Features = "relational",
        **changes: Any,
    ) -> None:
        if reward not in get_args(Reward):
            raise ValueError(
                f"reward: expected one of {', '.join(get_args(Reward))}, got {reward!r}"
            )
        if features not in get_args(Features):
            raise ValueError(
                f"features: expected one of {', '.join(get_args(Features))}, got {features!r}"
            )
        self.setting = setting = setting_of(preset, changes)
        self.preset = preset
        self.reward: Reward = reward
        self.features: Features = features
        shortest = min(setting.stay, setting.takeoff + setting.landing)
        #: Decisions of an aircraft in a day, at most.
        self._decisions = 1 + int(np.ceil(setting.day / shortest))
        self.max_steps = setting.num_aircraft * self._decisions
        #: Decisions at this time or later are not taken.
        self.closing = float(setting.day)
        if setting.demand == "pool":
            self.closing = float(np.nextafter(setting.day, np.inf))
        self.action_space = gym.spaces.Discrete(setting.num_vertiports)
        self.observation_space = observations.space(setting, features)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> UAMInstance:
        """Draw layouts and forecasts."""
        return instances.sample_instances(self.setting, rngs)

    def sample_exogenous(self, instance: UAMInstance, rngs: Generators) -> UAMTape:
        """Draw the tape of the day."""
        return instances.sample_tape(self.setting, instance, rngs)

    def exogenous_at(self, exogenous: UAMTape, step: Array) -> UAMTape:
        """Return the whole tape: which part of it happens depends on aircraft and clock."""
        return exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: UAMInstance) -> UAMState:
        """All aircraft are ready, full, and on stands without chargers."""
        xp = array_namespace(instance.position)
        setting, device = self.setting, instance.position.device
        number, whole = instance.position.dtype, instance.location.dtype
        num, (k, n) = instance.num, (setting.num_aircraft, setting.num_vertiports)
        ages = 1 if setting.patience is None else setting.patience
        bins = setting.num_bins if self.features == "ref2022" else 0

        def zeros(*shape: int, dtype: Any = number) -> Array:
            return xp.zeros((num, *shape), dtype=dtype, device=device)

        older = zeros(ages - 1, n, n, dtype=whole)
        none = zeros(dtype=whole)
        newest = instance.waiting[:, None, ...] + zeros(1, 1, 1, dtype=whole)
        return UAMState(
            location=instance.location + zeros(k, dtype=whole),
            ready=zeros(k),
            charge=zeros(k) + setting.battery,
            charging=zeros(k, dtype=xp.bool),
            flights=zeros(k, dtype=whole),
            takeoff=zeros(k),
            landed=zeros(k),
            queue=xp.concat([older, newest], axis=1),
            lanes=zeros(n, n, setting.lanes),
            closed=instance.closed | zeros(1, 1, dtype=xp.bool),
            bin=none,
            origin=none - 1,
            revenue=zeros(),
            cost=zeros(),
            carried=zeros(bins, n, n, dtype=whole),
        )

    def post_decision(
        self, instance: UAMInstance, state: UAMState, action: Array
    ) -> tuple[UAMState, Array]:
        """Board, give and take stands, and pay; or stay."""
        xp = array_namespace(state.ready)
        setting, n = self.setting, self.setting.num_vertiports
        number, whole = state.ready.dtype, state.location.dtype
        k, chosen = _decider(xp, state)
        here = gather(xp, state.location, k)
        action = xp.astype(action, whole)
        flies = action != here
        route = here * n + action
        charge, charging = gather(xp, state.charge, k), gather(xp, state.charging, k)
        zero = xp.zeros_like(charge)

        # Passengers board, those of the oldest bin first.
        ages = state.queue.shape[1]
        queue = xp.reshape(state.queue, (state.num, ages * n * n))
        seats = xp.astype(flies, whole) * setting.seats
        cells = xp.arange(ages * n * n, dtype=whole, device=route.device)
        boarded = xp.zeros_like(route)
        for age in range(ages):
            cell = age * n * n + route
            enter = xp.minimum(gather(xp, queue, cell), seats - boarded)
            queue = queue - enter[:, None] * xp.astype(cells == cell[:, None], whole)
            boarded = boarded + enter
        fares = xp.reshape(instance.fare, (instance.fare.shape[0], -1))
        fare = gather(xp, fares, state.bin * (n * n) + route)
        revenue = xp.astype(boarded, number) * fare

        # Stands and energy; see the class for the rules of staying.
        taken, parked = _stands(xp, state, n)
        there_free = gather(xp, taken, action) < gather(xp, instance.chargers, action)
        stand_free = gather(xp, parked, here) < gather(xp, instance.parking, here)
        full = charge >= setting.battery - TOLERANCE
        stays_charging = xp.where(charging, ~(full & stand_free), there_free & ~full)
        miles = gather(xp, xp.reshape(instance.distance, (-1, n * n)), route)
        left = charge - (setting.flight_energy + setting.consumption * miles)
        lacking = xp.maximum(setting.battery - charge, zero)
        most = xp.full_like(charge, setting.power * setting.stay / 60)
        gained = xp.where(stays_charging, xp.minimum(lacking, most), zero)
        bought = xp.where(flies, xp.where(there_free, setting.battery - left, zero), gained)
        cost = xp.where(flies, setting.mile_cost * miles, zero)
        cost = cost + setting.passenger_mile_cost * miles * xp.astype(boarded, number)
        cost = cost + setting.electricity_price * bought

        carried = state.carried
        if carried.shape[1]:
            now = gather(xp, state.ready, k)
            point = xp.astype(xp.ceil(now / setting.bin), whole)
            point = xp.minimum(point, xp.full_like(point, setting.num_bins - 1))
            flat = xp.reshape(carried, (state.num, -1))
            cells = xp.arange(flat.shape[1], dtype=whole, device=route.device)
            cell = point * (n * n) + route
            flat = flat + boarded[:, None] * xp.astype(cells == cell[:, None], whole)
            carried = xp.reshape(flat, carried.shape)
        post = UAMState(
            location=xp.where(chosen, action[:, None], state.location),
            ready=state.ready,
            charge=xp.where(chosen, xp.where(flies, left, charge + gained)[:, None], state.charge),
            charging=xp.where(
                chosen, xp.where(flies, there_free, stays_charging)[:, None], state.charging
            ),
            flights=state.flights + xp.astype(chosen & flies[:, None], whole),
            takeoff=state.takeoff,
            landed=state.landed,
            queue=xp.reshape(queue, state.queue.shape),
            lanes=state.lanes,
            closed=state.closed,
            bin=state.bin,
            origin=xp.where(flies, here, xp.full_like(here, -1)),
            revenue=state.revenue + revenue,
            cost=state.cost + cost,
            carried=carried,
        )
        return post, revenue - cost if self.reward == "dense" else zero

    def transition(
        self, instance: UAMInstance, post_state: UAMState, exogenous: UAMTape | None
    ) -> tuple[UAMState, Array, Array]:
        """Take off and land as chance has it, and go to the next decision."""
        assert exogenous is not None
        xp = array_namespace(post_state.ready)
        setting, n = self.setting, self.setting.num_vertiports
        number, whole = post_state.ready.dtype, post_state.location.dtype
        state = post_state
        k, chosen = _decider(xp, state)
        now = gather(xp, state.ready, k)
        flies = state.origin >= 0
        there = gather(xp, state.location, k)
        origin = xp.where(flies, state.origin, there)
        route = origin * n + there

        delays = xp.reshape(exogenous.delay, (exogenous.delay.shape[0], -1))
        takeoff = now + gather(xp, delays, state.bin * n + origin)
        lanes = state.lanes
        if setting.lanes:
            flat = xp.reshape(lanes, (state.num, -1))
            own = xp.arange(setting.lanes, dtype=whole, device=route.device)
            cell = route[:, None] * setting.lanes + own[None, :]
            free = gather(xp, flat, cell)
            takeoff = xp.maximum(takeoff, xp.min(free, axis=1))
            used = route * setting.lanes + xp.argmin(free, axis=1)
            cells = xp.arange(flat.shape[1], dtype=whole, device=route.device)
            taken = (cells == used[:, None]) & flies[:, None]
            flat = xp.where(taken, (takeoff + setting.headway)[:, None], flat)
            lanes = xp.reshape(flat, lanes.shape)
        miles = gather(xp, xp.reshape(instance.distance, (-1, n * n)), route)
        landed = takeoff + setting.takeoff + miles * 60 / setting.speed + setting.landing
        charge, charging = gather(xp, state.charge, k), gather(xp, state.charging, k)
        ground = xp.where(
            charging,
            (setting.battery - charge) / setting.power * 60,
            xp.full_like(charge, setting.turnaround),
        )
        count = exogenous.failure.shape[2]
        landing = gather(xp, state.flights, k) - 1
        landing = xp.minimum(xp.maximum(landing, xp.zeros_like(landing)), landing * 0 + count - 1)
        luck = xp.reshape(exogenous.failure, (exogenous.failure.shape[0], -1))
        repair = setting.repair * xp.astype(gather(xp, luck, k * count + landing), number)
        following = xp.where(flies, landed + ground + repair, now + setting.stay)
        filled = flies & charging

        flown = chosen & flies[:, None]
        ready = xp.where(chosen, following[:, None], state.ready)
        clock = xp.min(ready, axis=1)
        last = setting.num_bins - 1
        entered = xp.minimum(clock / setting.bin, xp.full_like(clock, last))
        entered = xp.astype(xp.floor(entered), whole)
        after = UAMState(
            location=state.location,
            ready=ready,
            charge=xp.where(
                chosen & filled[:, None],
                xp.full_like(state.charge, setting.battery),
                state.charge,
            ),
            charging=state.charging,
            flights=state.flights,
            takeoff=xp.where(flown, takeoff[:, None], state.takeoff),
            landed=xp.where(flown, landed[:, None], state.landed),
            queue=self._arrive(xp, state, exogenous, entered),
            lanes=lanes,
            closed=self._close(xp, state, exogenous, entered),
            bin=entered,
            origin=xp.full_like(state.origin, -1),
            revenue=state.revenue,
            cost=state.cost,
            carried=state.carried,
        )
        over = clock >= self.closing
        return after, self.paid_at_closing(instance, after, over), over

    def _arrive(self, xp: Any, state: UAMState, tape: UAMTape, entered: Array) -> Array:
        """Queues when the clock has come to bin ``entered``."""
        queue, ages = state.queue, state.queue.shape[1]
        rest = tape.arrivals.shape[1]
        if rest == 0 or self.setting.demand == "pool":
            return queue
        whole = queue.dtype
        if self.setting.patience is None:
            bins = xp.arange(1, rest + 1, dtype=whole, device=queue.device)
            new = (bins > state.bin[:, None]) & (bins <= entered[:, None])
            come = tape.arrivals * xp.astype(new, whole)[:, :, None, None]
            return queue + xp.sum(come, axis=1, keepdims=True, dtype=whole)
        zero = xp.zeros_like(entered)
        slots = []
        for age in range(ages):
            # This place in the queue is that of the passengers of bin ``came``.
            came = entered - (ages - 1 - age)
            index = xp.minimum(age + entered - state.bin, zero + ages - 1)
            waited = gather(xp, queue, index)
            fresh = gather(xp, tape.arrivals, xp.maximum(came - 1, zero))
            slots.append(xp.where((came > state.bin)[:, None, None], fresh, waited))
        return xp.stack(slots, axis=1)

    def _close(self, xp: Any, state: UAMState, tape: UAMTape, entered: Array) -> Array:
        """Routes closed when the clock has come to bin ``entered``."""
        if tape.closed.shape[1] == 0:
            return state.closed
        before, hour = self.hour(xp, state.bin), self.hour(xp, entered)
        later = gather(xp, tape.closed, xp.maximum(hour - 1, xp.zeros_like(hour)))
        return xp.where((hour > before)[:, None, None], later, state.closed)

    def hour(self, xp: Any, bin: Array) -> Array:
        """Hour of the day, from 0, that a bin is in."""
        hour = bin * self.setting.bin // 60
        return xp.minimum(hour, xp.full_like(hour, self.setting.num_hours - 1))

    def paid_at_closing(self, instance: UAMInstance, state: UAMState, over: Array) -> Array:
        """Profit of the day (B,) where it is ``over`` and not paid before; else 0."""
        xp = array_namespace(state.revenue)
        nothing = xp.zeros_like(state.revenue)
        if self.reward == "dense":
            return nothing
        return xp.where(
            over, self._scaled(xp, instance, state, state.revenue - state.cost), nothing
        )

    def _scaled(self, xp: Any, instance: UAMInstance, state: UAMState, money: Array) -> Array:
        if self.reward != "terminal_normalised":
            return money
        fares = xp.sum(instance.demand * instance.fare, axis=(1, 2, 3))
        if self.setting.demand == "pool":
            fares = fares - state.revenue
        return money / xp.maximum(fares, xp.ones_like(fares))

    # ---- what the agent sees ----------------------------------------------------------------

    def legs(self, instance: UAMInstance, state: UAMState) -> Legs:
        """What the next aircraft can do, and what that earns and takes."""
        xp = array_namespace(state.ready)
        setting, n = self.setting, self.setting.num_vertiports
        number = state.ready.dtype
        k, _ = _decider(xp, state)
        here = gather(xp, state.location, k)
        charge = gather(xp, state.charge, k)[:, None]
        charging = gather(xp, state.charging, k)[:, None]
        own = xp.arange(n, dtype=here.dtype, device=here.device) == here[:, None]
        taken, parked = _stands(xp, state, n)
        charger_free = taken < instance.chargers
        stand_free = parked < instance.parking

        miles = gather(xp, instance.distance, here)
        energy = setting.flight_energy + setting.consumption * miles
        spare = charge - energy - setting.reserve + TOLERANCE
        landing = charger_free
        if not setting.charger_landing:
            landing = charger_free | (stand_free & (spare >= instance.escape))
        allowed = ~gather(xp, state.closed, here) & (spare >= 0) & landing & ~own
        stay = own
        if setting.charger_landing:
            stay = own & charger_free & ~(charging & ~stand_free)
            stay = stay | (own & ~xp.any(allowed | stay, axis=1, keepdims=True))
        allowed = allowed | stay

        routes = xp.reshape(state.queue, (state.num, -1, n * n))
        waiting = xp.reshape(xp.sum(routes, axis=1, dtype=here.dtype), (state.num, n, n))
        boarded = gather(xp, waiting, here)
        boarded = xp.minimum(boarded, xp.full_like(boarded, setting.seats))
        boarded = xp.where(own, xp.zeros_like(boarded), boarded)
        fares = xp.reshape(instance.fare, (instance.fare.shape[0], -1, n))
        margin = gather(xp, fares, state.bin * n + here) - setting.passenger_mile_cost * miles
        profit = xp.astype(boarded, number) * margin - setting.mile_cost * miles
        profit = profit - setting.electricity_price * energy
        profit = xp.where(own, xp.zeros_like(profit), profit)

        delays = xp.reshape(instance.expected_delay, (instance.expected_delay.shape[0], -1))
        delay = gather(xp, delays, self.hour(xp, state.bin) * n + here)[:, None]
        minutes = delay + setting.takeoff + miles * 60 / setting.speed + setting.landing
        minutes = minutes + energy / setting.power * 60
        minutes = xp.where(own, xp.full_like(minutes, setting.stay), minutes)
        return Legs(allowed, boarded, profit, minutes)

    def observation(self, instance: UAMInstance, state: UAMState) -> dict[str, Array]:
        """Show the day as the aircraft that decides sees it; see the class."""
        return observations.observe(self, instance, state)

    def action_mask(self, instance: UAMInstance, state: UAMState) -> Array:
        """Allowed destinations, (B, N); see the class."""
        return self.legs(instance, state).allowed

    def worst_completion(self, instance: UAMInstance, state: UAMState) -> Array:
        """Every decision that may be left flies empty over the longest way and charges fully."""
        xp = array_namespace(state.ready)
        setting = self.setting
        longest = xp.max(instance.distance, axis=(1, 2))
        mile = setting.mile_cost + setting.passenger_mile_cost * setting.seats
        dearest = mile * longest + setting.electricity_price * setting.battery
        left = xp.maximum(setting.day - state.ready, xp.zeros_like(state.ready))
        decisions = 1 + xp.ceil(left * (self._decisions - 1) / setting.day)
        worst = -dearest * xp.sum(decisions, axis=1)
        if self.reward == "dense":
            return worst
        return self._scaled(xp, instance, state, state.revenue - state.cost + worst)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rules and the vertiport."""
        return (
            f"vertiport {int(action)} has no free stand, or its route is closed, or the battery"
            " does not reach it (or, from a stand without charger there, no charger)"
        )

    def compiled(self) -> UAMFleet:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not UAMFleet:
            return self
        from or_envs.uam_fleet.kernels import CompiledUAMFleet

        return CompiledUAMFleet(self)


def _decider(xp: Any, state: UAMState) -> tuple[Array, Array]:
    """Aircraft that decides: its number (B,), and as bool (B, K)."""
    k = xp.astype(xp.argmin(state.ready, axis=1), state.location.dtype)
    aircraft = xp.arange(state.ready.shape[1], dtype=k.dtype, device=k.device)
    return k, aircraft == k[:, None]


def _stands(xp: Any, state: UAMState, n: int) -> tuple[Array, Array]:
    """Stands taken or reserved, with chargers and without, integers (B, N) each."""
    whole = state.location.dtype
    vertiports = xp.arange(n, dtype=whole, device=state.location.device)
    at = state.location[:, :, None] == vertiports
    charging = at & state.charging[:, :, None]
    taken = xp.sum(xp.astype(charging, whole), axis=1, dtype=whole)
    return taken, xp.sum(xp.astype(at, whole), axis=1, dtype=whole) - taken
