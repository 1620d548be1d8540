"""Seasonal, sequence-dependent and known demand: hand cases, laws, what agents and rules see."""

import dataclasses
import json

import numpy as np
import pytest

import or_envs
from or_envs import sample, simulate
from or_envs.core.actions import ActionChecker
from or_envs.core.random import generators
from or_envs.lot_sizing.instances import to_json
from or_envs.lot_sizing.known_demand import KnownDemandLotSizing
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState
from or_envs.lot_sizing.seasonal import SeasonalLotSizing
from or_envs.lot_sizing.sequence_dependent import SequenceDependentLotSizing, generate


def idle(instance, state):
    return np.zeros_like(state.setup)


def random_rule(problem, seed=0):
    checker, rng = ActionChecker(problem), np.random.default_rng(seed)

    def rule(instance, state):
        return checker.sample(problem.action_mask(instance, state), state.num, rng)

    return rule


def play(problem, rule, instance, demand):
    """States and post-decision states along the episodes."""
    state, steps = problem.initial(instance), problem.horizon
    for step in range(steps):
        post, _ = problem.post_decision(instance, state, rule(instance, state))
        yield state, post
        now = None
        if demand is not None:
            now = problem.exogenous_at(demand, np.full(instance.num, step))
        state, _, _ = problem.transition(instance, post, now)


VARIANTS = [
    SeasonalLotSizing("15x5", finite_horizon=True, horizon=30),
    SeasonalLotSizing("VI-A", season=4, horizon=4),
    SequenceDependentLotSizing(),
    KnownDemandLotSizing(),
]


@pytest.mark.parametrize("problem", VARIANTS, ids=lambda p: type(p).__name__)
def test_decode_inverts_observation(problem):
    instance, demand = sample(problem, 0, 3)
    observed_time = not isinstance(problem, SequenceDependentLotSizing)
    for state, post in play(problem, random_rule(problem), instance, demand):
        for here in (state, post):
            seen = problem.observation(instance, here).astype(np.float32)
            assert problem.observation_space.contains(seen[0]) or here is post
            data, decoded = problem.decode(seen)
            np.testing.assert_array_equal(decoded.inventory, here.inventory)
            np.testing.assert_array_equal(decoded.setup, here.setup)
            np.testing.assert_array_equal(decoded.period, here.period * observed_time)
            # What is still to come is decoded too.
            np.testing.assert_allclose(problem.observation(data, decoded), seen, atol=1e-6)


@pytest.mark.parametrize("problem", VARIANTS, ids=lambda p: type(p).__name__)
def test_expected_outcome_is_the_mean_outcome(problem):
    """Within 4 standard errors in every period of play."""
    num = 4000
    instance, demand = sample(problem, 7, num)
    actions = simulate(
        problem,
        random_rule(problem),
        instance.rows(np.array([0])),
        None if demand is None else demand.rows(np.array([0])),
    ).actions
    same = instance.rows(np.zeros(num, dtype=int))
    state = problem.initial(same)
    first, row = LotSizingState(*(x[:1] for x in state.leaves())), slice(0, 1)
    data = instance.rows(np.array([0]))
    for step in range(min(problem.horizon, 8)):
        post, _ = problem.post_decision(data, first, actions[:, step])
        many = post.map(lambda x: np.repeat(x, num, axis=0))
        now = None if demand is None else problem.exogenous_at(demand, np.full(num, step))
        following, outcome, _ = problem.transition(same, many, now)
        error = max(outcome.std(ddof=1) / np.sqrt(num), 1e-9)
        assert abs(problem.expected_outcome(data, post)[0] - outcome.mean()) < 4 * error
        first = following.rows(row)


# ---- seasonal -----------------------------------------------------------------------------------


def test_seasonal_law():
    """Mean 8 (1 + 0.5 sin(2 pi t / 25)); Binomial(20, 0.4 f) in weak periods."""
    problem = SeasonalLotSizing("15x5")
    instance, demand = sample(problem, 0, 3000)
    law = instance.seasonal_probability
    assert law.shape[:3] == (1, 25, 15)
    np.testing.assert_allclose(law.sum(axis=-1), 1)
    factor = 1 + 0.5 * np.sin(2 * np.pi * np.arange(100) / 25)
    mean = (law * np.arange(law.shape[-1])).sum(axis=-1)
    np.testing.assert_allclose(mean[0], np.tile(8 * factor[:25, None], 15))
    np.testing.assert_allclose(instance.mean_demand, 8)
    weak = law[0, 19, 3, :21]  # 1 + 0.5 sin(2 pi 19 / 25) = 0.5009...
    share = 0.4 * factor[19]
    assert weak[0] == pytest.approx((1 - share) ** 20)
    assert weak[20] == pytest.approx(share**20)
    units = demand.demand
    np.testing.assert_allclose(units.mean(axis=(0, 2)), 8 * factor, atol=5 * 3 / np.sqrt(45_000))
    strong = 6
    second = (law[0, strong, 0] * np.arange(law.shape[-1]) ** 2).sum()
    variance = second - (8 * factor[strong]) ** 2
    # Binomial(20, 0.4) plus Binomial(20, 0.4 (f - 1)).
    extra = 0.4 * (factor[strong] - 1)
    assert variance == pytest.approx(4.8 + 20 * extra * (1 - extra))
    assert units[:, strong].var() == pytest.approx(variance, rel=0.03)


def test_season_by_hand():
    """VI-A with season 4, amplitude 1: demand 1/2, certain mean 1, 1/2, none at all."""
    problem = SeasonalLotSizing("VI-A", season=4, amplitude=1.0, horizon=8)
    law = problem.sample_instances(generators(0, 1)).seasonal_probability[0, :, 0]
    expected = [[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0.5, 0.5, 0], [1, 0, 0]]
    np.testing.assert_allclose(law, expected, atol=1e-12)
    _, demand = sample(problem, 0, 200)
    assert (demand.demand[:, 3::4] == 0).all()
    assert demand.demand[:, 1::4].max() == 2
    assert demand.demand[:, 0::4].max() == 1


def test_season_with_amplitude_zero_is_the_plain_problem():
    plain, flat = LotSizing("15x5"), SeasonalLotSizing("15x5", amplitude=0.0)
    instance, demand = sample(plain, 3, 5)
    other, same = sample(flat, 3, 5)
    np.testing.assert_array_equal(demand.demand, same.demand)
    np.testing.assert_allclose(
        simulate(plain, idle, instance, demand).total_reward,
        simulate(flat, idle, other, same).total_reward,
    )


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"season": 1}, "season: expected an integer >= 2, got 1"),
        ({"amplitude": 1.5}, r"amplitude: expected a number in \[0, 1\], got 1\.5"),
    ],
)
def test_bad_season(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SeasonalLotSizing(**kwargs)


# ---- sequence-dependent -------------------------------------------------------------------------

#: One machine, two items, cap 100; the published two-item file has such matrices.
COST = [[[0, 1, 2], [4, 0, 7], [5, 8, 0]]]
LOSS = [[[0, 1, 2], [9, 0, 20], [9, 3, 0]]]


@pytest.fixture
def two_items(tmp_path):
    def write(**changes):
        fields = {
            "time_horizon": 5,
            "n_items": 2,
            "n_machines": 1,
            "initial_setup": [0],
            "machine_production": [[5, 10]],
            "max_inventory_level": [100, 100],
            "initial_inventory": [0, 0],
            "holding_costs": [1, 1],
            "lost_sales_costs": [1, 1],
            "demand_distribution": {"name": "discrete_uniform", "low": 0, "high": 10},
            "setup_costs": COST,
            "setup_loss": LOSS,
            **changes,
        }
        path = tmp_path / "two.json"
        path.write_text(json.dumps(fields))
        return str(path)

    return write


def test_sequence_by_hand(two_items):
    """Setups 0 -> 1 -> 1 -> 2 -> 0 -> 2: costs 1, 0, 7, 5, 2; units 4, 5, 0 (10 - 20), 0, 8."""
    problem = SequenceDependentLotSizing(two_items(), start="given")
    instance = problem.sample_instances(generators(0, 1))
    state = problem.initial(instance)
    nothing = LotSizingDemand(np.zeros((1, 2)))
    costs, stocks = [], []
    for item in (1, 1, 2, 0, 2):
        post, reward = problem.post_decision(instance, state, np.array([[item]]))
        costs.append(-reward[0])
        stocks.append(post.inventory[0].tolist())
        state, _, _ = problem.transition(instance, post, nothing)
    assert costs == [1, 0, 7, 5, 2]
    assert stocks == [[4, 0], [9, 0], [9, 0], [9, 0], [9, 8]]


def test_means_for_rules(two_items):
    """Mean over the old setups but the item itself; going idle has no part in them."""
    instance = SequenceDependentLotSizing(two_items()).sample_instances(generators(0, 1))
    np.testing.assert_allclose(instance.setup_cost, [[[(1 + 8) / 2, (2 + 7) / 2]]])
    np.testing.assert_allclose(instance.setup_loss, [[[(1 + 3) / 2, (2 + 20) / 2]]])


def test_damaged_matrices(two_items):
    with pytest.raises(ValueError, match=r"two\.json: setup_costs: keeping a setup must cost noth"):
        SequenceDependentLotSizing(two_items(setup_costs=[[[1, 1, 2], [4, 0, 7], [5, 8, 0]]]))
    with pytest.raises(ValueError, match=r"setup_loss: expected shape \(1, 3, 3\), got \(1, 2\)"):
        SequenceDependentLotSizing(two_items(setup_loss=[[1, 1]]))
    with pytest.raises(ValueError, match=r"setup_costs: expected shape \(1, 2\), got \(1, 3, 3\)"):
        LotSizing(two_items())


def test_equal_rows_are_the_plain_problem():
    """Where the old setup does not matter, episodes are those of LotSizing."""
    plain, problem = LotSizing("15x5"), SequenceDependentLotSizing()
    instance, demand = sample(plain, 0, 4)
    other, _ = sample(problem, 0, 4)
    size = 16

    def spread(values):
        matrix = np.zeros((1, 5, size, size))
        matrix[:, :, :, 1:] = values[:, :, None, :]
        matrix[:, :, np.arange(size), np.arange(size)] = 0
        return matrix

    fields = {name: getattr(instance, name) for name in instance.names()}
    same = dataclasses.replace(
        other,
        **fields,
        changeover_cost=spread(instance.setup_cost),
        changeover_loss=spread(instance.setup_loss),
    )
    actions = simulate(plain, random_rule(plain), instance, demand).actions
    np.testing.assert_allclose(
        simulate(problem, actions, same, demand).rewards,
        simulate(plain, actions, instance, demand).rewards,
    )


def test_shipped_sequence_dependent_instance():
    instance = generate(15, 5, generators(15005, 1))
    matrices = dataclasses.replace(
        instance, setup_cost=instance.changeover_cost, setup_loss=instance.changeover_loss
    )
    law = {"name": "binomial", "n": 20, "p": 0.4}
    from importlib import resources

    name = "data/sequence-dependent-15x5.json"
    shipped = resources.files("or_envs.lot_sizing").joinpath(name).read_text()
    assert shipped == to_json(matrices, 100, law)
    assert (instance.production[0] > 0).any(axis=0).all()


def test_sequence_dependent_law():
    instance = generate(9, 4, generators(0, 100))
    cost, loss = instance.changeover_cost, instance.changeover_loss
    assert (cost[:, :, :, 0] == 0).all()
    assert (loss[:, :, :, 0] == 0).all()
    assert (np.diagonal(cost, axis1=2, axis2=3) == 0).all()
    alike = cost[:, :, 1, [4, 7]]
    assert alike.min() == 5
    assert alike.max() == 10
    assert (loss[:, :, 1, [4, 7]] == 1).all()
    across = np.concatenate([cost[:, :, 1, [2, 3, 5]], cost[:, :, 0, 1:4]], axis=2)
    assert across.min() == 15
    assert across.max() == 30
    assert (across == 15).mean() == pytest.approx(0.2, abs=0.03)
    assert (loss[:, :, 0, 1:] == 1).mean() == pytest.approx(0.7, abs=0.03)


# ---- known demand -------------------------------------------------------------------------------


def test_known_demand_by_hand():
    """The hand case of the plain problem, with the demand in the instance."""
    env = or_envs.core.env.Env(
        "or_envs.lot_sizing.known_demand:KnownDemandLotSizing", instance="VI-A", horizon=5
    )
    path = [(1, 1), (0, 1), (0, 0), (1, 0), (1, 1)]
    options = {"inventory": [0, 0], "setup": [0], "demand": path}
    seen, _ = env.reset(seed=0, options=options)
    np.testing.assert_array_equal(seen, [0, 0, 1, 0, 0, 0, *np.ravel(path)])
    costs = []
    for action in (1, 1, 1, 0, 1):
        seen, reward, terminated, truncated, _ = env.step([action])
        costs.append(-reward)
    np.testing.assert_allclose(costs, [3.1, 2.4, 0.5, 0.4, 3.5], atol=1e-12)
    assert (terminated, truncated) == (True, False)
    np.testing.assert_array_equal(seen[-10:], 0)
    env.reset(seed=0, options=options)
    seen = env.step([0])[0]
    np.testing.assert_array_equal(seen[-10:], [*np.ravel(path[1:]), 0, 0])


def test_known_demand_meets_the_costs_of_the_plain_problem():
    """Same path, same decisions, same rewards."""
    known, plain = KnownDemandLotSizing("15x5"), LotSizing("15x5", horizon=20)
    instance, nothing = sample(known, 0, 6)
    assert nothing is None
    assert instance.demand.shape == (6, 20, 15)
    actions = simulate(known, random_rule(known), instance).actions
    trace = LotSizingDemand(instance.demand)
    np.testing.assert_allclose(
        simulate(known, actions, instance).rewards,
        simulate(plain, actions, instance, trace).rewards,
    )
    assert instance.demand.mean() == pytest.approx(8, abs=5 * np.sqrt(4.8 / 1800))


def test_known_demand_above_the_law():
    env = or_envs.core.env.Env(
        "or_envs.lot_sizing.known_demand:KnownDemandLotSizing", instance="VI-A", horizon=1
    )
    with pytest.raises(ValueError, match=r"'demand' must hold numbers in \[0, 1\], got 2"):
        env.reset(options={"demand": [[2, 0]]})
