"""The closed form of the expected outcome, and states read back from observations."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from or_envs import sample, simulate
from or_envs.core.random import generators
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


def state(inventory, machines=1):
    stock = np.atleast_2d(np.asarray(inventory, dtype=float))
    rows = len(stock)
    return LotSizingState(stock, np.zeros((rows, machines), int), np.zeros(rows, int))


def test_by_hand():
    """VI-A: demand 0 or 1, cap 5, h = 0.1, rho = 2.

    Empty: 2 items * 1/2 * 2 = 2. Stock (2, 0): 0.1 * 1.5 + 1 = 1.15. Stock (7, 0): the cap leaves
    5 units for either demand: 0.5 + 1 = 1.5.
    """
    problem = LotSizing("VI-A")
    instance, _ = sample(problem, 0, 3)
    post = state([[0, 0], [2, 0], [7, 0]])
    for variant in (problem, problem.compiled()):
        expected = variant.expected_outcome(instance, post)
        np.testing.assert_allclose(expected, [-2.0, -1.15, -1.5], atol=1e-12)


@pytest.mark.parametrize("name", ["15x5", "VI-C", "random"])
def test_mean_of_the_transition(name):
    """The mean outcome of many demands lies within 4 standard errors, at fractional stocks too."""
    problem = LotSizing(name)
    num = 20_000
    instance = problem.sample_instances(generators(0, 1))
    rng = np.random.default_rng(0)
    law = np.cumsum(instance.demand_probability[0], axis=1)
    units = (rng.random((num, problem.n_items, 1)) >= law[None]).sum(axis=2).astype(float)
    for level in (0.0, 0.05, 0.085, 0.5, 1.2):
        stock = level * instance.max_inventory
        one = state(stock, problem.n_machines)
        many = state(np.repeat(stock, num, axis=0), problem.n_machines)
        _, outcome, _ = problem.transition(instance, many, LotSizingDemand(units))
        error = max(outcome.std(ddof=1) / np.sqrt(num), 1e-9)
        assert abs(problem.expected_outcome(instance, one)[0] - outcome.mean()) < 4 * error


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_kernel_and_torch_agree(seed, n_items, rows):
    problem = LotSizing("random", n_items=n_items, n_machines=2)
    instance = problem.sample_instances(generators(seed % 2**31, rows))
    stock = np.random.default_rng(seed).uniform(-5, 130, (rows, n_items))
    post = state(stock, 2)
    expected = problem.expected_outcome(instance, post)
    assert expected.shape == (rows,)
    np.testing.assert_allclose(
        problem.compiled().expected_outcome(instance, post), expected, rtol=1e-12
    )
    tensors = problem.expected_outcome(
        instance.to_torch(dtype=torch.float64), post.to_torch(dtype=torch.float64)
    )
    np.testing.assert_allclose(tensors.numpy(), expected, rtol=1e-12)


def test_gradient_in_the_stock():
    """Between whole stocks the slope is rho P(D > I) - h P(D < I): half of each for VI-A at 0.5."""
    problem = LotSizing("VI-A")
    instance, _ = sample(problem, 0, 1)
    post = state([0.5, 2.5]).to_torch(dtype=torch.float64)
    post.inventory.requires_grad_()
    problem.expected_outcome(instance.to_torch(dtype=torch.float64), post).sum().backward()
    np.testing.assert_allclose(post.inventory.grad, [[0.5 * 2 - 0.5 * 0.1, -0.1]])


@pytest.mark.parametrize(
    "kwargs",
    [
        {"instance": "15x5"},
        {"instance": "25x15", "finite_horizon": True},
        {"instance": "VI-A", "finite_horizon": True, "horizon": 7},
        {"instance": "15x5", "allow_invalid": True},
    ],
)
def test_decode_inverts_observation(kwargs):
    """In every period of random play, on states and post-decision states."""
    problem = LotSizing(**kwargs)
    instance, demand = sample(problem, 0, 4)
    rng = np.random.default_rng(0)
    now = problem.initial(instance)
    for step in range(problem.horizon):
        action = rng.integers(0, problem.n_items + 1, now.setup.shape)
        post, _ = problem.post_decision(instance, now, action)
        for here in (now, post):
            seen = problem.observation(instance, here).astype(np.float32)
            data, decoded = problem.decode(seen)
            np.testing.assert_array_equal(decoded.inventory, here.inventory)
            np.testing.assert_array_equal(decoded.setup, here.setup)
            expected = here.period if problem.finite_horizon else 0 * here.period
            np.testing.assert_array_equal(decoded.period, expected)
            np.testing.assert_array_equal(problem.initial(data).inventory, here.inventory)
            np.testing.assert_array_equal(problem.initial(data).setup, here.setup)
            assert data.num == 4
        now, _, _ = problem.transition(
            instance, post, problem.exogenous_at(demand, np.full(4, step))
        )


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_decode_of_any_state(data):
    problem = LotSizing("20x10", finite_horizon=True, horizon=data.draw(st.integers(1, 5000)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    given_state = LotSizingState(
        rng.integers(0, 101, (3, 20)).astype(float),
        rng.integers(0, 21, (3, 10)),
        rng.integers(0, problem.horizon + 1, 3),
    )
    instance, _ = sample(problem, 0, 3)
    for variant in (problem, problem.compiled()):
        seen = variant.observation(instance, given_state).astype(np.float32)
        _, decoded = variant.decode(seen)
        for name in given_state.names():
            np.testing.assert_array_equal(getattr(decoded, name), getattr(given_state, name))


def test_a_decoded_state_plays_on_like_the_original():
    problem = LotSizing("15x5")
    instance, demand = sample(problem, 3, 2)
    data, decoded = problem.decode(problem.observation(instance, problem.initial(instance)))

    def keep(instance, state):
        return state.setup

    original = simulate(problem, keep, instance, demand).total_reward
    np.testing.assert_array_equal(simulate(problem, keep, data, demand).total_reward, original)
    np.testing.assert_array_equal(decoded.inventory, data.initial_inventory)


def test_observations_that_do_not_determine_the_state():
    with pytest.raises(ValueError, match="observation_mode: decoding needs 'full'"):
        LotSizing("15x5", observation_mode="inventory_only").decode(np.zeros((1, 15)))
    with pytest.raises(ValueError, match="instance: decoding needs a fixed one, got 'random'"):
        LotSizing("random").decode(np.zeros((1, 10)))
    problem = LotSizing("VI-A")
    with pytest.raises(ValueError, match=r"expected shape \(B, 5\), got \(5,\)"):
        problem.decode(np.zeros(5))
    with pytest.raises(ValueError, match=r"stocks must be whole units, got one 0\.3 units off"):
        problem.decode(np.array([[0.26, 0, 1, 0, 0]]))
    with pytest.raises(ValueError, match="setups must be one-hot"):
        problem.decode(np.array([[0.2, 0, 0, 0, 0]]))
    problem._data = dataclasses.replace(problem._data, production=np.array([[[2.5, 3.0]]]))
    with pytest.raises(ValueError, match="production: decoding needs whole units"):
        problem.decode(np.array([[0.2, 0, 1, 0, 0]]))
