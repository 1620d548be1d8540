"""or-gym's supply chains, the beer game, the newsvendor and the retail network."""

import numpy as np
import pytest

import or_envs
from or_envs.core import simulate
from or_envs.inventory.network import Demand
from or_envs.inventory.retail_data import HISTORY, SPLITS, load_sales, synthetic_sales
from or_envs.inventory.supply_chain import SupplyNetwork


def serial_profit(orders, demand, waits):
    """A plain re-statement of the serial chain, stage 0 the store; orders (T, 3)."""
    lead, capacity = [3, 5, 10], [100.0, 90.0, 80.0]
    stock = [100.0, 100.0, 200.0]
    sent = []
    owed, owed_customers = [0.0] * 3, 0.0
    profit = 0.0
    for t, wish in enumerate(demand):
        asked = [orders[t][m] + owed[m] for m in range(3)]
        have = [stock[1], stock[2], np.inf]
        ship = [min(asked[m], capacity[m], have[m]) for m in range(3)]
        sent.append(ship)
        for m in (0, 1):
            stock[m + 1] -= ship[m]
        for m in range(3):
            if t >= lead[m]:
                stock[m] += sent[t - lead[m]][m]
        wish = wish + owed_customers
        sold = min(stock[0], wish)
        stock[0] -= sold
        missed = wish - sold
        unfilled = [a - s for a, s in zip(asked, ship, strict=True)]
        prices, costs = [2.0, 1.5, 1.0, 0.75], [1.5, 1.0, 0.75, 0.5]
        sales = [sold, *ship]
        bought = [*ship, ship[2]]
        value = sum(p * s for p, s in zip(prices, sales, strict=True))
        value -= sum(c * b for c, b in zip(costs, bought, strict=True))
        value -= 0.1 * missed + 0.075 * unfilled[0] + 0.05 * unfilled[1] + 0.025 * unfilled[2]
        value -= 0.15 * stock[0] + 0.1 * stock[1] + 0.05 * stock[2]
        profit += 0.97**t * value
        owed = unfilled if waits else [0.0] * 3
        owed_customers = missed if waits else 0.0
    return profit


@pytest.mark.parametrize("instance", ["backlog", "lost"])
@pytest.mark.parametrize("seed", range(5))
def test_serial_supply_chain_equals_a_plain_model(instance, seed):
    problem = or_envs.make_problem("or_envs/SerialSupplyChain-v0", instance=instance)
    data, demand = or_envs.sample(problem, seed, 1)
    rng = np.random.default_rng(seed)
    orders = rng.random((1, 30, 3)) * [80.0, 90.0, 100.0] * (1.0 if seed else 0.3)
    profit = simulate(problem, orders, data, demand).total_reward[0]
    plain = serial_profit(orders[0, :, ::-1], demand.demand[0, :, 0], instance == "backlog")
    assert profit == pytest.approx(plain, abs=1e-9)


def network_profit(orders, demand, waits):
    """A plain re-statement of the supply network; orders (T, 11) as in ``EDGES``."""
    stock = {1: 100.0, 2: 110.0, 3: 80.0, 4: 400.0, 5: 350.0, 6: 380.0}
    holding = {1: 0.03, 2: 0.02, 3: 0.015, 4: 0.012, 5: 0.013, 6: 0.011}
    operating = {4: (90.0, 0.01), 5: (90.0, 0.015), 6: (80.0, 0.012)}
    edges = SupplyNetwork.EDGES
    sent, transit, owed, profit = [], [0.0] * 11, 0.0, 0.0
    for t, wish in enumerate(demand):
        ship = [min(orders[t][e], operating.get(edges[e][0], (np.inf, 0))[0]) for e in range(11)]
        for node in (2, 3, 4, 5, 6):
            mine = [e for e in range(11) if edges[e][0] == node]
            total = sum(ship[e] for e in mine)
            if total > stock[node]:
                for e in mine:
                    ship[e] *= stock[node] / total
        sent.append(ship)
        for e, (supplier, _, _, _, _) in enumerate(edges):
            if supplier in stock:
                stock[supplier] -= ship[e]
        for e, (_, buyer, lead, _, _) in enumerate(edges):
            arriving = sent[t - lead][e] if t >= lead else 0.0
            stock[buyer] += arriving
            transit[e] += ship[e] - arriving
        wish = wish + owed
        sold = min(stock[1], wish)
        stock[1] -= sold
        owed = wish - sold
        value = 2 * sold - 0.1 * owed - sum(holding[i] * stock[i] for i in stock)
        for e, (supplier, _, _, price, held) in enumerate(edges):
            value -= held * transit[e]
            value -= ship[e] * (price if supplier > 6 else operating.get(supplier, (0, 0.0))[1])
        profit += value
        owed = owed if waits else 0.0
    return profit


@pytest.mark.parametrize("instance", ["backlog", "lost"])
@pytest.mark.parametrize("share", [0.1, 0.4, 1.0])
def test_supply_network_equals_a_plain_model(instance, share):
    problem = or_envs.make_problem("or_envs/SupplyNetwork-v0", instance=instance)
    data, demand = or_envs.sample(problem, 7, 1)
    orders = np.random.default_rng(1).random((1, 30, 11)) * problem.action_space.high * share
    profit = simulate(problem, orders, data, demand).total_reward[0]
    plain = network_profit(orders[0], demand.demand[0, :, 0], instance == "backlog")
    assert profit == pytest.approx(plain, abs=1e-9)


def test_newsvendor_data():
    problem = or_envs.make_problem("or_envs/Newsvendor-v0")
    instance, demand = or_envs.sample(problem, 0, 2000)
    assert ((instance.price >= 0) & (instance.price <= 100)).all()
    assert (instance.unit_cost <= instance.price).all()
    assert (instance.holding_cost <= np.minimum(instance.unit_cost, 5)).all()
    assert instance.price.mean() == pytest.approx(50, abs=3)
    relative = demand.demand.mean(axis=1) / np.maximum(instance.demand_mean, 1)
    assert relative.mean() == pytest.approx(1, abs=0.02)
    state = problem.initial(instance)
    seen = problem.observation(instance, state)
    names = list(problem.layout)
    assert names[-7:] == [
        "holding_cost", "shortage_cost", "price", "unit_cost", "lead_time", "demand_mean",
        "demand_std",
    ]  # fmt: skip
    np.testing.assert_array_equal(seen[:, -5], instance.price[:, 0])


def test_newsvendor_reward():
    problem = or_envs.make_problem("or_envs/Newsvendor-v0")
    instance, _ = or_envs.sample(problem, 5, 1)
    instance, _ = problem.apply_options(instance, None, {"on_hand": [7.0]})
    state = problem.initial(instance)
    post, decision = problem.post_decision(instance, state, np.array([[3.0]]))
    _, outcome, _ = problem.transition(instance, post, Demand(np.array([[10.0]])))
    price, cost = instance.price[0, 0], instance.unit_cost[0, 0]
    penalty = instance.shortage_cost[0, 0]
    assert decision[0] == pytest.approx(-3 * cost)
    assert outcome[0] == pytest.approx(7 * price - 3 * penalty)


def test_retail_sales_look_like_the_published_ones():
    sales = synthetic_sales(21)
    assert sales.shape == (288, 21, 171)
    means = sales.mean(axis=2).ravel()
    assert np.median(means) == pytest.approx(46, rel=0.15)
    assert np.quantile(means, 0.9) == pytest.approx(184, rel=0.2)
    weekly = sales.sum(axis=(0, 1))
    assert set(np.argsort(weekly)[-3:]) <= {49, 50, 101, 102, 103, 154, 155}
    assert 0.01 <= (sales == 0).mean() <= 0.03


def test_retail_parts_do_not_leak():
    """What is seen in a week never depends on that week or later; test weeks train nobody."""
    first, last = SPLITS["test"]
    train = or_envs.make_problem("or_envs/RetailNetwork-v0", instance="1x3")
    test = or_envs.make_problem("or_envs/RetailNetwork-v0", instance="1x3", split="test")
    assert (train.horizon, test.horizon) == (95, 37)
    assert SPLITS["train"][1] <= first
    instance, demand = or_envs.sample(test, 0, 5)
    sales = synthetic_sales(3)
    for b in range(5):
        expected = sales[instance.product[b], :, first + HISTORY : last].T
        np.testing.assert_array_equal(demand.demand[b], expected)
    later = demand.demand.copy()
    later[:, 6:] += 50.0
    actions = np.zeros((5, 37, 4))
    seen = []
    for trace in (demand.demand, later):
        state, observations = test.initial(instance), []
        for t in range(7):
            observations.append(test.observation(instance, state))
            post, _ = test.post_decision(instance, state, actions[:, t])
            state, _, _ = test.transition(instance, post, Demand(trace[:, t]))
        seen.append((np.array(observations), test.observation(instance, state)))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert (seen[0][1] != seen[1][1]).any()


def test_retail_takes_a_users_sales(tmp_path):
    sales = synthetic_sales(2)[:4]
    sales[0, 0, 0] = -5.0
    np.save(tmp_path / "mine.npy", sales)
    problem = or_envs.make_problem(
        "or_envs/RetailNetwork-v0", instance="1x2", sales=str(tmp_path / "mine.npy")
    )
    instance, demand = or_envs.sample(problem, 0, 50)
    assert set(instance.product.tolist()) == {0, 1, 2, 3}
    assert demand.demand.shape == (50, 95, 2)
    assert load_sales(str(tmp_path / "mine.npy"))[0, 0, 0] == 0.0
    with pytest.raises(ValueError, match=r"sales: expected 3 stores as in '1x3', got 2"):
        or_envs.make_problem(
            "or_envs/RetailNetwork-v0", instance="1x3", sales=str(tmp_path / "mine.npy")
        )
    np.savez(tmp_path / "object.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="sales:"):
        load_sales(str(tmp_path / "object.npz"))
    np.save(tmp_path / "flat.npy", np.zeros(5))
    with pytest.raises(ValueError, match=r"sales: expected numbers \(products, stores, weeks"):
        load_sales(str(tmp_path / "flat.npy"))
