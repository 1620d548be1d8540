"""What holds on every day, whatever is decided."""

import dataclasses
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction
from gymnasium.utils.env_checker import check_env
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import or_envs
from or_envs.core.env import Env
from or_envs.uam_fleet.presets import PRESETS
from or_envs.uam_fleet.problem import UAMFleet
from or_envs.uam_fleet.report import report
from tests.uam_fleet.helpers import CERTAIN, Walk, day, fleet, play_random

SMALL = {"num_vertiports": 4, "num_aircraft": 5, "day": 240, "num_business": 1}
UNCERTAIN = {"max_closure": 0.4, "max_failure": 0.3, "max_expected_delay": 6.0, "lanes": 1}


def check_state(problem, instance, before, after):
    """Invariants of a state and of the step to it; batches of any size."""
    setting, n = problem.setting, problem.setting.num_vertiports
    at = after.location[:, :, None] == np.arange(n)
    taken = (at & after.charging[:, :, None]).sum(axis=1)
    parked = at.sum(axis=1) - taken
    assert (taken + parked).sum() == after.num * setting.num_aircraft
    assert (taken <= instance.chargers).all()
    assert (parked <= instance.parking).all()
    assert (after.charge >= setting.reserve - 1e-6).all()
    assert (after.charge <= setting.battery + 1e-6).all()
    # Where a full battery does not suffice, an aircraft that the opening put there stays.
    escape = np.take_along_axis(instance.escape, after.location, axis=1)
    escape = np.minimum(escape, setting.battery - setting.reserve)
    assert (after.charge - setting.reserve >= escape - 1e-6).all()
    assert (after.ready.min(axis=1) >= before.ready.min(axis=1)).all()
    assert (after.bin >= before.bin).all()
    assert (after.queue >= 0).all()
    assert not np.diagonal(after.queue, axis1=2, axis2=3).any()
    assert (after.origin == -1).all()
    assert (after.landed >= after.takeoff).all()


@settings(max_examples=25, deadline=None)
@example(
    seed=1,
    n=2,
    k=1,
    patience=1,
    vertistops=1,
    changes={"reserve": 20.0, "flight_energy": 4.0},
)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 5),
    k=st.integers(1, 7),
    patience=st.sampled_from([1, 2, 3, None]),
    vertistops=st.integers(0, 1),
    changes=st.sampled_from([{}, UNCERTAIN, {"reserve": 20.0, "flight_energy": 4.0}]),
)
def test_invariants(seed, n, k, patience, vertistops, changes):
    problem = UAMFleet(
        num_vertiports=n,
        num_aircraft=k,
        num_business=1,
        num_vertistops=vertistops,
        day=240,
        parking=4,
        spare_parking=0,
        chargers=2,
        patience=patience,
        **{**CERTAIN, **changes},
    )
    instance, tape = or_envs.sample(problem, seed, 3)
    rollout = play_random(problem, instance, tape, seed)
    fast = problem.compiled()
    state = problem.initial(instance)
    running = np.ones(3, dtype=bool)
    for step in range(rollout.actions.shape[1]):
        mask = fast.action_mask(instance, state)
        assert mask.any(axis=1).all()
        post, _ = fast.post_decision(instance, state, rollout.actions[:, step])
        assert ((state.queue - post.queue).sum(axis=(1, 2, 3)) <= problem.setting.seats).all()
        after, _, over = fast.transition(instance, post, tape)
        on = running & ~over
        if on.any():
            check_state(problem, instance.rows(on), state.rows(on), after.rows(on))
        running &= ~over
        state = after
    assert not running.any()
    figures = report(problem, rollout.actions, instance, tape)
    assert figures.arrived == pytest.approx(figures.served + figures.expired + figures.waiting)
    assert (figures.expired >= 0).all()
    if patience is None:
        assert not figures.expired.any()
    profit = figures.revenue - figures.electricity - figures.operating
    assert rollout.total_reward == pytest.approx(profit)
    assert figures.profit == pytest.approx(profit)
    assert (figures.decisions == rollout.num_steps).all()
    assert (figures.served <= np.minimum(figures.arrived, 4 * figures.flights)).all()
    fares = np.concatenate([instance.waiting[:, None], tape.arrivals], axis=1) * instance.fare
    if patience == 1:  # later passengers may pay the fares of later bins
        assert (rollout.total_reward <= fares.sum(axis=(1, 2, 3)) + 1e-6).all()
    cycle = 12 + problem.setting.min_separation / 74.5 * 60
    assert (figures.flights <= k * (1 + np.ceil(240 / cycle))).all()


def test_a_batch_of_64_and_a_batch_of_one_play_the_same_days():
    problem = or_envs.make_problem("or_envs/UAMFleet-v0")
    instance, tape = or_envs.sample(problem, 5, 64)
    together = play_random(problem, instance, tape)
    for row in (0, 17, 63):
        one_instance, one_tape = or_envs.sample(problem, 5 + row, 1)
        steps = together.num_steps[row]
        actions = together.actions[row : row + 1, :steps]
        alone = or_envs.simulate(problem, actions, one_instance, one_tape)
        np.testing.assert_array_equal(alone.rewards[0], together.rewards[row, :steps])
        np.testing.assert_array_equal(alone.total_reward[0], alone.rewards[0].sum())


@pytest.mark.parametrize("preset", PRESETS)
def test_random_days_of_every_preset(preset):
    problem = UAMFleet(preset)
    rollout = play_random(problem, *or_envs.sample(problem, 3, 4))
    assert (rollout.num_steps < problem.max_steps).all()
    assert np.isfinite(rollout.total_reward).all()


@pytest.mark.slow
def test_a_thousand_random_days():
    """``simulate`` refuses illegal actions, and masks would have to be empty to offer one."""
    for preset in ("default", "paper2024", "ref2022"):
        problem = UAMFleet(preset)
        for seed in range(0, 1000, 250):
            rollout = play_random(problem, *or_envs.sample(problem, seed, 250), seed)
            assert np.isfinite(rollout.total_reward).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"max_expected_delay": 0.0, "delay_deviation": 0.0},
        {"max_closure": 0.0},
        {"max_failure": 0.0},
        {"lanes": 0},
    ],
)
def test_switching_one_uncertainty_off_leaves_the_others_as_they_are(changes):
    base, changed = UAMFleet(**SMALL), UAMFleet(**SMALL, **changes)
    one, other = or_envs.sample(base, 7, 20), or_envs.sample(changed, 7, 20)
    own = {
        "max_expected_delay": {"expected_delay", "delay"},
        "max_closure": {"closure", "closed"},
        "max_failure": {"failure"},
        "lanes": set(),
    }[next(iter(changes))]
    for a, b in zip(one, other, strict=True):
        for name in a.names():
            if name in own:
                assert not getattr(b, name).any()
            else:
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("reward", ["terminal", "terminal_normalised"])
@pytest.mark.parametrize("preset", ["tiny", "ref2022"])
def test_rewards_of_all_modes_are_the_same_money(preset, reward):
    dense, late = UAMFleet(preset), UAMFleet(preset, reward=reward)
    instance, tape = or_envs.sample(dense, 1, 5)
    rollout = play_random(dense, instance, tape)
    other = play_random(late, instance, tape)
    np.testing.assert_array_equal(rollout.actions, other.actions)
    scale = np.ones(5)
    if reward == "terminal_normalised":
        scale = (instance.demand * instance.fare).sum(axis=(1, 2, 3))
        if preset == "ref2022":
            figures = report(dense, rollout.actions, instance, tape)
            scale = scale - figures.revenue
    assert other.total_reward == pytest.approx(rollout.total_reward / scale)
    last = rollout.num_steps - 1
    paid = other.rewards != 0
    assert paid.sum() == 5
    assert paid[np.arange(5), last].all()


def test_the_score_of_ref2022_is_of_the_published_size():
    """0.02 to 0.06, see the specification of REF22's results."""
    problem = UAMFleet("ref2022", reward="terminal_normalised")
    score = play_random(problem, *or_envs.sample(problem, 0, 30)).total_reward
    assert 0.03 < score.mean() < 0.06


def test_policies_meet_the_same_luck():
    """The m-th landing of an aircraft fails or not, and delays belong to bins."""
    problem = fleet(aircraft=2, max_failure=0.5, max_expected_delay=6.0)
    instance, tape = day(problem, location=(0, 0))
    tape.failure[0, 1, 0] = True
    tape.delay[0, :, 0] = np.arange(48)
    early = Walk(problem, instance, tape)
    early.step(1)
    early.step(1)
    assert early.state.takeoff[0].tolist() == [0, 0]
    late = Walk(problem, instance, tape)
    late.step(0)
    late.step(0)
    late.step(1)
    late.step(1)
    assert late.state.takeoff[0].tolist() == [16, 16]
    for go in (early, late):
        minutes = go.state.ready[0] - go.state.takeoff[0]
        assert minutes[1] - minutes[0] == pytest.approx(120)


def test_relabelled_vertiports_give_relabelled_observations():
    problem = UAMFleet(**SMALL)
    instance, tape = or_envs.sample(problem, 2, 1)
    rollout = play_random(problem, instance, tape)
    order = np.array([2, 0, 3, 1])  # new vertiport i is old vertiport order[i]
    place = order.argsort()
    moved = instance.map(lambda x: x)
    changes = {"location": place[instance.location]}
    for name in ("position", "escape", "business", "parking", "chargers"):
        changes[name] = getattr(instance, name)[:, order]
    for name in ("distance", "waiting", "closed"):
        changes[name] = getattr(instance, name)[:, order][:, :, order]
    for name in ("demand", "fare", "closure"):
        changes[name] = getattr(instance, name)[:, :, order][:, :, :, order]
    changes["expected_delay"] = instance.expected_delay[:, :, order]
    moved = dataclasses.replace(instance, **changes)
    tape_changes = {
        name: getattr(tape, name)[:, :, order][:, :, :, order] for name in ("arrivals", "closed")
    }
    moved_tape = dataclasses.replace(tape, **tape_changes, delay=tape.delay[:, :, order])
    state, other = problem.initial(instance), problem.initial(moved)
    for action in rollout.actions[0, :40]:
        seen, again = problem.observation(instance, state), problem.observation(moved, other)
        assert again["vertiports"] == pytest.approx(seen["vertiports"][:, order])
        assert again["series"] == pytest.approx(seen["series"][:, :, order])
        for name in ("aircraft", "context", "decider"):
            assert again[name] == pytest.approx(seen[name])
        post, reward = problem.post_decision(instance, state, np.array([action]))
        state, _, _ = problem.transition(instance, post, tape)
        post, same = problem.post_decision(moved, other, place[np.array([action])])
        other, _, _ = problem.transition(moved, post, moved_tape)
        assert same == pytest.approx(reward)


def test_relational_features_have_the_same_width_for_every_size():
    widths = set()
    for n, k in ((3, 4), (12, 60)):
        space = UAMFleet(num_vertiports=n, num_aircraft=k, num_business=1).observation_space
        widths.add((space["vertiports"].shape[1], space["aircraft"].shape[1]))
        assert space["series"].shape == (12, n, 5)
    assert widths == {(21, 9)}


@pytest.mark.parametrize("features", ["relational", "paper", "ref2022"])
def test_observations_are_scaled(features):
    problem = UAMFleet(features=features, **SMALL)
    instance, tape = or_envs.sample(problem, 4, 8)
    state = problem.initial(instance)
    rng = np.random.default_rng(0)
    for _ in range(60):
        seen = problem.observation(instance, state)
        for name, values in seen.items():
            if name != "decider":
                assert np.abs(values).max() <= 5, name
        allowed = problem.action_mask(instance, state)
        action = np.where(allowed, rng.random(allowed.shape), -1).argmax(axis=1)
        post, _ = problem.post_decision(instance, state, action)
        state, _, _ = problem.transition(instance, post, tape)


def test_checkers_of_gymnasium_and_sb3():
    env = gym.make("or_envs/UAMFleet-v0").unwrapped
    with warnings.catch_warnings():
        # Boxes without ends and with two or three dimensions only draw advice, never an error.
        warnings.simplefilter("ignore", UserWarning)
        check_env(env)
        sb3_check_env(env)


@pytest.mark.slow
def test_maskable_ppo_trains():
    from sb3_contrib import MaskablePPO

    from or_envs.core.sb3 import make_sb3_vec_env

    env = make_sb3_vec_env("or_envs/UAMFleet-v0", 64, 0, reward_scale=0.01, preset="tiny")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = MaskablePPO("MultiInputPolicy", env, n_steps=64, batch_size=1024, seed=0)
    model.learn(8192)
    assert model.num_timesteps == 8192
    rewards = [info["r"] for info in model.ep_info_buffer]
    assert np.isfinite(rewards).all()


def test_a_masked_action_ends_the_day_or_raises():
    instance, tape = day(fleet(), closed=np.ones((1, 2, 2), bool))
    options = {"instance": instance, "exogenous": tape}
    env = Env(fleet())
    env.reset(seed=0, options=options)
    before = env.state
    _, reward, terminated, _, info = env.step(1)
    assert terminated
    assert "vertiport 1 has no free stand, or its route is closed" in info["invalid_action"]
    assert reward == env.problem.worst_completion(env.instance, before)[0]
    assert reward < -21.6 * 15
    env = Env(fleet(), invalid_action="raise")
    env.reset(seed=0, options=options)
    with pytest.raises(InvalidAction, match="vertiport 1"):
        env.step(1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"preset": "paper"}, "preset: expected one of default, det, tiny, .*got 'paper'"),
        ({"reward": "sparse"}, "reward: expected one of dense, terminal"),
        ({"features": "gnn"}, "features: expected one of relational, paper, ref2022"),
        ({"aircraft": 3}, "aircraft: unknown constant; those of a setting are num_vertiports"),
        ({"num_aircraft": 0}, "num_aircraft: expected an integer >= 1, got 0"),
        ({"num_aircraft": 65}, r"num_aircraft: expected at most .* = 64, got 65"),
        ({"num_vertiports": 1}, "num_vertiports: expected an integer >= 2"),
        ({"num_vertiports": 4}, "num_vertistops: expected at most .* = 1, got 2"),
        ({"day": 90}, "day: expected a positive multiple of 60 minutes, got 90"),
        ({"bin": 25}, "bin: expected minutes that divide 60, got 25"),
        ({"speed": 0.0}, "speed: expected a number > 0"),
        ({"load": -1.0}, "load: expected a number >= 0"),
        ({"max_closure": 1.5}, r"max_closure: expected a number in \[0, 1\]"),
        ({"battery": float("nan")}, "battery: expected a number > 0, got nan"),
        ({"fare": "free"}, "fare: expected one of surge, logarithmic, truncated"),
        ({"demand": "pool"}, "patience: expected None with demand='pool', got 2"),
        ({"reserve": 110.0}, "reserve: expected less than the battery"),
        ({"patience": 0}, "patience: expected an integer >= 1, got 0"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gym.make("or_envs/UAMFleet-v0", **kwargs)
