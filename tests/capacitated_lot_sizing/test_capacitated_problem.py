"""Capacitated lot-sizing: hand cases, requests that do not fit, law, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_envs import sample, simulate
from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizing, shares

HAND = CapacitatedLotSizingInstance(
    demand=np.array([[[30.0, 20], [40, 10]]]),
    capacity=np.array([[100.0, 200]]),
    unit_time=np.array([[1.0, 2]]),
    setup_time=np.array([[10.0, 20]]),
    setup_cost=np.array([[50.0, 70]]),
    holding_cost=np.array([[1.0, 2]]),
    lost_sales_cost=np.array([[5.0, 8]]),
)


def step(problem, instance, state, action):
    post, decision = problem.post_decision(instance, state, np.array([action]))
    after, outcome, terminal = problem.transition(instance, post, None)
    return post, after, -decision[0], -outcome[0], bool(terminal[0])


def test_hand_case():
    """50 of 100 for each item: 40 units of item 1, 15 of item 2; 5 of its 20 are lost."""
    problem = CapacitatedLotSizing(2, 2)
    start = problem.initial(HAND)
    post, after, decision, outcome, terminal = step(problem, HAND, start, [0.5, 0.5])
    np.testing.assert_allclose(post.inventory, [[40, 15]])
    assert (decision, outcome, terminal) == (120, 1 * 10 + 8 * 5, False)
    # Period 2, 200 units of time: 40 for item 1 give 30 units, which is all that is short.
    post, after, decision, outcome, terminal = step(problem, HAND, after, [0.2, 0.0])
    np.testing.assert_allclose(post.inventory, [[40, 0]])
    assert (decision, outcome, terminal) == (50, 8 * 10, True)


def test_shares_above_the_capacity_are_scaled():
    problem = CapacitatedLotSizing(2, 2)
    asked = step(problem, HAND, problem.initial(HAND), [0.9, 0.6])
    given_ = step(problem, HAND, problem.initial(HAND), [0.6, 0.4])
    np.testing.assert_allclose(asked[0].inventory, given_[0].inventory)
    np.testing.assert_allclose(asked[0].inventory, [[50, 10]])


def test_a_share_no_longer_than_the_setup_does_nothing():
    problem = CapacitatedLotSizing(2, 2)
    post, _, decision, _, _ = step(problem, HAND, problem.initial(HAND), [0.1, 0.2])
    np.testing.assert_array_equal(post.inventory, [[0, 0]])
    assert decision == 0


def test_observation_layout():
    """Period 2 with 5 and 20 units: d = 40, capacity 200, money 8 * 40 = 320."""
    problem = CapacitatedLotSizing(2, 2)
    state = type(problem.initial(HAND))(np.array([[5.0, 20]]), np.array([1]))
    expected = [5 / 40, 0.5, 1, 0.25, 0, 0, 1, 0, 0.05, 0.1, 0.2, 0.4]
    expected += [50 / 320, 70 / 320, 40 / 320, 80 / 320, 200 / 320, 1, 0.5]
    np.testing.assert_allclose(problem.observation(HAND, state), [expected])


def test_law():
    instance, exogenous = sample(CapacitatedLotSizing(5, 10), 0, 400)
    assert exogenous is None
    for values, low, high in (
        (instance.demand, 0, 200),
        (instance.setup_cost, 200, 1000),
        (instance.setup_time, 10, 50),
        (instance.lost_sales_cost, 20, 40),
    ):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
        spread = (high - low) / np.sqrt(12 * values.size)
        assert abs(values.mean() - (low + high) / 2) < 4 * spread
    load = (instance.demand + (instance.demand > 0) * instance.setup_time[:, None]).sum(axis=2)
    ratio = instance.capacity[:, 0] / load.mean(axis=1)
    assert 0.75 <= ratio.min() < 0.76
    assert 1.09 < ratio.max() <= 1.1
    assert (instance.capacity == instance.capacity[:, :1]).all()


def test_an_instance_without_demand_has_time():
    """One item and one period: demand 0 has probability 1/201."""
    instance, _ = sample(CapacitatedLotSizing(1, 1), 0, 1500)
    assert (instance.demand == 0).any()
    assert (instance.capacity > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 6))
def test_units_time_and_money_are_conserved(seed, n_items, horizon):
    problem = CapacitatedLotSizing(n_items, horizon)
    instance, _ = sample(problem, seed, 3)
    rng = np.random.default_rng(seed)
    state = problem.initial(instance)
    for t in range(horizon):
        action = rng.random((3, n_items)) * rng.choice([0.2, 1.0])
        post, decision = problem.post_decision(instance, state, action)
        made = post.inventory - state.inventory
        assert (made >= 0).all()
        setup = made > 0
        time = (setup * instance.setup_time + made * instance.unit_time).sum(axis=1)
        assert (time <= instance.capacity[:, t] * (1 + 1e-9)).all()
        np.testing.assert_allclose(-decision, (setup * instance.setup_cost).sum(axis=1))
        # The plan in units is the action again.
        again, _ = problem.post_decision(
            instance, state, shares(instance, state.period, made, setup)
        )
        np.testing.assert_allclose(again.inventory, post.inventory, atol=1e-9)
        after, outcome, _ = problem.transition(instance, post, None)
        lost = instance.demand[:, t] - (post.inventory - after.inventory)
        assert (lost >= -1e-9).all()
        assert (lost * after.inventory <= 1e-6).all()  # nothing is lost while there is stock
        cost = instance.holding_cost * after.inventory + instance.lost_sales_cost * lost
        np.testing.assert_allclose(-outcome, cost.sum(axis=1), atol=1e-6)
        state = after


def test_doing_nothing_loses_all_demand():
    problem = CapacitatedLotSizing()
    instance, _ = sample(problem, 0, 5)
    cost = -simulate(problem, np.zeros((5, 12, 4)), instance).total_reward
    lost = (instance.demand.sum(axis=1) * instance.lost_sales_cost).sum(axis=1)
    np.testing.assert_allclose(cost, lost)


@pytest.mark.parametrize("name", ["n_items", "horizon"])
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=rf"{name}: .*>= 1, got 0"):
        CapacitatedLotSizing(**{name: 0})
