"""Days made by hand, and random legal play."""

import dataclasses

import numpy as np

from or_envs.core import simulate
from or_envs.core.actions import ActionChecker
from or_envs.uam_fleet.instances import UAMTape, make_instance
from or_envs.uam_fleet.problem import UAMFleet

#: Nothing is uncertain, every uncertainty can be switched on alone.
CERTAIN = {
    "max_expected_delay": 0.0,
    "delay_deviation": 0.0,
    "max_closure": 0.0,
    "max_failure": 0.0,
    "lanes": 0,
}


def fleet(positions=((0.0, 0.0), (20.0, 0.0)), aircraft=1, preset="default", **changes):
    """A problem whose size fits days by hand."""
    size = {"num_vertiports": len(positions), "num_aircraft": aircraft}
    without = {"num_business": 0, "num_vertistops": 0}
    return UAMFleet(preset, **{**CERTAIN, **size, **without, **changes})


def day(
    problem,
    passengers=None,
    location=(0,),
    positions=((0.0, 0.0), (20.0, 0.0)),
    fare=35.0,
    **changes,
):
    """An instance and a tape: ``passengers`` is {(bin, from, to): number}, all else is quiet."""
    setting = problem.setting
    n, k = setting.num_vertiports, setting.num_aircraft
    bins, hours = setting.num_bins, setting.num_hours
    arrivals = np.zeros((1, bins, n, n), dtype=np.int64)
    for place, number in (passengers or {}).items():
        arrivals[(0, *place)] = number
    instance = make_instance(
        setting,
        position=np.array([positions], dtype=float),
        business=np.zeros((1, n), dtype=bool),
        parking=np.full((1, n), setting.parking),
        chargers=np.asarray(changes.pop("chargers", [[setting.chargers] * n])),
        location=np.array([location]),
        demand=arrivals.astype(float),
        fare=np.full((1, bins, n, n), fare),
        expected_delay=np.zeros((1, hours, n)),
        closure=np.zeros((1, hours, n, n)),
        failure=np.zeros((1, k)),
        waiting=arrivals[:, 0],
        closed=np.zeros((1, n, n), dtype=bool),
    )
    tape = UAMTape(
        arrivals[:, 1:],
        np.zeros((1, bins, n)),
        np.zeros((1, hours - 1, n, n), dtype=bool),
        np.zeros((1, k, setting.max_flights), dtype=bool),
    )
    instance = dataclasses.replace(
        instance, **{x: np.asarray(v) for x, v in changes.items() if x in instance.names()}
    )
    return instance, tape


class Walk:
    """Steps through a day by hand, with the array-API form or the kernels."""

    def __init__(self, problem, instance, tape):
        self.problem, self.instance, self.tape = problem, instance, tape
        self.state = problem.initial(instance)
        self.over = False

    @property
    def mask(self):
        return self.problem.action_mask(self.instance, self.state)[0].tolist()

    @property
    def now(self):
        return float(self.state.ready[0].min())

    def step(self, action):
        """Reward of the decision, which must be allowed."""
        assert self.mask[action]
        post, reward = self.problem.post_decision(self.instance, self.state, np.array([action]))
        self.state, later, over = self.problem.transition(self.instance, post, self.tape)
        self.over = bool(over[0])
        return float(reward[0] + later[0])


def play_random(problem, instance, tape, seed=0):
    """A roll-out of random legal actions; after the end anything goes."""
    rng = np.random.default_rng(seed)
    checker = ActionChecker(problem)
    problem = problem.compiled()

    def rule(given, state):
        mask = problem.action_mask(given, state)
        over = state.ready.min(axis=1) >= problem.closing
        return checker.sample(mask | over[:, None], state.num, rng)

    return simulate(problem, rule, instance, tape)
