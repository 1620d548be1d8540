"""The common test sets, bit by bit, and what random instances obey."""

import numpy as np
import pytest

import or_envs
from or_envs.routing import generators


def test_test_sets_have_the_published_numbers():
    for size in (20, 50, 100):
        cities = generators.kool_tsp(size)
        assert cities.shape == (10_000, size, 2)
        assert cities[0, 0] == pytest.approx([0.19151945, 0.62210877], abs=1e-8)
    assert generators.kool_tsp(20)[0, 1] == pytest.approx([0.43772774, 0.78535858], abs=1e-8)
    assert generators.kool_tsp(100)[-1, -1] == pytest.approx([0.99330766, 0.67780515], abs=1e-8)
    nodes, demand = generators.kool_cvrp(100)
    assert nodes[0, 0] == pytest.approx([0.19151945, 0.62210877], abs=1e-8)
    assert nodes[0, 1] == pytest.approx([0.55426939, 0.18097824], abs=1e-8)
    assert demand[0, :8].tolist() == [1, 3, 1, 4, 4, 1, 6, 3]
    assert generators.kool_cvrp(20)[1][0, :8].tolist() == [5, 3, 5, 8, 5, 1, 8, 4]


@pytest.mark.parametrize("name", ["TSP", "CVRP", "Orienteering"])
def test_environment_with_seed_s_has_row_s(name):
    size = "num_cities" if name == "TSP" else "num_customers"
    problem = or_envs.make_problem(f"or_envs/{name}-v0", instance="kool", **{size: 20})
    instance, _ = or_envs.sample(problem, 9_998, 4)
    rows = [9_998, 9_999, 0, 1]
    if name == "TSP":
        expected = generators.kool_tsp(20)[rows]
    elif name == "CVRP":
        expected = generators.kool_cvrp(20)[0][rows]
    else:
        expected = generators.kool_orienteering(20, "distance")[0][rows]
    np.testing.assert_array_equal(instance.coordinates, expected)


def test_capacities_and_budgets_of_the_literature():
    for size, capacity in ((10, 20), (20, 30), (50, 40), (100, 50), (200, 80), (1000, 250)):
        assert or_envs.make_problem("or_envs/CVRP-v0", num_customers=size).capacity == capacity
    for size, budget in ((20, 2.0), (50, 3.0), (100, 4.0)):
        made = or_envs.make_problem("or_envs/Orienteering-v0", num_customers=size)
        assert made.budget == budget


def test_closed_matrices_obey_the_triangle_inequality():
    rngs = [np.random.default_rng(k) for k in range(3)]
    distances = generators.closed_matrices(rngs, 12)
    through = (distances[:, :, :, None] + distances[:, None, :, :]).min(axis=2)
    assert (distances <= through + 1e-12).all()
    assert (np.diagonal(distances, axis1=1, axis2=2) == 0).all()
    assert (distances != distances.transpose(0, 2, 1)).any()
    np.testing.assert_allclose(distances * 10**6, np.rint(distances * 10**6), atol=1e-6)


def test_prizes():
    nodes = np.array([[(0.0, 0.0), (1.0, 0.0), (0.5, 0.0), (0.25, 0.0)]])
    assert generators.prizes_of(nodes, "distance")[0] == pytest.approx([1.0, 0.5, 0.25])
    assert generators.prizes_of(nodes, "constant")[0].tolist() == [1, 1, 1]
    uniform = generators.kool_orienteering(20, "uniform", 100)[1] * 100
    np.testing.assert_allclose(uniform, np.rint(uniform), atol=1e-9)
    assert uniform.min() >= 1
    assert uniform.max() <= 100


def test_clustered_nodes_are_in_the_square_and_near_each_other():
    rngs = [np.random.default_rng(k) for k in range(20)]
    nodes = generators.clustered(rngs, 60)
    assert ((nodes >= 0) & (nodes <= 1)).all()
    even = np.random.default_rng(0).random((20, 60, 2))
    assert nearest(nodes).mean() < 0.7 * nearest(even).mean()


def nearest(nodes):
    """Distances (B, N) to the nearest other node."""
    away = np.sqrt(((nodes[:, :, None] - nodes[:, None]) ** 2).sum(axis=3))
    return (away + 9 * np.eye(nodes.shape[1])).min(axis=2)
