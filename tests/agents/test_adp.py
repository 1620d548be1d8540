"""ADP: targets by hand, optimal decisions of an exact critic, learning, files, checkpoints."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from agents.adp.adp import ADP
from agents.adp.targets import watkins_targets
from agents.common.checkpoint import learn_resumable
from agents.common.post_decision_search import PostDecisionSearch
from baselines.lot_sizing.dynamic_programming import ExactDP, optimal_policy
from or_envs import make_problem, policy_rule, sample, simulate
from or_envs.core.random import generators
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.lot_sizing.problem import LotSizingDemand, LotSizingState
from tests.agents.helpers import LOT_SIZING, TSP, equal_parameters, lot_sizing, parameters
from tests.agents.test_checkpoint import Kill, assert_equal_runs, final_state

LAKE = "or_envs/PostDecisionLake-v0"


def build(env=None, seed=3, **settings):
    small = {"n_steps": 20, "batch_size": 40, "policy_kwargs": {"net_arch": [16, 16]}}
    env = lot_sizing() if env is None else env
    return ADP("MlpPolicy", env, seed=seed, device="cpu", **{**small, **settings})


# ---- targets --------------------------------------------------------------------------------


def one_row(trace_decay=0.5, gamma=0.9, **events):
    """Four steps of one environment; ``events`` says in which steps things happen."""

    def at(name):
        flags = np.zeros((4, 1), dtype=bool)
        flags[events.get(name, []), 0] = True
        return flags

    return watkins_targets(
        post_rewards=np.array([[-1.0], [-2.0], [-3.0], [-4.0]]),
        exogenous_rewards=np.array([[-10.0], [-20.0], [-30.0], [-40.0]]),
        terminated=at("terminated"),
        truncated=at("truncated"),
        explored=at("explored"),
        post_values=np.array([[-100.0], [-200.0], [-300.0], [-400.0]]),
        best_values=np.array([[-50.0], [-60.0], [-70.0], [-80.0], [-90.0]]),
        gamma=gamma,
        trace_decay=trace_decay,
    )[:, 0]


def test_targets_by_hand():
    # G_3 = -40 + 0.9 (-90)                              = -121
    # G_2 = -30 + 0.9 (0.5 (-80) + 0.5 (-4 - 121))       = -122.25
    # G_1 = -20 + 0.9 (0.5 (-70) + 0.5 (-3 - 122.25))    = -107.8625
    # G_0 = -10 + 0.9 (0.5 (-60) + 0.5 (-2 - 107.8625))  = -86.438125
    np.testing.assert_allclose(one_row(), [-86.438125, -107.8625, -122.25, -121.0], rtol=1e-14)


def test_nothing_follows_an_end():
    # G_1 = -20, G_0 = -10 + 0.9 (0.5 (-60) + 0.5 (-2 - 20)); later steps are another episode.
    np.testing.assert_allclose(one_row(terminated=[1]), [-46.9, -20.0, -122.25, -121.0])
    np.testing.assert_allclose(one_row(terminated=[3])[3], -40.0)


def test_a_time_limit_teaches_nothing_but_is_bootstrapped_from():
    # G_1 = V^x_1 = -200, G_0 = -10 + 0.9 (0.5 (-60) + 0.5 (-2 - 200))
    np.testing.assert_allclose(one_row(truncated=[1]), [-127.9, -200.0, -122.25, -121.0])
    np.testing.assert_allclose(one_row(truncated=[3])[3], -400.0)


def test_what_follows_exploration_is_not_used():
    # G_1 looks at the best decision of step 2 only: -20 + 0.9 (-70)
    # G_0 = -10 + 0.9 (0.5 (-60) + 0.5 (-2 - 83)); the exploring step itself is valued as always.
    np.testing.assert_allclose(one_row(explored=[2]), [-75.25, -83.0, -122.25, -121.0])


def test_lambda_zero_is_q_learning():
    best = np.array([-60.0, -70.0, -80.0, -90.0])
    outcome = np.array([-10.0, -20.0, -30.0, -40.0])
    for explored in ([], [1, 3]):
        np.testing.assert_allclose(one_row(0.0, explored=explored), outcome + 0.9 * best)


def test_lambda_one_is_the_return():
    rewards = [-10, -2, -20, -3, -30, -4, -40, -90]  # from s^x_0 on, bootstrapped at the end
    powers = 0.9 ** np.array([0, 1, 1, 2, 2, 3, 3, 4])
    np.testing.assert_allclose(one_row(1.0)[0], np.dot(rewards, powers))


def test_rows_of_targets_do_not_interact():
    rng = np.random.default_rng(0)
    floats = [rng.normal(size=(6, 5)) for _ in range(3)]
    flags = [rng.random((6, 5)) < 0.2 for _ in range(3)]
    best = rng.normal(size=(7, 5))

    def targets(row):
        post, outcome, values = (x[:, row] for x in floats)
        return watkins_targets(
            post, outcome, *(x[:, row] for x in flags), values, best[:, row], 0.97, 0.7
        )

    together = targets(slice(None))
    assert together.dtype == np.float64
    for row in range(5):
        np.testing.assert_array_equal(targets(slice(row, row + 1))[:, 0], together[:, row])


# ---- an exact critic ------------------------------------------------------------------------


def exact_post_values(problem, value):
    """V^x(s^x) = E[r^w + gamma V(s')] over all demands, from observations as a critic sees them."""

    def post_values(seen):
        instance, post = problem.decode(seen)
        law = instance.demand_probability[0]
        total = np.zeros(post.num)
        for units in itertools.product(*(range(len(item)) for item in law)):
            weight = np.prod([law[item, unit] for item, unit in enumerate(units)])
            if weight:
                demand = LotSizingDemand(np.tile(np.array(units, float), (post.num, 1)))
                after, reward, over = problem.transition(instance, post, demand)
                total += weight * (reward + np.where(over, 0.0, value(after)))
        return total

    return post_values


@pytest.mark.parametrize("name", ["VI-A", "VI-B"])
def test_an_exact_critic_decides_as_dynamic_programming(name):
    problem = make_problem(LOT_SIZING, instance=name)
    discount = 0.9
    dp = ExactDP(problem, problem.sample_instances(generators(0, 1)))
    optimum = dp.discounted(discount)
    model = build(lot_sizing(instance=name, scale=1.0))
    model.policy.post_values = exact_post_values(problem, lambda s: -discount * optimum.value(s))
    instance, _ = sample(problem, 0, dp.states.num)
    decided = model.decision_rule(problem)(instance, dp.states)
    search = model.search(problem)
    np.testing.assert_allclose(
        search.values(instance, dp.states, decided), -optimum.value(dp.states), atol=1e-6
    )
    # States differ in what is best, and a bad decision would have been noticed.
    assert len(np.unique(decided)) == 3
    idle = search.values(instance, dp.states, np.zeros_like(decided))
    assert (idle < -optimum.value(dp.states) - 0.1).any()


def test_an_exact_critic_of_a_finite_horizon_sees_the_end():
    problem = make_problem(LOT_SIZING, instance="VI-A", finite_horizon=True, horizon=4)
    optimum = optimal_policy(problem)
    model = build(lot_sizing(instance="VI-A", finite_horizon=True, horizon=4, scale=1.0))
    model.policy.post_values = exact_post_values(problem, lambda s: -optimum.value(s))
    states = optimum.dp.states
    search = model.search(problem)
    decided = []
    for period in range(4):
        now = LotSizingState(states.inventory, states.setup, np.full(states.num, period))
        instance, _ = sample(problem, 0, now.num)
        decided.append(model.decision_rule(problem)(instance, now))
        np.testing.assert_allclose(
            search.values(instance, now, decided[-1]), -optimum.value(now), atol=1e-6
        )
    assert (decided[0] != decided[3]).any()


# ---- learning -------------------------------------------------------------------------------


def cost(model, problem, num=200):
    instance, demand = sample(problem, 10_000, num)
    return -simulate(problem, policy_rule(problem, model), instance, demand).total_reward.mean()


def vi_b(seed):
    env = make_sb3_vec_env(LOT_SIZING, 16, 0, 0.02, instance="VI-B")
    settings = {"n_steps": 25, "batch_size": 100, "gamma": 0.95, "exploration": 0.1}
    rate = LinearSchedule(2e-3, 0.0, 1.0)
    arch = {"net_arch": [64, 64]}
    return build(env, seed, learning_rate=rate, policy_kwargs=arch, **settings)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns(seed):
    problem = make_problem(LOT_SIZING, instance="VI-B")
    instance, demand = sample(problem, 10_000, 200)
    optimum = -simulate(problem, optimal_policy(problem), instance, demand).total_reward.mean()
    model = vi_b(seed)
    assert cost(model, problem) > 3 * optimum  # untrained
    model.learn(40_000)
    assert cost(model, problem) < 1.15 * optimum


def test_without_training_it_does_not_learn(monkeypatch):
    monkeypatch.setattr(ADP, "train", lambda self: None)
    model = vi_b(0)
    start = parameters(model)
    model.learn(4000)
    assert all(torch.equal(value, start[name]) for name, value in parameters(model).items())
    problem = make_problem(LOT_SIZING, instance="VI-B")
    assert cost(model, problem, 50) > 1.15 * 400


def test_the_same_seed_gives_the_same_weights():
    a, b, other = (build(seed=seed).learn(240) for seed in (3, 3, 4))
    assert equal_parameters(a, b)
    assert not equal_parameters(a, other)


def test_what_the_loop_keeps_for_others(monkeypatch):
    """Callbacks, logs, checkpoints and a second call of ``learn`` read these."""
    sweeps = []
    improve = PostDecisionSearch.improve

    def watch(self, instance, state, action, max_sweeps):
        sweeps.append(max_sweeps)
        return improve(self, instance, state, action, max_sweeps)

    monkeypatch.setattr(PostDecisionSearch, "improve", watch)
    model = build(lot_sizing(horizon=7), max_sweeps=2).learn(160)
    batch = model.env.vector_env.batch
    np.testing.assert_array_equal(model._last_obs, batch.observe(batch.state))
    assert not model._last_episode_starts.any()  # 40 steps are five episodes and a part
    assert len(model.ep_info_buffer) == 4 * 5
    assert sweeps == [2] * 2 * 21
    model.learn(20, reset_num_timesteps=False)
    assert model.num_timesteps == 240


def test_callbacks_can_stop_it():
    model = build()
    model.learn(800, callback=lambda *_: model.num_timesteps < 100)
    assert model.num_timesteps == 100


def test_every_layer_learns():
    model = build()
    start = parameters(model)
    model.learn(80)
    for name, value in parameters(model).items():
        assert not torch.equal(value, start[name]), name


def test_the_buffer_holds_post_decision_states_and_watkins_targets(monkeypatch):
    import agents.adp.adp as module

    calls = []

    def watch(*args):
        calls.append((args, watkins_targets(*args)))
        return calls[-1][1]

    monkeypatch.setattr(module, "watkins_targets", watch)
    model = build(lot_sizing(horizon=7), exploration=0.2)
    monkeypatch.setattr(model, "train", lambda: None)
    model.learn(80)
    ((post, outcome, ended, cut, explored, values, best, gamma, decay), targets) = calls[0]
    buffer = model.rollout_buffer
    assert (gamma, decay) == (model.gamma, model.trace_decay)
    assert not ended.any()
    np.testing.assert_array_equal(np.flatnonzero(cut[:, 0]), [6, 13])
    np.testing.assert_allclose(post + outcome, buffer.rewards, rtol=1e-6)
    assert explored.any()
    assert not explored.all()
    assert best.shape == (21, 4)
    np.testing.assert_allclose(buffer.returns, targets, rtol=1e-6)
    # What is valued is the state after the decision: the setups are the decisions.
    n, m = 15, 5
    one_hot = buffer.observations[:, :, n:].reshape(20, 4, m, n + 1)
    np.testing.assert_array_equal(one_hot.argmax(axis=3), buffer.actions)
    np.testing.assert_allclose(
        values, [model.policy.post_values(seen) for seen in buffer.observations], atol=1e-6
    )
    # Where nothing was explored, the decision was the best one: its Q is r^x + V^x.
    np.testing.assert_allclose((post + values)[~explored], best[:-1][~explored], atol=1e-5)
    assert ((post + values)[explored] < best[:-1][explored] - 1e-4).any()


def test_ends_of_the_task_and_time_limits_are_told_apart(monkeypatch):
    import agents.adp.adp as module

    calls = []

    def watch(*args):
        calls.append(args)
        return watkins_targets(*args)

    monkeypatch.setattr(module, "watkins_targets", watch)
    build(lot_sizing(horizon=7, finite_horizon=True)).learn(80)
    np.testing.assert_array_equal(np.flatnonzero(calls[-1][2][:, 0]), [6, 13])
    assert not calls[-1][3].any()
    # Walks on the lake end in holes, and at the time limit.
    build(make_sb3_vec_env(LAKE, 4, 0, horizon=5), exploration=1.0).learn(80)
    ended, cut = calls[-1][2:4]
    assert ended.any()
    assert cut.any()
    assert not (ended & cut).any()


def test_exploration():
    model = build(exploration=1.0)
    env = model.env.vector_env
    env.reset(seed=0)
    search = model.search(env.problem)
    allowed = search.allowed(env.instance, env.state)
    kept = env.problem.passive_action(env.instance, env.state)
    start = kept.copy()
    torch.manual_seed(0)
    drawn = [model._explore(kept, allowed, search.sizes) for _ in range(300)]
    np.testing.assert_array_equal(kept, start)
    actions = np.stack([action for action, _ in drawn])
    changed = np.stack([rows for _, rows in drawn])
    np.testing.assert_array_equal(changed, (actions != kept).any(axis=2))
    # All legal values are drawn, and no other.
    for machine in range(5):
        part = allowed[0, 16 * machine : 16 * (machine + 1)]
        np.testing.assert_array_equal(np.unique(actions[:, :, machine]), np.flatnonzero(part))
    # A draw that gives what was best anyway is no exploration.
    model.exploration = 0.3
    drawn = [model._explore(kept, allowed, search.sizes) for _ in range(2000)]
    rates = [actions != kept for actions, _ in drawn]
    for differs, (_, changed) in zip(rates, drawn, strict=True):
        np.testing.assert_array_equal(changed, differs.any(axis=1))
    legal = np.array([allowed[0, 16 * k : 16 * (k + 1)].sum() for k in range(5)])
    np.testing.assert_allclose(
        np.mean(rates, axis=(0, 1)), 0.3 * (1 - 1 / legal), atol=4 * np.sqrt(0.25 / 8000)
    )
    model.exploration = 0.0
    same, none = model._explore(kept, allowed, search.sizes)
    np.testing.assert_array_equal(same, kept)
    assert not none.any()


# ---- deciding -------------------------------------------------------------------------------


def test_predict_is_the_rule_on_the_decoded_state():
    env = lot_sizing(num=6)
    model = build(env).learn(240)
    problem = make_problem(LOT_SIZING, instance="15x5", horizon=7)
    seen = env.reset()
    instance, state = env.vector_env.instance, env.vector_env.state
    expected = model.decision_rule(problem)(instance, state)
    actions, hidden = model.predict(seen)
    assert hidden is None
    np.testing.assert_array_equal(actions, expected)
    np.testing.assert_array_equal(model.predict(seen, deterministic=True)[0], expected)
    assert len(np.unique(expected, axis=0)) > 1
    for row in range(6):
        action, _ = model.predict(seen[row])
        assert env.action_space.contains(action)
        np.testing.assert_array_equal(action, expected[row])


def test_rules_for_random_instances():
    kwargs = {"instance": "random", "n_items": 3, "n_machines": 2, "horizon": 5}
    env = make_sb3_vec_env(LOT_SIZING, 4, 0, 0.01, **kwargs)
    model = build(env).learn(160)
    problem = make_problem(LOT_SIZING, **kwargs)
    instance, demand = sample(problem, 0, 6)
    rollout = simulate(problem, policy_rule(problem, model), instance, demand)
    assert (rollout.num_steps == 5).all()
    # The rule is the problem's own: policy_rule shows no observations.
    state = problem.initial(instance)
    np.testing.assert_array_equal(
        rollout.actions[:, 0], model.decision_rule(problem)(instance, state)
    )
    with pytest.raises(ValueError, match="instance: decoding needs a fixed one, got 'random'"):
        model.predict(env.reset())


def test_discrete_actions():
    env = make_sb3_vec_env(LAKE, 4, 0, horizon=9)
    model = build(env).learn(160)
    problem = make_problem(LAKE, horizon=9)
    instance, drift = sample(problem, 0, 5)
    rollout = simulate(problem, model.decision_rule(problem), instance, drift)
    state = problem.initial(instance)
    values = model.search(problem).all_values(instance, state, np.zeros(5, dtype=np.int64))
    np.testing.assert_array_equal(rollout.actions[:, 0], values.argmax(axis=1))
    # As SB3's, single decisions are arrays without axes.
    seen = env.reset()
    now = env.vector_env.instance, env.vector_env.state
    with pytest.MonkeyPatch.context() as patch:
        rows = {4: now, 1: tuple(part.rows(np.array([2])) for part in now)}
        patch.setattr(type(problem), "decode", lambda self, seen: rows[len(seen)])
        action, _ = model.predict(seen[2])
        assert isinstance(action, np.ndarray)
        assert action.shape == ()
        assert action == model.predict(seen)[0][2]
    with pytest.raises(NotImplementedError, match="cannot be decoded from observations"):
        model.predict(env.reset())


def test_more_sweeps_are_no_worse():
    env = lot_sizing(num=32, horizon=100)
    model = build(env).learn(1280)
    env.reset()
    problem, instance, state = (
        env.vector_env.problem,
        env.vector_env.instance,
        env.vector_env.state,
    )
    search = model.search(problem)
    values = []
    for sweeps in (1, 5):
        model.max_sweeps = sweeps
        values.append(search.values(instance, state, model.decision_rule(problem)(instance, state)))
    assert (values[1] >= values[0] - 1e-5).all()


# ---- files ----------------------------------------------------------------------------------


def test_save_and_load(tmp_path):
    path = tmp_path / "model.safetensors"
    env = lot_sizing(scale=0.013)
    rate = LinearSchedule(1e-3, 0.0, 1.0)
    model = build(env, learning_rate=rate, trace_decay=0.25, max_sweeps=2).learn(240)
    model.save(path)
    seen = env.reset()
    loaded = ADP.load(path)
    assert equal_parameters(model, loaded)
    assert (loaded.trace_decay, loaded.max_sweeps, loaded.num_timesteps) == (0.25, 2, 240)
    assert loaded.lr_schedule(0.5) == 5e-4
    assert float(loaded.policy.reward_scale) == 0.013
    # Rules need no environment, predict does.
    problem = make_problem(LOT_SIZING, instance="15x5", horizon=7)
    instance, state = env.vector_env.instance, env.vector_env.state
    expected = model.decision_rule(problem)(instance, state)
    np.testing.assert_array_equal(loaded.decision_rule(problem)(instance, state), expected)
    with pytest.raises(ValueError, match="predict: decisions need the problem; load the model"):
        loaded.predict(seen)
    with_env = ADP.load(path, env=env)
    np.testing.assert_array_equal(with_env.predict(seen)[0], expected)
    np.testing.assert_array_equal(model.predict(seen)[0], expected)
    assert with_env.learn(80).num_timesteps == 80


def test_the_scale_of_the_critic_is_that_of_its_file(tmp_path):
    path = tmp_path / "model.safetensors"
    build(lot_sizing(scale=0.01)).save(path)
    other = lot_sizing(scale=0.02)
    model = ADP.load(path, env=other)
    assert float(model.policy.reward_scale) == 0.01
    with pytest.raises(ValueError, match=r"env: has reward_scale 0\.02, but .* learned with 0\.01"):
        model.learn(80)


def test_killed_and_resumed(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    rollout, total = 80, 480

    def make():
        return build(learning_rate=LinearSchedule(1e-2, 1e-4, 1.0), exploration=0.1)

    undisturbed = make().learn(total)
    expected = final_state(undisturbed)
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(make(), total, path, every=2, callback=Kill(4.5 * rollout))
    torch.manual_seed(99)
    resumed = make()
    learn_resumable(resumed, total, path, every=2)
    assert_equal_runs(undisturbed, resumed, expected, final_state(resumed))
    assert undisturbed._n_updates == 6 * 4


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", 1.01),
        ("gamma", float("nan")),
        ("trace_decay", -0.1),
        ("exploration", 1.5),
        ("n_steps", 0),
        ("batch_size", 0),
        ("n_epochs", 0),
        ("max_sweeps", 0),
    ],
)
def test_arguments_out_of_range(name, value):
    with pytest.raises(ValueError, match=rf"{name}: expected .* got {value}"):
        build(**{name: value})


def test_environments_that_are_refused():
    with pytest.raises(ValueError, match="needs Discrete or MultiDiscrete actions, got Box"):
        build(make_sb3_vec_env("or_envs/CapacitatedLotSizing-v0", 4, 0))
    single = DummyVecEnv([lambda: gym.make(LOT_SIZING, instance="15x5")])
    with pytest.raises(ValueError, match="env: expected an SB3VecEnv, got DummyVecEnv"):
        build(single).learn(80)
    with pytest.raises(ValueError, match="env: expected an SB3VecEnv, got VecMonitor"):
        build(VecMonitor(lot_sizing())).learn(80)
    tsp = ADP("MultiInputPolicy", make_sb3_vec_env(TSP, 4, 0, num_cities=5), device="cpu")
    with pytest.raises(ValueError, match=r"env: ADP learns from .* deterministic problem"):
        tsp.learn(80)


def test_dict_observations_are_searched():
    """The critic of Dict observations decides, though deterministic problems cannot teach it."""
    problem = make_problem(TSP, num_cities=5)
    env = make_sb3_vec_env(TSP, 4, 0, num_cities=5)
    model = ADP("MultiInputPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [8]})
    instance, _ = sample(problem, 0, 6)
    rollout = simulate(problem, model.decision_rule(problem), instance)
    assert (np.sort(rollout.actions, axis=1) == np.arange(1, 5)).all()
