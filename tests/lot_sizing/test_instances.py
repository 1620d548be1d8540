"""Shipped instances, the law, and the file reader's errors."""

import json
from importlib import resources

import numpy as np
import pytest

from or_envs.core.random import generators
from or_envs.lot_sizing.demand import binomial_probability
from or_envs.lot_sizing.instances import NAMES, generate, load, to_json
from or_envs.lot_sizing.problem import LotSizing

BINOMIAL = {"name": "binomial", "n": 20, "p": 0.4}


@pytest.mark.parametrize(
    ("name", "seed"), [("15x5", 15005), ("20x10", 20010), ("25x10", 25010), ("25x15", 25015)]
)
def test_shipped_instances_come_from_the_law(name, seed):
    n_items, n_machines = map(int, name.split("x"))
    text = to_json(generate(n_items, n_machines, generators(seed, 1)), 100, BINOMIAL)
    shipped = resources.files("or_envs.lot_sizing").joinpath(f"data/{name}.json").read_text()
    assert shipped == text


NEGATIVE_BINOMIAL = {"name": "negative_binomial", "mean": 8, "variance": 24}


@pytest.mark.parametrize(
    ("family", "law"), [("tight", BINOMIAL), ("graded", BINOMIAL), ("negbin", NEGATIVE_BINOMIAL)]
)
def test_shipped_families_come_from_their_laws(family, law):
    text = to_json(generate(15, 5, generators(15005, 1), family), 100, law)
    file = resources.files("or_envs.lot_sizing").joinpath(f"data/{family}-15x5.json")
    assert file.read_text() == text
    np.testing.assert_array_equal(load(f"{family}-15x5")[0].production, load("15x5")[0].production)


@pytest.mark.parametrize("name", NAMES)
def test_every_item_can_be_made(name):
    instance, horizon = load(name)
    assert horizon == (10 if name == "10x5" else 100)
    assert (instance.production[0] > 0).any(axis=0).all()


def test_small_instances():
    instance, _ = load("VI-B")
    np.testing.assert_array_equal(instance.lost_sales_cost, [[10, 20]])
    np.testing.assert_array_equal(instance.demand_probability[0], [[0.341, 0.58, 0.079]] * 2)
    np.testing.assert_allclose(instance.mean_demand, 0.738)
    np.testing.assert_array_equal(instance.production, [[[3, 3]]])
    assert load("VI-C")[0].demand_probability.shape == (1, 2, 5)


def test_companion_instance():
    """The numbers of the article's file: (machine, item) pairs from 1."""
    instance, horizon = load("10x5")
    assert horizon == 10
    cheap = np.argwhere(instance.setup_cost[0] == 1) + 1
    assert cheap.tolist() == [[2, 4], [3, 6], [4, 2], [4, 4], [4, 9]]
    assert (np.flatnonzero(instance.lost_sales_cost[0] == 2) + 1).tolist() == [1, 2, 6]
    assert instance.production[0].sum(axis=1).tolist() == [19, 8, 17, 19, 21]
    np.testing.assert_allclose(instance.mean_demand, 1.6)
    assert not instance.initial_inventory.any()


def test_families():
    tight = generate(15, 5, generators(0, 50), "tight").lost_sales_cost
    assert ((tight == 1.1).sum(axis=1) == 10).all()
    assert ((tight == 0.1).sum(axis=1) == 5).all()
    assert (tight == 1.1).any(axis=0).all()
    assert (tight == 0.1).any(axis=0).all()
    graded = generate(20, 5, generators(0, 500), "graded").lost_sales_cost
    assert graded.min() >= 0.2
    assert graded.max() <= 2
    assert graded.mean() == pytest.approx(1.1, abs=3 * 1.8 / np.sqrt(12 * graded.size))
    law = generate(2, 1, generators(0, 1), "negbin").demand_probability[0, 0]
    units = np.arange(len(law))
    assert (law * units).sum() == pytest.approx(8, abs=1e-9)
    assert (law * units**2).sum() - 64 == pytest.approx(24, abs=1e-8)


def test_families_change_one_thing_only():
    plain = generate(15, 5, generators(1, 3))
    changed = {
        "tight": "lost_sales_cost",
        "graded": "lost_sales_cost",
        "negbin": "demand_probability",
    }
    for family, field in changed.items():
        other = generate(15, 5, generators(1, 3), family)
        for name in plain.names():
            assert np.array_equal(getattr(plain, name), getattr(other, name)) == (name != field)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"family": "hard"},
            "family: expected one of published, tight, graded, negbin, got 'hard'",
        ),
        (
            {"family": "tight", "n_items": 9},
            "n_items: family='tight' needs at least 2 .* = 10, got 9",
        ),
        ({"instance": "15x5", "family": "tight"}, "family: allowed only with instance='random'"),
        ({"start": "empty"}, "start: expected 'random' or 'given', got 'empty'"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LotSizing(**{"instance": "random", **kwargs})


def test_given_start():
    problem = LotSizing("10x5", start="given")
    instance = problem.sample_instances(generators(0, 3))
    np.testing.assert_array_equal(instance.initial_inventory, np.zeros((3, 10)))
    np.testing.assert_array_equal(instance.initial_setup, [[0, 2, 4, 6, 0]] * 3)
    assert LotSizing("10x5").sample_instances(generators(0, 3)).initial_inventory.any()
    anew = LotSizing("random", start="given").sample_instances(generators(0, 3))
    np.testing.assert_array_equal(
        anew.initial_inventory, generate(15, 5, generators(0, 3)).initial_inventory
    )


def test_binomial_probability():
    law = binomial_probability(20, 0.4)
    units = np.arange(21)
    assert law.sum() == pytest.approx(1)
    assert (law * units).sum() == pytest.approx(8)
    assert (law * units**2).sum() - 64 == pytest.approx(4.8)
    assert binomial_probability(2, 0.25) == pytest.approx([0.5625, 0.375, 0.0625])


def test_generator_law():
    instance = generate(20, 10, generators(0, 300))
    p = instance.production
    assert (p == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert set(np.unique(p)) == set(range(41))
    c = instance.setup_cost
    assert c.min() == 15
    assert c.max() == 30
    assert (c == 15).mean() == pytest.approx(0.2, abs=0.01)
    loss = instance.setup_loss
    for value, share in ((1, 0.7), (2, 0.15), (3, 0.15)):
        assert (loss == value).mean() == pytest.approx(share, abs=0.01)
    assert (instance.lost_sales_cost == 1.1).mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(instance.lost_sales_cost)) == {0.1, 1.1}


def text(**changes):
    data = json.loads(resources.files("or_envs.lot_sizing").joinpath("data/VI-A.json").read_text())
    data.update(changes)
    return json.dumps({key: value for key, value in data.items() if value is not None})


DAMAGES = [
    (text()[:40], r"damaged.json: not JSON, damaged at line 1 column"),
    ("[1, 2]", r"expected an object, got \[1, 2\]"),
    (text(setup_costs=None), "field 'setup_costs' is missing"),
    (text(n_items="two"), "n_items: expected an integer >= 1, got 'two'"),
    (text(n_items=3), r"setup_costs: expected shape \(1, 3\), got \(1, 2\)"),
    (text(machine_production=[[3, -3]]), r"machine_production\[0, 1\]: expected numbers in \[0,"),
    (text(machine_production=[[3, "x"]]), "machine_production: expected numbers"),
    (text(max_inventory_level=[5, 0]), r"max_inventory_level\[1\]: expected whole numbers in \[1"),
    (text(initial_inventory=[6, 0]), "initial_inventory: a value is above max_inventory_level"),
    (text(initial_setup=[3]), r"initial_setup\[0\]: expected whole numbers in \[0, 2\], got 3"),
    (text(demand_distribution="normal"), "demand_distribution: expected an object"),
    (text(demand_distribution={"name": "cauchy"}), "expected one of binomial, discrete_uniform"),
    (
        text(
            demand_distribution={
                "name": "probability_mass_function",
                "vals": [0, 1],
                "probs": [0.5, 0.4],
            }
        ),
        "probs: must sum to 1, sum is 0.9",
    ),
    (
        text(demand_distribution={"name": "binomial", "n": 4, "p": 1.5}),
        r"p: expected numbers in \[0, 1\], got 1.5",
    ),
]


@pytest.mark.parametrize(("content", "message"), DAMAGES, ids=range(len(DAMAGES)))
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "damaged.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        LotSizing(str(path))
    assert str(path) in str(error.value)


def test_own_file(tmp_path):
    path = tmp_path / "own.json"
    law = {"name": "probability_mass_function", "vals": [2, 0], "probs": [0.25, 0.75]}
    path.write_text(text(demand_distribution=law, time_horizon=7))
    problem = LotSizing(str(path))
    assert problem.max_steps == 7
    np.testing.assert_array_equal(
        problem.sample_instances(generators(0, 1)).demand_probability[0, 0], [0.75, 0, 0.25]
    )
