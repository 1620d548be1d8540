"""Demand laws against scipy, by hand and by simulation; how files name them."""

import json
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from or_envs.lot_sizing.demand import (
    binomial_probability,
    discrete_uniform_probability,
    mixture_probability,
    negative_binomial_probability,
    normal_probability,
    thinned,
)
from or_envs.lot_sizing.instances import parse


@given(st.floats(0.01, 300), st.floats(1.01, 50))
def test_negative_binomial(mean, ratio):
    law = negative_binomial_probability(mean, mean * ratio)
    size = mean / (ratio - 1)
    units = np.arange(len(law))
    np.testing.assert_allclose(law, stats.nbinom(size, 1 / ratio).pmf(units), rtol=1e-7, atol=1e-13)
    assert law.sum() == pytest.approx(1, abs=1e-14)
    # Cut where less than 1e-12 remains, and not before.
    assert stats.nbinom(size, 1 / ratio).sf(len(law) - 1) < 1.01e-12
    assert stats.nbinom(size, 1 / ratio).sf(len(law) - 2) > 0.99e-12


@given(st.floats(-3, 60), st.floats(0.05, 20))
def test_normal(mean, deviation):
    law = normal_probability(mean, deviation)
    edges = stats.norm(mean, deviation).cdf(np.arange(1, len(law) + 1))
    np.testing.assert_allclose(law, np.diff(edges, prepend=0.0), atol=1e-11)
    assert law.sum() == pytest.approx(1, abs=1e-14)


def test_normal_is_the_integer_part():
    draws = np.maximum(np.random.default_rng(0).normal(3.0, 2.0, 400_000).astype(int), 0)
    law = normal_probability(3.0, 2.0)
    shares = np.bincount(draws, minlength=len(law))[: len(law)] / len(draws)
    np.testing.assert_allclose(law, shares, atol=4 * 0.5 / np.sqrt(len(draws)))


def test_small_laws_by_hand():
    np.testing.assert_allclose(discrete_uniform_probability(1, 3), [0, 0.5, 0.5])
    np.testing.assert_allclose(
        mixture_probability([0.25, 0.75], [np.array([0, 1.0]), np.array([0.2, 0.4, 0.4])]),
        [0.15, 0.55, 0.3],
    )
    np.testing.assert_allclose(thinned(np.array([0, 0, 1.0]), 0.5), [0.25, 0.5, 0.25])
    np.testing.assert_allclose(
        thinned(binomial_probability(20, 0.4), 0.7), binomial_probability(20, 0.28), atol=1e-14
    )


def law_of(demand):
    text = resources.files("or_envs.lot_sizing").joinpath("data/VI-A.json").read_text()
    data = {**json.loads(text), "demand_distribution": demand}
    return parse(json.dumps(data), "own.json")[0].demand_probability


UNIFORM = {"name": "discrete_uniform", "low": 0, "high": 2}
CERTAIN = {"name": "probability_mass_function", "vals": [3], "probs": [1]}


def test_laws_of_files():
    np.testing.assert_allclose(law_of(UNIFORM), [[[0.5, 0.5]] * 2])
    np.testing.assert_allclose(
        law_of({"name": "item_specific_uniform", "distributions": [UNIFORM, CERTAIN]}),
        [[[0.5, 0.5, 0, 0], [0, 0, 0, 1]]],
    )
    np.testing.assert_allclose(
        law_of({"name": "mixture", "weights": [0.5, 0.5], "distributions": [UNIFORM, CERTAIN]}),
        [[[0.25, 0.25, 0, 0.5]] * 2],
    )
    np.testing.assert_array_equal(
        law_of({"name": "normal", "mu": 5, "sigma": 1})[0, 1], normal_probability(5, 1)
    )
    np.testing.assert_array_equal(
        law_of({"name": "negative_binomial", "mean": 8, "variance": 24})[0, 0],
        negative_binomial_probability(8, 24),
    )


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ({"n": 4}, "field 'name' is missing"),
        ({"name": ["binomial"]}, r"name: expected one of binomial, .*, got \['binomial'\]"),
        ({"name": "discrete_uniform", "low": 2, "high": 2}, r"high: expected an integer in \[3,"),
        ({"name": "discrete_uniform", "low": -1, "high": 2}, r"low: expected an integer in \[0,"),
        ({"name": "normal", "mu": 2, "sigma": 0}, r"sigma: expected numbers in \[1e-06"),
        ({"name": "negative_binomial", "mean": 8, "variance": 8}, r"variance: expected numbers in"),
        ({"name": "probability_mass_function", "vals": []}, r"vals: expected a list, got \[\]"),
        (
            {"name": "item_specific_uniform", "distributions": [UNIFORM]},
            "distributions: expected 2 laws, got 1",
        ),
        (
            {"name": "item_specific_uniform", "distributions": [UNIFORM, {"name": "normal"}]},
            r"distributions\[1\]: field 'mu' is missing",
        ),
        (
            {"name": "item_specific_uniform", "distributions": [UNIFORM, 3]},
            r"distributions\[1\]: expected an object, got 3",
        ),
        (
            {"name": "mixture", "weights": [0.5, 0.4], "distributions": [UNIFORM, CERTAIN]},
            r"weights: must sum to 1, sum is 0\.9",
        ),
    ],
)
def test_bad_laws(law, message):
    with pytest.raises(ValueError, match=f"^own.json: demand_distribution.*{message}"):
        law_of(law)
