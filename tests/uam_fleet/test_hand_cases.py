"""Days worked out by hand: two vertiports 20 miles apart, fare 35, a flight costs 12.8 + 8.8."""

import dataclasses
import itertools

import numpy as np
import pytest

from or_envs.uam_fleet import instances
from or_envs.uam_fleet.presets import PRESETS
from tests.uam_fleet.helpers import Walk, day, fleet

BLOCK, CHARGE = 12 + 20 / 74.5 * 60, 44 / 150 * 60

both = pytest.mark.parametrize("compiled", [False, True], ids=["array API", "kernels"])


def walk(compiled, problem, *args, **kwargs):
    instance, tape = day(problem, *args, **kwargs)
    return Walk(problem.compiled() if compiled else problem, instance, tape)


@both
def test_1_there_and_back(compiled):
    go = walk(compiled, fleet(), {(0, 0, 1): 4, (3, 1, 0): 3})
    assert go.step(1) == pytest.approx(118.4)
    assert go.now == pytest.approx(405.707 - 360, abs=5e-4)
    assert go.step(0) == pytest.approx(83.4)
    assert go.now == pytest.approx(451.415 - 360, abs=5e-4)
    rewards = 0.0
    while not go.over:
        rewards += go.step(0)
    assert rewards == 0
    assert float(go.state.revenue[0] - go.state.cost[0]) == pytest.approx(201.8)


@both
def test_2_passengers_do_not_wait_for_ever(compiled):
    go = walk(compiled, fleet(), {(0, 0, 1): 4, (1, 1, 0): 3})
    assert go.step(1) == pytest.approx(118.4)
    assert go.state.queue.sum() == 0
    assert go.step(0) == pytest.approx(-21.6)


@both
def test_3_one_passenger(compiled):
    go = walk(compiled, fleet(), {(0, 0, 1): 1})
    assert go.step(1) == pytest.approx(13.4)


@both
def test_4_two_aircraft(compiled):
    problem = fleet(aircraft=2)
    go = walk(compiled, problem, {(0, 0, 1): 6, (1, 1, 0): 2}, location=(0, 1))
    total = go.step(1) + go.step(1)  # aircraft 1 stays at B
    assert go.state.queue[0, :, 0, 1].sum() == 2
    total += go.step(0)
    assert total == pytest.approx(166.8)
    while go.now < 30:
        go.step(int(go.state.location[0, go.state.ready[0].argmin()]))
    assert go.state.queue.sum() == 0  # the last two have left


@both
def test_5_stands(compiled):
    problem = fleet(aircraft=3)
    go = walk(
        compiled,
        problem,
        location=(0, 0, 0),
        chargers=[[6, 1]],
        parking=[[10, 1]],
    )
    go.step(1)
    assert go.state.charging[0].tolist() == [True, False, False]
    go.step(1)
    assert go.state.charging[0].tolist() == [True, False, False]
    assert go.state.ready[0, 1] == pytest.approx(393.107 - 360, abs=5e-4)
    assert go.state.charge[0, 1] == pytest.approx(66.0)
    assert go.mask == [True, False]  # no stand left
    while go.now < 33:
        go.step(0)
    assert int(go.state.ready[0].argmin()) == 1
    assert go.step(1) == 0  # no charger is free: nothing is charged
    assert go.state.charge[0, 1] == pytest.approx(66.0)
    while int(go.state.ready[0].argmin()) != 0:
        go.step(0)
    go.step(0)  # aircraft 0 leaves its charger
    while int(go.state.ready[0].argmin()) != 1:
        go.step(0)
    assert go.step(1) == pytest.approx(-0.2 * 37.5)
    assert go.state.charge[0, 1] == pytest.approx(66.0 + 37.5)
    assert bool(go.state.charging[0, 1])


@both
def test_5_a_full_aircraft_gives_its_charger_free(compiled):
    go = walk(compiled, fleet(), {})
    go.step(1)
    assert bool(go.state.charging[0, 0])
    assert go.step(1) == 0
    assert not go.state.charging[0, 0]
    go = walk(compiled, fleet(), {}, parking=[[10, 0]])
    go.step(1)
    go.step(1)
    assert bool(go.state.charging[0, 0])  # there is no other stand


@both
@pytest.mark.parametrize(
    ("positions", "chargers", "allowed"),
    [
        ([(0, 0), (50.0, 0)], [6, 6], True),
        ([(0, 0), (50.1, 0)], [6, 6], False),
        # 26 miles leave 52.8 kWh, enough for 24.0 miles.
        ([(0, 0), (26.0, 0)], [6, 0], False),
        ([(0, 0), (26.0, 0), (49.9, 0)], [6, 0, 6], True),
        ([(0, 0), (26.0, 0), (50.1, 0)], [6, 0, 6], False),
    ],
)
def test_6_range(compiled, positions, chargers, allowed):
    problem = fleet(positions)
    go = walk(compiled, problem, positions=positions, chargers=[chargers])
    assert go.mask[1] == allowed


@both
def test_7_delay(compiled):
    problem = fleet(max_expected_delay=5.0)
    instance, tape = day(problem, {(0, 0, 1): 4})
    tape.delay[:] = 5.0
    go = Walk(problem.compiled() if compiled else problem, instance, tape)
    go.step(1)
    assert go.now == pytest.approx(410.707 - 360, abs=5e-4)


def test_7_the_announced_delay_is_the_delay_where_it_does_not_vary():
    problem = fleet(max_expected_delay=5.0)
    instance, _ = day(problem, expected_delay=np.full((1, 12, 2), 5.0))
    tape = instances.sample_tape(problem.setting, instance, [np.random.default_rng(0)])
    assert (tape.delay == 5.0).all()


@both
@pytest.mark.parametrize(("lanes", "takeoffs"), [(0, [0, 0, 0]), (1, [0, 1, 2]), (2, [0, 0, 1])])
def test_7_corridors(compiled, lanes, takeoffs):
    go = walk(compiled, fleet(aircraft=3, lanes=lanes), location=(0, 0, 0))
    for _ in range(3):
        go.step(1)
    assert go.state.takeoff[0].tolist() == takeoffs
    assert go.state.ready[0] == pytest.approx(np.array(takeoffs) + BLOCK + CHARGE)


@both
def test_8_repair(compiled):
    problem = fleet(max_failure=1.0)
    instance, tape = day(problem)
    tape.failure[0, 0, 0] = True
    go = Walk(problem.compiled() if compiled else problem, instance, tape)
    go.step(1)
    assert go.now == pytest.approx(45.707 + 120, abs=5e-4)
    go.step(0)
    assert go.now == pytest.approx(45.707 + 120 + 45.707, abs=1e-3)  # the second landing is fine


@both
def test_9_closure(compiled):
    problem = fleet(max_closure=1.0)
    closed = np.zeros((1, 2, 2), dtype=bool)
    closed[0, 0, 1] = True
    go = walk(compiled, problem, closed=closed)
    for _ in range(4):
        assert go.mask == [True, False]
        go.step(0)
    assert go.now == 60
    assert go.mask == [True, True]


@both
def test_10_ref2022(compiled):
    problem = fleet(preset="ref2022")
    distance = np.array([[[0.0, 20.0], [20.0, 0.0]]])
    fare = instances.fares(problem.setting, distance, np.ones((1, 13, 2, 2)))
    assert fare[0, 0, 0, 1] == 30.0
    go = walk(compiled, problem, {(0, 0, 1): 60}, fare=30.0)
    assert go.step(1) == pytest.approx(111.2)
    assert 6 + go.now / 60 == pytest.approx(6.76179, abs=5e-6)
    assert go.state.queue[0, 0, 0, 1] == 56


@both
@pytest.mark.parametrize(
    ("hourly", "fare", "profit"), [(60, 27.93, 51.74), (20, 17.8, 11.2), (27, 17.8, 11.2)]
)
def test_11_paper2024(compiled, hourly, fare, profit):
    problem = fleet(preset="paper2024")
    distance = np.array([[[0.0, 20.0], [20.0, 0.0]]])
    fares = instances.fares(problem.setting, distance, np.full((1, 48, 2, 2), hourly / 4))
    assert fares[0, :, 0, 1] == pytest.approx(fare, abs=5e-3)
    go = walk(compiled, problem, {(0, 0, 1): 4}, fare=fares[0, 0, 0, 1])
    assert go.step(1) == pytest.approx(profit, abs=6e-3)


def test_11_break_even_of_paper2024():
    problem = fleet(((0, 0), (20 / 0.44, 0)), preset="paper2024")
    instance, tape = day(
        problem, {(0, 0, 1): 4}, positions=((0, 0), (20 / 0.44, 0)), fare=5 + 0.64 * 20 / 0.44
    )
    assert Walk(problem, instance, tape).step(1) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["default", "det", "tiny", "paper2024", "ref2022"])
def test_the_economics_of_the_hand_cases_are_those_of_the_presets(name):
    setting = PRESETS[name]
    shared = ("seats", "speed", "battery", "consumption", "power", "takeoff", "landing", "stay")
    assert [getattr(setting, x) for x in shared] == [4, 74.5, 110, 2.2, 150, 6, 6, 15]


def test_one_route_of_endless_demand():
    """Profit per hour and aircraft is (4 F - c) per cycle, there and back alike."""
    problem = fleet(patience=None)
    instance, tape = day(problem, {(0, 0, 1): 999, (0, 1, 0): 999})
    go = Walk(problem.compiled(), instance, tape)
    total = 0.0
    for place in itertools.cycle([1, 0]):
        total += go.step(place)
        if go.over:
            break
    flights = int(go.state.flights[0, 0])
    assert flights == 1 + int(720 / (BLOCK + CHARGE))
    assert total == pytest.approx(flights * 118.4)


def test_nobody_travels_and_staying_is_best():
    problem = fleet(load=0.0, aircraft=2)
    instance = problem.sample_instances([np.random.default_rng(0)])
    assert not instance.demand.any()
    tape = problem.sample_exogenous(instance, [np.random.default_rng(1)])
    assert not tape.arrivals.any()
    legs = problem.legs(instance, problem.initial(instance))
    assert legs.profit.max() == 0
    assert legs.profit.argmax() == instance.location[0, 0]


def test_oldest_passengers_board_first():
    problem = fleet(patience=3)
    instance, tape = day(problem, {(0, 0, 1): 3, (1, 0, 1): 2, (2, 0, 1): 5})
    go = Walk(problem, instance, tape)
    go.step(0)
    go.step(0)
    assert go.state.queue[0, :, 0, 1].tolist() == [3, 2, 5]
    go.step(1)
    # By 75.7 minutes bins 0 to 3 have left; of bin 5 nobody came.
    assert go.state.queue[0, :, 0, 1].tolist() == [0, 0, 0]
    state = dataclasses.replace(
        problem.initial(instance),
        queue=np.array([3, 2, 5]).reshape(1, 3, 1, 1) * np.array([[0, 1], [0, 0]]),
    )
    post, reward = problem.post_decision(instance, state, np.array([1]))
    assert post.queue[0, :, 0, 1].tolist() == [0, 1, 5]
    assert reward[0] == pytest.approx(118.4)
