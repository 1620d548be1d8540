"""Published numbers, demand laws, names and bad arguments."""

import math

import numpy as np
import pytest

import or_envs
from or_envs.core import generators
from or_envs.inventory import published
from or_envs.inventory.demand import Geometric, Normal, Poisson, UniformInteger
from or_envs.inventory.single_store import SingleStoreLostSales


def test_generated_stores():
    stores = published.stores(3)
    assert stores.mean.tolist() == [3.743, 4.75, 4.555]
    assert stores.std.tolist() == [1.765, 2.124, 1.622]
    more = published.stores(5)
    assert more.mean.tolist() == [3.743, 4.75, 4.555, 3.801, 6.852]
    assert more.std[3:].tolist() == [1.405, 1.714]
    assert more.holding == pytest.approx([1.086, 1.023, 1.007, 1.066, 0.996], abs=5e-4)
    assert more.shortage == pytest.approx([10.237, 9.331, 6.975, 8.447, 10.519], abs=5e-4)
    assert published.lead_times(10, 3).tolist() == [2, 3, 2, 2, 2, 3, 3, 3, 3, 3]
    assert set(published.lead_times(50, 5)) == {2, 3, 4, 5}


def test_topologies():
    assert published.edges_of(published.TOPOLOGIES["2x10"]) == [
        (1, 0, 2), (1, 1, 1), (0, 2, 6), (1, 2, 2), (0, 3, 6), (1, 3, 2), (0, 4, 6), (1, 4, 1),
        (1, 5, 2), (0, 6, 6), (0, 7, 5), (1, 7, 2), (0, 8, 6), (1, 8, 2), (1, 9, 2),
    ]  # fmt: skip
    for name, topology in published.TOPOLOGIES.items():
        warehouses, stores = map(int, name.split("x"))
        codes = topology.split()
        assert len(codes) == stores
        assert {len(code) for code in codes} == {warehouses}
        assert all(set(code) != {"0"} for code in codes)
    for warehouses, topology in published.RETAIL_TOPOLOGIES.items():
        assert len(topology.split()) == 21
        assert {len(code) for code in topology.split()} == {warehouses}


@pytest.mark.parametrize(
    ("id", "name", "lead_times", "holding"),
    [
        ("SerialInventory", "L4-p9-S7", [2, 4, 1, 3, 2, 3, 4], [0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 1]),
        ("SerialInventory", "L4-p9-S6", [2, 4, 1, 3, 3, 4], [0.1, 0.2, 0.25, 0.3, 0.5, 1]),
        ("SerialInventory", "L2-p39", [2, 4, 3, 2], [0.1, 0.2, 0.5, 1]),
    ],
)
def test_chains(id, name, lead_times, holding):
    data = or_envs.make_problem(f"or_envs/{id}-v0", instance=name).setting.data
    assert data.lead_time[0].tolist() == lead_times
    assert data.holding_cost[0].tolist() == holding


def test_many_warehouses_data():
    data = or_envs.make_problem("or_envs/ManyWarehouses-v0", instance="2x10").setting.data
    assert data.unit_cost[0, :3].tolist() == [0.5, 1.5, 0.0]
    assert data.holding_cost[0, :2].tolist() == [0.3, 0.4]
    assert data.lead_time[0].tolist()[:6] == [3, 3, 2, 1, 6, 2]


def drawn(problem, law, num=400, horizon=50):
    data = problem.setting.data
    return law.sample(data, generators(5, num), horizon)


@pytest.mark.parametrize(
    ("law", "mean", "variance", "zero"),
    [
        (Poisson(), 5.0, 5.0, math.exp(-5)),
        (Geometric(), 5.0, 30.0, 1 / 6),
        (UniformInteger(0, 8), 4.0, 80 / 12, 1 / 9),
    ],
)
def test_discrete_laws(law, mean, variance, zero):
    demand = drawn(SingleStoreLostSales("poisson-L1-p4"), law)
    num = demand.size
    assert (demand == np.floor(demand)).all()
    assert demand.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance / num))
    assert demand.var() == pytest.approx(variance, rel=0.05)
    assert (demand == 0).mean() == pytest.approx(zero, abs=4 * math.sqrt(zero / num))


def test_normal_law_is_correlated_and_clipped():
    problem = or_envs.make_problem("or_envs/Transshipment-v0", instance="n3-L4-p9")
    demand = drawn(problem, problem.setting.demand).reshape(-1, 3)
    stores = published.stores(3)
    assert demand.mean(axis=0) == pytest.approx(stores.mean, abs=0.06)
    assert demand.std(axis=0) == pytest.approx(stores.std, rel=0.03)
    assert np.corrcoef(demand.T)[0, 1:] == pytest.approx([0.5, 0.5], abs=0.03)
    assert (demand < 0).any()
    assert (drawn(problem, Normal(0.5)) >= 0).all()


@pytest.mark.parametrize(
    ("id", "kwargs", "message"),
    [
        ("SingleStoreLostSales", {"instance": "normal-L4-p9"}, "expected poisson|geometric"),
        (
            "SingleStoreLostSales",
            {"instance": "poisson-L0-p9"},
            r"L: expected a number in 1\.\.100",
        ),
        ("SingleStoreLostSales", {"instance": "poisson-p9"}, "expected poisson"),
        ("SingleStoreLostSales", {"instance": "poisson-L1.5-p9"}, "L: expected an integer"),
        ("SingleStoreBacklog", {"horizon": 0}, "horizon: expected an integer >= 1, got 0"),
        ("SingleStoreBacklog", {"action_mode": "buy"}, "action_mode: expected one of 'orders'"),
        ("SingleStoreLostSales", {"action_mode": "levels"}, None),
        ("SingleStoreLostSales", {"normalized": True}, "normalized: expected False"),
        ("ManyWarehouses", {"instance": "9x9"}, "expected one of 2x10"),
        ("BeerGame", {"player": 4}, r"player: expected None or an integer in 0\.\.3, got 4"),
        ("SerialSupplyChain", {"instance": "both"}, "expected 'backlog' or 'lost', got 'both'"),
        ("RetailNetwork", {"instance": "7x21"}, "expected 1xSTORES"),
        ("RetailNetwork", {"horizon": 96}, r"horizon: expected an integer in 1\.\.95, got 96"),
        ("RetailNetwork", {"sales": "nowhere.npy"}, "sales: expected the path"),
    ],
)
def test_bad_arguments(id, kwargs, message):
    if message is None:
        or_envs.make_problem(f"or_envs/{id}-v0", **kwargs)  # whole goods, real levels
        return
    with pytest.raises(ValueError, match=message):
        or_envs.make_problem(f"or_envs/{id}-v0", **kwargs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_hand": [-1.0]}, "'on_hand' must be finite numbers >= 0"),
        ({"pipeline": [1.0]}, r"'pipeline' must have shape \(1, 4\), got \(1,\)"),
        ({"demand": [[float("nan")]] * 100}, "'demand' must be finite"),
    ],
)
def test_bad_options(options, message):
    env = or_envs.Env(SingleStoreLostSales())
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)
