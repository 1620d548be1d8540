"""HDPO: gradients through the simulator, its policies, its files."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import or_envs
from agents.common.checkpoint import ExactCheckpoint, learn_resumable
from agents.hdpo.allocation import proportional, softmax_shares
from agents.hdpo.hdpo import HDPO
from agents.hdpo.scenarios import Scenarios
from agents.hdpo.view import NetworkView, describe
from or_envs.core import simulate
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import OUTSIDE, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting

SMALL = {
    "num_scenarios": 64,
    "batch_size": 32,
    "n_periods": 10,
    "dev_scenarios": 32,
    "dev_periods": 20,
    "dev_warm_up": 10,
    "dev_every": 4,
    "device": "cpu",
}


def make(policy, id="SingleStoreLostSales", seed=0, policy_kwargs=None, settings=None, **kwargs):
    env = make_sb3_vec_env(f"or_envs/{id}-v0", 1, 0, **kwargs)
    return HDPO(policy, env, seed=seed, policy_kwargs=policy_kwargs, **SMALL, **(settings or {}))


POLICIES = [
    ("MlpPolicy", "SingleStoreLostSales", {}),
    ("MlpPolicy", "SerialInventory", {}),
    ("MlpPolicy", "ManyWarehouses", {}),
    ("MlpPolicy", "Transshipment", {"instance": "n3-L4-p9"}),
    ("SymmetryAware", "OneWarehouse", {"instance": "n3"}),
    ("SymmetryAware", "SingleStoreLostSales", {"instance": "poisson-L3-p9-n4"}),
    ("GNN", "OneWarehouse", {"instance": "n3"}),
    ("GNN", "SerialInventory", {}),
    ("GNN", "ManyWarehouses", {}),
    ("GNN", "Transshipment", {"instance": "n3-L4-p9"}),
    ("GNN", "BeerGame", {"instance": "N10", "action_mode": "orders"}),
    ("DataDriven", "RetailNetwork", {"instance": "1x3"}),
    ("BaseStock", "SingleStoreBacklog", {}),
    ("CappedBaseStock", "SingleStoreLostSales", {}),
    ("EchelonStock", "SerialInventory", {}),
    ("EchelonStock", "SerialSupplyChain", {}),
    ("EchelonStock", "DualSourcing", {}),
]
every_policy = pytest.mark.parametrize(
    ("policy", "id", "kwargs"), POLICIES, ids=["-".join(p[:2]) for p in POLICIES]
)


@every_policy
def test_policies_learn_play_and_come_back_from_a_file(policy, id, kwargs, tmp_path):
    model = make(policy, id, **kwargs)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(8 * 32 * 10)
    assert model.num_timesteps == 8 * 32 * 10
    assert any((p != q).any() for p, q in zip(model.policy.parameters(), before, strict=True))
    problem = or_envs.make_problem(f"or_envs/{id}-v0", horizon=15, **kwargs)
    instance, demand = or_envs.sample(problem, 5, 3)
    rule = or_envs.policy_rule(problem, model)
    rollout = simulate(problem, rule, instance, demand)  # refuses illegal actions
    assert np.isfinite(rollout.total_reward).all()
    model.save(tmp_path / "model.safetensors")
    loaded = HDPO.load(tmp_path / "model.safetensors", device="cpu")
    again = simulate(problem, or_envs.policy_rule(problem, loaded), instance, demand)
    np.testing.assert_array_equal(again.actions, rollout.actions)


@pytest.mark.parametrize("kind", ["newsvendor", "fixed", "transformed"])
def test_quantile_policies(kind):
    """Independent stores with a history of demand, and no warehouse."""
    network = Network(("a", "b"), 2, ((OUTSIDE, 0), (OUTSIDE, 1)), backlog=False)
    data = make_instance(
        network,
        lead_time=[2, 4],
        holding_cost=[1.0, 1.0],
        shortage_cost=[9.0, 4.0],
        demand_mean=[5.0, 3.0],
        demand_std=[1.0, 1.0],
        history=6,
    )
    setting = Setting(network, data, Normal(), order_limit=np.array([80.0, 80.0]))
    problem = InventoryNetwork(setting, horizon=20)
    model = HDPO("Quantile", or_envs.Env(problem), policy_kwargs={"kind": kind}, seed=0, **SMALL)
    instance, demand = or_envs.sample(problem, 0, 4)
    observation = torch.tensor(problem.observation(instance, problem.initial(instance))).float()
    quantiles = model.policy.forecast(observation)
    assert (quantiles.diff(dim=2) > 0).all()
    ratio = model.policy.probability(model.policy.view.parts(observation), 4)[0].detach()
    if kind == "newsvendor":
        assert ratio.numpy() == pytest.approx([0.9, 0.8])
    if kind == "fixed":
        assert ratio[0] == ratio[1]
    model.learn(8 * 32 * 10)
    assert np.isfinite(simulate(problem, or_envs.policy_rule(problem, model), instance, demand)
                       .total_reward).all()  # fmt: skip
    with pytest.raises(ValueError, match="quantile policies need stores"):
        make("Quantile", "OneWarehouse", instance="n3")


def view_of(must_empty=False):
    network = Network(
        ("w", "a", "b"), 2, ((OUTSIDE, 0), (0, 1), (0, 2)), backlog=True, must_empty=must_empty
    )
    data = make_instance(network, [1, 1, 1], [0.3, 1, 1], [9, 9], [5, 5], [1, 1])
    setting = Setting(network, data, Normal(), order_limit=np.full(3, 50.0))
    return NetworkView(describe(InventoryNetwork(setting)))


def test_h3_softmax_with_keep():
    shares = softmax_shares(view_of(), torch.zeros(1, 3), torch.tensor([[10.0, 0.0, 0.0]]))
    assert shares[0].tolist() == pytest.approx([0.0, 10 / (2 + math.e), 10 / (2 + math.e)])
    kept = 10 - float(shares.sum())
    assert kept == pytest.approx(5.7612, abs=1e-4)
    assert 0.3 * kept == pytest.approx(1.7284, abs=1e-4)
    empty = softmax_shares(view_of(True), torch.zeros(1, 3), torch.tensor([[10.0, 0.0, 0.0]]))
    assert empty[0].tolist() == pytest.approx([0.0, 5.0, 5.0])


def test_proportional_allocation():
    stock = torch.tensor([[10.0, 0.0, 0.0]])

    def given(wanted, must_empty=False, keep=None):
        kept = None if keep is None else torch.tensor([[keep, 0.0, 0.0]])
        return proportional(view_of(must_empty), torch.tensor([wanted]), stock, kept)[0].tolist()

    assert given([3.0, 8.0, 12.0]) == pytest.approx([3.0, 4.0, 6.0])
    assert given([3.0, 2.0, 3.0]) == pytest.approx([3.0, 2.0, 3.0])
    assert given([3.0, 2.0, 3.0], must_empty=True) == pytest.approx([3.0, 4.0, 6.0])
    assert given([0.0, 8.0, 8.0], keep=4.0) == pytest.approx([0.0, 4.0, 4.0])


def permuted(problem, order):
    """The same network with its stores in another order; edges lead to the moved stores."""
    data = problem.setting.data
    inner = problem.network.num_internal
    nodes = np.concatenate([np.arange(inner), inner + order])
    edges = np.concatenate([[0], 1 + order])
    fields = {
        "holding_cost": data.holding_cost[0, nodes],
        "shortage_cost": data.shortage_cost[0, order],
        "lead_time": data.lead_time[0, edges],
        "demand_mean": data.demand_mean[0, order],
        "demand_std": data.demand_std[0, order],
    }
    setting = Setting(
        problem.network,
        make_instance(problem.network, **fields),
        problem.setting.demand,
        problem.setting.order_limit[edges],
    )
    return InventoryNetwork(setting), nodes, edges


@pytest.mark.parametrize("policy", ["GNN", "SymmetryAware"])
def test_permuting_stores_permutes_orders(policy):
    problem = or_envs.make_problem("or_envs/OneWarehouse-v0", instance="n5")
    order = np.array([3, 0, 4, 1, 2])
    moved, nodes, edges = permuted(problem, order)
    kwargs = {"context_size": 0} if policy == "SymmetryAware" else {}
    a = HDPO(policy, or_envs.Env(problem), seed=0, policy_kwargs=kwargs, **SMALL).policy
    b = HDPO(policy, or_envs.Env(moved), seed=1, policy_kwargs=kwargs, **SMALL).policy
    b.load_state_dict(a.state_dict())
    rng = np.random.default_rng(0)
    num_nodes, slots = problem.network.num_nodes, problem.setting.data.initial_pipeline.shape[2]
    on_hand = rng.random((7, num_nodes)) * 3
    pipeline = rng.random((7, num_nodes, slots))
    observe = torch.tensor(np.concatenate([on_hand, pipeline.reshape(7, -1)], axis=1)).float()
    other = np.concatenate([on_hand[:, nodes], pipeline[:, edges].reshape(7, -1)], axis=1)
    with torch.no_grad():
        first, second = a(observe), b(torch.tensor(other).float())
    assert (first[:, 1:] - first[:, 1:].mean()).abs().max() > 1e-3
    torch.testing.assert_close(second, first[:, edges], atol=1e-5, rtol=1e-5)


def test_gradient_equals_finite_differences():
    model = make("MlpPolicy", "SerialInventory", settings={"max_grad_norm": 1e9})
    torch.set_default_dtype(torch.float64)
    try:
        policy = model.policy.double()
        problem = model._problem().with_horizon(12)
        scenarios = Scenarios(problem, 0, 8, torch.device("cpu"))

        def cost():
            def rule(instance, state):
                return policy(problem.observation(instance, state))

            instance, demand = scenarios.instance, scenarios.exogenous
            return -simulate(problem, rule, instance, demand).total_reward.mean()

        loss = cost()
        loss.backward()
        weight = policy.net[0].weight
        slope = float(weight.grad[3, 2])
        h = 1e-6
        values = []
        for step in (h, -2 * h):
            with torch.no_grad():
                weight[3, 2] += step
                values.append(float(cost()))
        assert slope == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5)
        assert slope != 0
    finally:
        torch.set_default_dtype(torch.float32)


def test_same_seed_same_policy():
    a, b, c = (make("MlpPolicy", seed=seed) for seed in (3, 3, 4))
    for model in (a, b, c):
        model.learn(6 * 320)
    pairs = list(zip(a.policy.parameters(), b.policy.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q in pairs)
    assert any((p != q).any() for p, q in zip(a.policy.parameters(), c.policy.parameters()))  # noqa: B905


def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path):
    whole, killed, resumed = (make("MlpPolicy", seed=2) for _ in range(3))
    learn_resumable(whole, 16 * 320, tmp_path / "a", every=1)

    class KilledError(Exception):
        pass

    class Kill(ExactCheckpoint):
        def _on_step(self):
            if self.model._n_updates == 10:
                raise KilledError
            return True

    with pytest.raises(KilledError):
        killed.learn(16 * 320, callback=Kill(tmp_path / "b", every=1))
    learn_resumable(resumed, 16 * 320, tmp_path / "b", every=1)
    assert resumed._n_updates == 16
    assert resumed.best.score == whole.best.score
    for p, q in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(p, q)


def test_epochs_play_every_scenario_once():
    problem = or_envs.make_problem("or_envs/SingleStoreBacklog-v0", horizon=5)
    scenarios = Scenarios(problem, 1, 12, torch.device("cpu"))
    for epoch in (0, 1):
        seen = torch.cat([scenarios.minibatch(3 * epoch + k, 4)[1].demand for k in range(3)])
        everything = scenarios.exogenous.demand
        torch.testing.assert_close(seen.sum(dim=0), everything.sum(dim=0))
        assert (seen != everything).any()
    other = Scenarios(problem, 2, 12, torch.device("cpu"))
    assert (other.exogenous.demand != scenarios.exogenous.demand).any()


def test_learning_ends_with_the_best_weights():
    model = make("BaseStock", "SingleStoreBacklog", settings={"learning_rate": 0.5})
    costs = []
    select = model._select

    def spy(development):
        select(development)
        costs.append(development.cost(model.policy))

    model._select = spy
    model.learn(40 * 320)
    problem = model._problem().with_horizon(20, 10)
    final = Scenarios.development(problem, 0, 32, model.device).cost(model.policy)
    assert final == pytest.approx(min(costs), rel=1e-6)
    assert costs[-1] > min(costs)  # steps of this size never settle


def test_clipping_bounds_the_first_step():
    norms = []
    for limit in (1e9, 1.0):
        model = make("MlpPolicy", settings={"max_grad_norm": limit})
        model.learn(320)
        norms.append(math.sqrt(sum(float((p.grad**2).sum()) for p in model.policy.parameters())))
    assert norms[0] > 10
    assert norms[1] == pytest.approx(1.0, rel=1e-3)


def test_learning_rate_steps():
    model = make("MlpPolicy", settings={"learning_rate": 0.02, "decay_at": (0.5, 0.75)})
    rates = [model.lr_schedule(1 - done) for done in (0.0, 0.49, 0.5, 0.76)]
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.0002])


def test_compiled_rollout_is_the_same():
    costs = []
    for periods in (0, 5):
        model = make("MlpPolicy", settings={"compile_periods": periods})
        scenarios = Scenarios(model._problem().with_horizon(10), 0, 64, model.device)
        costs.append([model.update(scenarios) for _ in range(3)])
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)


def test_base_stock_reaches_the_closed_form():
    """Trained by gradients alone: the newsvendor level of N(5, 1.6), L = 1, p = 9."""
    env = make_sb3_vec_env("or_envs/SingleStoreBacklog-v0", 1, 0, instance="normal-L1-p9")
    model = HDPO("BaseStock", env, learning_rate=0.05, num_scenarios=512, batch_size=256, seed=0,
                 dev_every=20, dev_scenarios=256, device="cpu")  # fmt: skip
    model.learn(150 * 256 * 50)
    level = model.policy.view.scale * F.softplus(model.policy.levels)
    assert level[0].item() == pytest.approx(12.9, abs=0.15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_periods": 0}, "n_periods: expected an integer >= 1, got 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm: expected a number > 0"),
        ({"decay_at": (1.5,)}, r"decay_at: expected numbers in \(0, 1\)"),
        ({"dev_warm_up": 20}, r"dev_warm_up: expected an integer in 0\.\.19, got 20"),
        ({"compile_periods": 11}, r"compile_periods: expected an integer in 0\.\.10, got 11"),
    ],
)
def test_bad_settings(settings, message):
    env = make_sb3_vec_env("or_envs/SingleStoreLostSales-v0", 1, 0)
    with pytest.raises(ValueError, match=message):
        HDPO("MlpPolicy", env, **{**SMALL, **settings})


def test_refuses_other_problems():
    with pytest.raises(ValueError, match="HDPO needs an inventory network, got LotSizing"):
        make("MlpPolicy", "LotSizing")
    with pytest.raises(ValueError, match="HDPO needs action_mode='orders'"):
        make("MlpPolicy", "SerialInventory", action_mode="levels")


@pytest.mark.parametrize(
    ("policy", "id"),
    [("MlpPolicy", "ManyWarehouses"), ("GNN", "OneWarehouse"), ("SymmetryAware", "OneWarehouse")],
)
def test_no_tensor_stays_on_the_cpu(policy, id):
    """On torch's "meta" device, which refuses tensors of another: what a GPU would do."""
    model = make(policy, id)
    problem = model._problem().with_horizon(3)
    instance, demand = or_envs.sample(problem, 0, 4)
    network = model.policy.to("meta")

    def rule(data, state):
        return network(problem.observation(data, state))

    total = simulate(problem, rule, instance.to_torch("meta"), demand.to_torch("meta")).total_reward
    assert total.device.type == "meta"
    total.sum().backward()


def test_messages_are_sums_over_the_edges():
    """Against loops over the graph: the network's edges, then keeping, then customers."""
    policy = make("GNN", "OneWarehouse", instance="n3").policy
    source, target = policy.source.tolist(), policy.target.tolist()
    outside = 4
    pairs = [(outside, 0), (0, 1), (0, 2), (0, 3), (0, 0), (1, outside), (2, outside), (3, outside)]
    assert list(zip(source, target, strict=True)) == pairs
    edges = torch.randn(5, len(pairs), 32)
    for ends, number, total in (
        (policy.target, policy.in_degree, policy._sum(edges, policy.target)),
        (policy.source, policy.out_degree, policy._sum(edges, policy.source)),
    ):
        for node in range(4):
            mine = [e for e, end in enumerate(ends.tolist()) if end == node]
            torch.testing.assert_close(total[:, node], edges[:, mine].sum(dim=1))
            assert number[node] == len(mine)
