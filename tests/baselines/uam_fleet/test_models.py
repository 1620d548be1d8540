"""Linear and integer models of known days: by hand, against each other, and flown."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.common.milp import HighsSession
from baselines.common.solution import check_replay
from baselines.uam_fleet.battery_model import BatteryBound
from baselines.uam_fleet.bid_price import BidPrice
from baselines.uam_fleet.bounds import LinearBound
from baselines.uam_fleet.hindsight import AggregatedModel, Hindsight
from baselines.uam_fleet.individual_model import IndividualModel
from baselines.uam_fleet.linear_model import LinearModel
from baselines.uam_fleet.pilot import Pilot
from baselines.uam_fleet.rules import Greedy, LookAhead
from baselines.uam_fleet.time_network import time_network
from or_envs.core import sample, simulate
from or_envs.uam_fleet.problem import UAMFleet
from tests.uam_fleet.helpers import day, fleet, play_random

#: Passengers, where aircraft start, and the values: plain relaxation, with cuts, whole aircraft.
CASES = {
    1: ({(0, 0, 1): 4, (3, 1, 0): 3}, (0,), 207.2, 201.8, 201.8),
    2: ({(0, 0, 1): 4, (1, 1, 0): 3}, (0,), 118.4, 118.4, 118.4),
    3: ({(0, 0, 1): 1}, (0,), 29.6, 13.4, 13.4),
    4: ({(0, 0, 1): 6, (1, 1, 0): 2}, (0, 1), 177.6, 166.8, 166.8),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rounding", ["down", "up"])
def test_hand_cases(case: int, rounding: str) -> None:
    passengers, location, plain, cut, whole = CASES[case]
    problem = fleet(aircraft=len(location))
    instance, tape = day(problem, passengers, location)
    network = time_network(problem, instance, tape, 5.0, rounding)
    assert LinearModel(network, cuts=False).solve().profit == pytest.approx(plain, abs=1e-5)
    assert LinearModel(network, cuts=True).solve().profit == pytest.approx(cut, abs=1e-5)
    model = AggregatedModel(network)
    result = HighsSession(model.model).solve()
    assert -result.objective == pytest.approx(whole, abs=1e-5)
    if rounding == "up":
        pilot = Pilot(problem, network, model.departures())
        assert simulate(problem, pilot, instance, tape).total_reward[0] == pytest.approx(whole)
        solution = Hindsight(problem).solve(instance, tape)
        assert check_replay(problem, solution, instance, tape) == pytest.approx(-whole)
        assert solution.bound == pytest.approx(-cut, abs=1e-5)


def ladder(problem: UAMFleet, seed: int) -> None:
    """Bounds, plans and play of one day in their order."""
    instance, tape = sample(problem, seed, 1)
    down = time_network(problem, instance, tape, 5.0, "down")
    plain = LinearModel(down, cuts=False).solve().profit
    cut = LinearModel(down, cuts=True).solve().profit
    up = time_network(problem, instance, tape, 5.0, "up")
    model = AggregatedModel(up, cuts=True, reserve=True)
    result = HighsSession(model.model).solve(60.0)
    whole = -result.objective
    pilot = Pilot(problem, up, model.departures())
    flown = float(simulate(problem, pilot, instance, tape).total_reward[0])
    battery = BatteryBound(problem).solve(instance, tape).bound
    assert battery is not None
    assert plain >= cut - 1e-6
    assert cut >= whole - 1e-6
    assert whole >= flown - 1e-6
    if problem.setting.stay == 5.0:
        # Passengers board at once; a plan may keep some who can wait for a dearer bin.
        exact = problem.setting.patience == 1
        assert flown == pytest.approx(whole, rel=1e-9 if exact else 0.01)
    random = play_random(problem, instance, tape, seed).total_reward[0]
    rules = (Greedy(problem, "profit"), Greedy(problem, "rate"), LookAhead(problem))
    earned = [simulate(problem, rule, instance, tape).total_reward[0] for rule in rules]
    best = max(flown, random, *earned)
    assert cut >= best - 1e-6
    assert -battery >= best - 1e-6


@pytest.mark.parametrize(("stay", "patience"), [(5.0, 1), (5.0, 2), (15.0, 2)])
def test_ladder(stay: float, patience: int) -> None:
    """Plans are flown to the cent where staying takes one step and nobody waits longer."""
    for seed in range(2):
        ladder(UAMFleet("tiny", stay=stay, patience=patience), seed)


@pytest.mark.slow
def test_ladder_of_20_days() -> None:
    for seed in range(20):
        for patience in (1, 2):
            size = {"num_vertiports": 4, "num_aircraft": 6, "patience": patience}
            ladder(UAMFleet("tiny", stay=5.0, **size), 100 + seed)
        ladder(UAMFleet("tiny", max_failure=0.1, max_closure=0.2, delay_deviation=6.0), seed)


@pytest.mark.parametrize("patience", [1, 2, None])
@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize("reserve", [False, True])
def test_matrices_and_pyomo_state_the_same_model(
    patience: int | None, cuts: bool, reserve: bool
) -> None:
    problem = UAMFleet("tiny", patience=patience, num_vertistops=1, max_closure=0.3)
    instance, tape = sample(problem, 4, 1)
    network = time_network(problem, instance, tape, 5.0, "up")
    matrices = LinearModel(network, cuts, reserve).solve().profit
    model = AggregatedModel(network, cuts, reserve, integer=False).model
    assert -HighsSession(model).solve().objective == pytest.approx(matrices, rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_single_aircraft_do_no_better_than_counted_ones(seed: int) -> None:
    problem = UAMFleet("tiny", num_aircraft=3)
    instance, tape = sample(problem, seed, 1)
    network = time_network(problem, instance, tape, 5.0, "up")
    counted = HighsSession(AggregatedModel(network).model).solve().objective
    single = HighsSession(IndividualModel(network, instance.location[0]).model).solve().objective
    assert single == pytest.approx(counted)


def test_the_battery_bound_holds_where_charging_is_put_off() -> None:
    """Two legs without a charge: the other bound has to charge after the first."""
    positions = ((0.0, 0.0), (10.0, 0.0))
    problem = fleet(positions, aircraft=2)
    passengers = {(0, 0, 1): 8, (1, 1, 0): 8, (2, 0, 1): 8}
    instance, tape = day(problem, passengers, (0, 0), positions, chargers=[[0, 1]], fare=40.0)
    battery = BatteryBound(problem).solve(instance, tape).bound
    greedy = simulate(problem, Greedy(problem, "rate"), instance, tape).total_reward[0]
    assert battery is not None
    assert -battery >= greedy - 1e-6


def test_prices_are_what_one_more_aircraft_earns() -> None:
    problem = UAMFleet("tiny", load=0.6)
    instance, tape = sample(problem, 1, 1)
    network = time_network(problem, instance, tape)
    base = LinearModel(network).solve()

    def profit(place: int, step: int, aircraft: float) -> float:
        model = LinearModel(network)
        model.program.lower[place * network.steps + step] += aircraft
        model.program.upper[place * network.steps + step] += aircraft
        return model.solve().profit

    start = int(instance.location[0, 0])
    for place, step in ((start, 0), (2, 10)):
        # Profit is concave in the aircraft: the price lies between both slopes.
        assert (profit(place, step, 0.01) - base.profit) / 0.01 <= base.price[place, step] + 1e-3
    assert (base.profit - profit(start, 0, -0.01)) / 0.01 >= base.price[start, 0] - 1e-3
    assert (np.diff(base.price, axis=1) <= 1e-6).all()  # an aircraft can wait


def test_bid_prices_of_a_day_depend_on_what_is_announced_only() -> None:
    problem = UAMFleet("tiny", max_expected_delay=6.0)
    rule = BidPrice(problem, num_tapes=2)
    instance, tape = sample(problem, 3, 3)
    together = simulate(problem, rule, instance, tape)
    other = BidPrice(problem, num_tapes=2)
    for row in range(3):
        one = np.array([row])
        alone = simulate(problem, other, instance.rows(one), tape.rows(one))
        steps = int(alone.num_steps[0])
        np.testing.assert_array_equal(alone.actions[0], together.actions[row, :steps])
    prices = rule.prices.of_day(instance.rows(np.array([0])))
    assert prices.shape == (3, 37)
    assert (prices[:, -1] == 0).all()
    assert prices.max() > 50


def test_solvers_need_the_tape_and_money() -> None:
    problem = UAMFleet("tiny")
    instance, _ = sample(problem, 0, 1)
    for solver in (Hindsight(problem), LinearBound(problem), BatteryBound(problem)):
        with pytest.raises(ValueError, match="exogenous: "):
            solver.solve(instance)
    with pytest.raises(ValueError, match="rewards in money"):
        LinearBound(UAMFleet("tiny", reward="terminal_normalised"))
    with pytest.raises(ValueError, match="step: expected minutes that divide 15, got 4"):
        LinearBound(problem, step=4.0).solve(*sample(problem, 0, 1))
