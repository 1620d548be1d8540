"""RLPD and EXPO as SB3 algorithms: data, files, checkpoints, callbacks, seeds."""

# ruff: noqa: NPY002  (SB3 draws from the global generator)

import copy

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from agents.common.checkpoint import learn_resumable, write_checkpoint
from agents.common.files import write
from agents.expo.expo import EXPO
from agents.rlpd.rlpd import RLPD
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import equal_parameters, parameters
from tests.agents.offline_helpers import AGENTS, build, data_of_points, points
from tests.agents.test_files import no_unpickling

every_agent = pytest.mark.parametrize(("cls", "settings"), AGENTS, ids=str)
both = pytest.mark.parametrize("cls", [RLPD, EXPO])


def same(a, b):
    """Equality of nested states, bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b


# ---- what learns ----------------------------------------------------------------------------


@every_agent
def test_everything_learns_and_nothing_else(cls, settings):
    model = build(cls, **settings)
    before = parameters(model)
    alpha = model._temperature().clone()
    model.learn(30)
    learned = settings.get("edit_mode", "learned") == "learned"
    for name, parameter in model.policy.named_parameters():
        rests = name.startswith("actor.") and not learned
        assert torch.equal(parameter, before[name]) == rests, name
    assert torch.equal(model._temperature(), alpha) == (not learned or "ent_coef" in settings)
    assert model._n_updates == 2 * 20


@both
def test_own_transitions_alone(cls):
    model = build(cls, offline_dataset=None).learn(30)
    assert model.offline_buffer is None
    assert model.replay_buffer.size() == 30


def test_ensemble_is_its_members():
    """Members are MLPs of their own, whichever of them is asked."""
    model = build(RLPD)
    critic = model.critic
    obs, actions = torch.randn(5, 3), torch.rand(5, 2)
    values = critic(obs, actions)
    assert values.shape == (3, 5)
    torch.testing.assert_close(critic(obs, actions, torch.tensor([2, 0])), values[[2, 0]])
    many = actions[:, None].repeat(1, 4, 1)
    torch.testing.assert_close(critic(obs, many), values[..., None].expand(3, 5, 4))
    for member in range(3):
        x = torch.cat([obs, actions], dim=1)
        for layer, norm in zip(critic.layers, critic.norms, strict=True):
            x = x @ layer.weight[member] + layer.bias[member]
            x = torch.nn.functional.layer_norm(x, x.shape[1:])
            x = torch.relu(x * norm.weight[member] + norm.bias[member])
        x = x @ critic.output.weight[member] + critic.output.bias[member]
        torch.testing.assert_close(x[:, 0], values[member])
    drawn = {tuple(sorted(critic.draw(2).tolist())) for _ in range(50)}
    assert drawn == {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize("entropy_backup", [False, True])
def test_targets_by_hand(entropy_backup):
    """Minimum of both members; the end of the task has no successor; alpha log pi if asked."""
    model = build(
        RLPD, n_min_critics=2, gamma=0.9, ent_coef=0.5, entropy_backup=entropy_backup,
        policy_kwargs={"net_arch": [8], "n_critics": 2}, offline_ratio=1.0,
    )  # fmt: skip
    batch = model._sample(16)
    batch = batch._replace(dones=torch.arange(16.0).remainder(2)[:, None])
    torch.manual_seed(0)
    targets = model._targets(batch)
    torch.manual_seed(0)
    with torch.no_grad():
        actions, log_prob = model.actor.action_log_prob(batch.next_observations)
        value = model.critic_target(batch.next_observations, actions).amin(dim=0)
    if entropy_backup:
        value = value - 0.5 * log_prob
    expected = batch.rewards[:, 0] + 0.9 * (1 - batch.dones[:, 0]) * value
    torch.testing.assert_close(targets, expected)


# ---- data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["MlpPolicy", "MultiInputPolicy"])
@pytest.mark.parametrize(("ratio", "count"), [(0.0, 0), (0.5, 8), (0.3, 5), (1.0, 16)])
def test_symmetric_sampling_is_exact(policy, ratio, count):
    model = build(RLPD, policy=policy, offline_ratio=ratio, gradient_steps=0).learn(20)
    model.offline_buffer.rewards[:] = 7.0
    for _ in range(5):
        batch = model._sample(16)
        assert len(batch.rewards) == len(batch.actions) == len(batch.dones) == 16
        assert int((batch.rewards == 7).sum()) == count


def test_offline_data_is_seen_as_own_transitions_are():
    """Actions in [-1, 1], rewards in the agent's scale, truncations bootstrapped."""
    data = data_of_points()
    data["terminations"][3] = True
    model = build(RLPD, offline_dataset=data)
    buffer = model.offline_buffer
    np.testing.assert_allclose(buffer.actions[:, 0], (data["actions"] - 1) / 3, rtol=1e-5)
    assert buffer.dones.sum() == buffer.dones[3, 0] == 1
    assert not buffer.timeouts.any()
    np.testing.assert_array_equal(buffer.observations[:, 0], data["observations"])
    env = make_sb3_vec_env("or_envs/MountainCar-v0", 1, 0, 0.1)
    one = {
        "observations": np.zeros((1, 2)), "actions": np.ones((1, 1)), "rewards": np.array([5.0]),
        "next_observations": np.zeros((1, 2)), "terminations": np.array([False]),
    }  # fmt: skip
    assert build(RLPD, env, offline_dataset=one).offline_buffer.rewards[0, 0] == pytest.approx(0.5)


def test_data_of_other_spaces_is_refused():
    data = data_of_points()
    with pytest.raises(ValueError, match=r"actions: expected shape \(2,\).*got \(1,\)"):
        build(RLPD, offline_dataset={**data, "actions": data["actions"][:, :1]})
    with pytest.raises(ValueError, match="observations: does not fit"):
        build(RLPD, offline_dataset=data_of_points(dicts=True))
    dicts = data_of_points(dicts=True)
    del dicts["observations"]["clock"]
    with pytest.raises(ValueError, match="expected keys clock, place, got place"):
        build(RLPD, policy="MultiInputPolicy", offline_dataset=dicts)


def test_statistics_of_vec_normalize_begin_with_the_data():
    data = data_of_points()
    env = VecNormalize(points())
    build(EXPO, env)
    np.testing.assert_allclose(env.obs_rms.mean, data["observations"].mean(axis=0), rtol=1e-3)
    seen = copy.deepcopy(env.obs_rms)
    build(EXPO, env)  # no longer fresh
    assert env.obs_rms.count == seen.count
    dicts = VecNormalize(points(dicts=True))
    build(EXPO, dicts, "MultiInputPolicy")
    assert dicts.obs_rms["place"].count > 60


# ---- SB3's interface ------------------------------------------------------------------------


@both
@pytest.mark.parametrize("num", [1, 4])
@pytest.mark.parametrize("policy", ["MlpPolicy", "MultiInputPolicy"])
@pytest.mark.parametrize("normalized", [False, True])
def test_environments(cls, num, policy, normalized):
    env = points(num, dicts=policy == "MultiInputPolicy")
    env = VecNormalize(env) if normalized else env
    model = build(cls, env, policy)
    before = parameters(model)
    model.learn(32)
    assert model.num_timesteps == 32
    assert any(not torch.equal(value, before[name]) for name, value in parameters(model).items())
    assert np.abs(model.replay_buffer.actions).max() <= 1
    seen = model.env.reset()
    actions, _ = model.predict(seen)
    assert actions.shape == (num, 2)
    single = {key: value[0] for key, value in seen.items()} if isinstance(seen, dict) else seen[0]
    assert model.predict(single)[0].shape == (2,)


@every_agent
def test_files_hold_every_network_and_optimiser(cls, settings, tmp_path):
    path = tmp_path / "model.safetensors"
    model = build(cls, learning_rate=LinearSchedule(1e-3, 1e-4, 1.0), **settings).learn(30)
    model.save(path)
    with no_unpickling():
        loaded = cls.load(path)
    before, after = model.get_parameters(), loaded.get_parameters()
    assert before.keys() == after.keys() >= {"policy", "actor.optimizer", "critic.optimizer"}
    for name in before:
        assert same(before[name], after[name]), name
    assert torch.equal(model._temperature(), loaded._temperature())
    assert loaded.target_entropy == model.target_entropy
    obs = np.random.default_rng(0).uniform(-3, 3, (5, 3)).astype(np.float32)
    for deterministic in (True, False):
        torch.manual_seed(0)
        expected, _ = model.predict(obs, deterministic=deterministic)
        torch.manual_seed(0)
        np.testing.assert_array_equal(loaded.predict(obs, deterministic=deterministic)[0], expected)


@both
def test_a_loaded_model_trains_on(cls, tmp_path):
    """Without the data set, which is not in the file, and with it again."""
    path = tmp_path / "model.safetensors"
    build(cls).learn(30).save(path)
    big = tmp_path / "big.safetensors"
    build(cls, offline_dataset=data_of_points(5000)).learn(30).save(big)
    assert big.stat().st_size == path.stat().st_size
    model = cls.load(path, env=points())
    assert model.offline_buffer is None
    before = parameters(model)
    model.learn(30, reset_num_timesteps=False)
    assert model.num_timesteps == 60
    assert not equal_parameters(model, cls.load(path))
    model.load_offline_dataset(data_of_points())
    model.learn(10, reset_num_timesteps=False)
    assert any(not torch.equal(value, before[name]) for name, value in parameters(model).items())


@both
def test_set_parameters(cls):
    a, b = build(cls).learn(20), build(cls, seed=4)
    b.set_parameters(a.get_parameters())
    assert equal_parameters(a, b)
    with pytest.raises(ValueError, match="do not match"):
        b.set_parameters({"policy": a.policy.state_dict()})


@both
def test_policy_files(cls, tmp_path):
    model = build(cls).learn(20)
    model.policy.save(tmp_path / "policy")
    loaded = type(model.policy).load(tmp_path / "policy")
    obs = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )


@pytest.mark.parametrize("policy", ["MlpPolicy", "MultiInputPolicy"])
def test_replay_buffer_files(policy, tmp_path):
    path = tmp_path / "replay.safetensors"
    model = build(RLPD, policy=policy, gradient_steps=0).learn(30)
    with no_unpickling():
        model.save_replay_buffer(path)
        other = build(RLPD, policy=policy)
        other.load_replay_buffer(path)
    np.random.seed(0)
    expected = model.replay_buffer.sample(8)
    np.random.seed(0)
    assert same(list(expected), list(other.replay_buffer.sample(8)))
    with pytest.raises(ValueError, match=r"replay buffer: .*expected .* or fewer rows"):
        build(RLPD, policy=policy, buffer_size=20).load_replay_buffer(path)
    write(path, "replay buffer", {"x": np.zeros(1)}, {})
    with pytest.raises(ValueError, match="replay buffer: expected arrays"):
        model.load_replay_buffer(path)


@both
def test_same_seed_same_parameters(cls):
    settings = {"gradient_steps": 1}
    a, b = (build(cls, **settings).learn(500) for _ in range(2))
    assert equal_parameters(a, b)
    assert not equal_parameters(a, build(cls, seed=4, **settings).learn(20))


@both
def test_deterministic_decisions_depend_on_the_observation_only(cls):
    model = build(cls).learn(20)
    obs = np.random.default_rng(0).uniform(-3, 3, (6, 3)).astype(np.float32)
    together = model.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], together)
    alone = [model.predict(one, deterministic=True)[0] for one in obs]
    np.testing.assert_allclose(alone, together, rtol=1e-5)
    state = torch.get_rng_state()
    model.predict(obs, deterministic=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert not np.array_equal(model.predict(obs)[0], model.predict(obs)[0])


class Stop(BaseCallback):
    def _on_step(self):
        return self.num_timesteps < 13


@both
def test_callbacks(cls, tmp_path):
    assert build(cls).learn(100, callback=Stop()).num_timesteps == 13
    stop = StopTrainingOnRewardThreshold(-1e9)
    evaluation = EvalCallback(points(), stop, n_eval_episodes=1, eval_freq=15, verbose=0)
    assert build(cls).learn(100, callback=evaluation).num_timesteps == 15
    build(cls).learn(20, callback=CheckpointCallback(10, str(tmp_path), "x"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["x_10_steps.zip", "x_20_steps.zip"]
    assert cls.load(tmp_path / names[1]).num_timesteps == 20


@both
def test_evaluation_does_not_disturb(cls):
    plain = build(cls).learn(30)
    watched = build(cls)
    watched.learn(30, callback=EvalCallback(points(), n_eval_episodes=1, eval_freq=7, verbose=0))
    assert equal_parameters(plain, watched)


# ---- checkpoints ----------------------------------------------------------------------------


class Kill(BaseCallback):
    def _on_step(self):
        if self.num_timesteps >= 47:
            raise KeyboardInterrupt
        return True


def on_cars(cls, **settings):
    env = make_sb3_vec_env("or_envs/MountainCar-v0", 2, 0, 0.1, horizon=7)
    data = {
        "observations": np.zeros((9, 2)), "actions": np.linspace(-1, 1, 9)[:, None],
        "rewards": np.ones(9), "next_observations": np.ones((9, 2)),
        "terminations": np.zeros(9, dtype=bool),
    }  # fmt: skip
    return build(cls, env, offline_dataset=data, learning_starts=24, buffer_size=60, **settings)


@both
def test_killed_and_resumed(cls, tmp_path):
    """Killed after learning has started; the buffer wraps around later."""
    path = tmp_path / "checkpoint.safetensors"
    settings = {"bc_pretrain_steps": 4} if cls is EXPO else {}
    undisturbed = on_cars(cls, **settings)
    learn_resumable(undisturbed, 90, tmp_path / "other")
    expected = torch.rand(3), np.random.random(3)
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(on_cars(cls, **settings), 90, path, callback=Kill())
    torch.manual_seed(99)
    np.random.seed(99)
    resumed = on_cars(cls, **settings)
    learn_resumable(resumed, 90, path)
    assert resumed.num_timesteps == undisturbed.num_timesteps == 90
    assert resumed._episode_num == undisturbed._episode_num
    assert equal_parameters(undisturbed, resumed)
    for name, state in undisturbed.get_parameters().items():
        assert same(state, resumed.get_parameters()[name]), name
    np.testing.assert_array_equal(undisturbed.replay_buffer.actions, resumed.replay_buffer.actions)
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.random(3), expected[1])


def test_a_checkpoint_before_learning_starts_keeps_the_random_actions(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole = on_cars(RLPD, gradient_steps=0).learn(20)
    model = on_cars(RLPD, gradient_steps=0).learn(10)
    write_checkpoint(model, path)
    resumed = on_cars(RLPD, gradient_steps=0)
    learn_resumable(resumed, 20, path)
    np.testing.assert_array_equal(whole.replay_buffer.actions, resumed.replay_buffer.actions)


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "setting", "value"),
    [
        (RLPD, "offline_ratio", 1.5),
        (RLPD, "gamma", -0.1),
        (RLPD, "n_min_critics", 4),
        (RLPD, "n_min_critics", 0),
        (EXPO, "backup", "td"),
        (EXPO, "backup_temperature", 0.0),
        (EXPO, "bc_pretrain_steps", -1),
        (EXPO, "ema_tau", 0.0),
        (EXPO, "edit_scale", 0.0),
        (EXPO, "edit_mode", "some"),
        (EXPO, "n_candidates", 0),
        (EXPO, "n_edited", 4),
    ],
)
def test_bad_settings(cls, setting, value):
    with pytest.raises(ValueError, match=setting):
        build(cls, **{setting: value})


def test_bad_networks():
    env = points()
    with pytest.raises(ValueError, match="n_critics: expected an integer >= 1, got 0"):
        RLPD("MlpPolicy", env, policy_kwargs={"n_critics": 0})
    with pytest.raises(ValueError, match="share_features_extractor"):
        RLPD("MlpPolicy", env, policy_kwargs={"share_features_extractor": True})
    with pytest.raises(ValueError, match="base: expected one of ddpm, flow, gmm, gaussian, got"):
        EXPO("MlpPolicy", env, base="vae")
    with pytest.raises(ValueError, match="base_kwargs: flow has no option 'components'"):
        EXPO("MlpPolicy", env, base="flow", policy_kwargs={"base_kwargs": {"components": 3}})
    with pytest.raises(ValueError, match="components: expected an integer >= 1, got 0"):
        EXPO("MlpPolicy", env, base="gmm", policy_kwargs={"base_kwargs": {"components": 0}})
    with pytest.raises(ValueError, match="steps: expected an integer >= 1, got 0"):
        EXPO("MlpPolicy", env, base="ddpm", policy_kwargs={"base_kwargs": {"steps": 0}})


def test_other_actions_are_refused():
    env = make_sb3_vec_env("or_envs/TSP-v0", 1, 0, num_cities=5)
    with pytest.raises(AssertionError, match="only supports"):
        RLPD("MultiInputPolicy", env)
