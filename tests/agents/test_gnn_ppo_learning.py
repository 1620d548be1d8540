"""GNN-PPO: advantages, roll-outs, cloning, learning, files."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecMonitor

import or_envs
from agents.common.checkpoint import ExactCheckpoint, learn_resumable
from agents.gnn_ppo.advantages import generalised_advantages, group_advantages
from agents.gnn_ppo.cloning import clone_epoch
from agents.gnn_ppo.demonstrations import Demonstrations
from agents.gnn_ppo.episodes import follow, play
from agents.gnn_ppo.gnn_ppo import GNNPPO
from agents.gnn_ppo.units import unit_of
from baselines.job_shop.pilot import Pilot, PilotSearch
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.job_shop.instances import JobShopInstance, load
from tests.agents.gnn_ppo_helpers import ID, POLICIES, SHOP, model_of, parameters, problem_of

baselines = pytest.mark.parametrize("baseline", ["group", "critic"])


# ---- advantages -----------------------------------------------------------------------------


def test_group_advantages_by_hand():
    returns = np.array([1.0, 3.0, 10.0, 20.0])
    assert group_advantages(returns, 2).tolist() == [-1, 1, -5, 5]


def test_generalised_advantages_by_hand():
    rewards = np.array([[1.0], [2.0], [4.0]])
    values = np.array([[10.0], [20.0], [30.0], [40.0]])
    ended = np.array([[False], [True], [False]])
    # Surprises: 1 + 20/2 - 10 = 1; the last of its episode 2 - 20 = -18; 4 + 40/2 - 30 = -6.
    found = generalised_advantages(rewards, values, ended, 0.5, 0.5)
    assert found.flatten().tolist() == [1 + 0.25 * -18, -18, -6]


def test_without_decay_advantages_are_returns_less_values():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(5, 3)), rng.normal(size=(6, 3))
    ended = np.zeros((5, 3), dtype=bool)
    ended[4] = True
    found = generalised_advantages(rewards, values, ended, 1.0, 1.0)
    np.testing.assert_allclose(found, rewards[::-1].cumsum(axis=0)[::-1] - values[:-1])


def test_the_unit_is_the_mean_work_of_a_machine():
    shop = JobShopInstance.of([[0, 1], [1, 0]], [[3, 2], [2, 4]])
    problem = problem_of(num_jobs=(1, 5), num_machines=(1, 4))
    assert unit_of(problem, shop).tolist() == [5.5]
    assert unit_of(problem, shop.padded(5, 4)).tolist() == [5.5]
    single = problem_of(instance="LA01")
    instance, _ = or_envs.sample(single, 0, 3)
    np.testing.assert_allclose(unit_of(single, instance), load("LA01").duration.sum() / 5)
    other = or_envs.make_problem("or_envs/TSP-v0", num_cities=4)
    assert unit_of(other, or_envs.sample(other, 0, 2)[0]).tolist() == [1, 1]


# ---- roll-outs ------------------------------------------------------------------------------


@pytest.mark.parametrize("p_down", [0.0, 0.3])
@pytest.mark.parametrize("policy", POLICIES)
def test_episodes_are_those_of_the_simulator(policy, p_down):
    model = model_of(policy, env={"p_down": p_down})
    problem = problem_of(observation=POLICIES[policy], p_down=p_down)
    instance, exogenous = or_envs.sample(problem, 0, 7)
    torch.manual_seed(0)
    record = []
    played = play(follow(model.policy, 1.0), problem, instance, exogenous, record=record)
    actions = np.maximum(played.actions, 0)
    again = or_envs.simulate(problem, actions, instance, exogenous)
    np.testing.assert_array_equal(again.total_reward, played.total_reward)
    np.testing.assert_array_equal(again.num_steps, played.num_steps)
    assert all((part.allowed.sum(axis=1) > 1).all() for part in record)
    greedy = play(follow(model.policy), problem, instance, exogenous)
    rule = or_envs.policy_rule(problem, model)
    known = or_envs.simulate(problem, rule, instance, exogenous)
    np.testing.assert_array_equal(greedy.total_reward, known.total_reward)


def test_groups_share_instance_and_luck():
    """A greedy policy plays all episodes of a group alike, so that nobody has an advantage."""
    model = model_of(env={"p_down": 0.5})
    model._setup_learn(1)
    decide = model.policy.decide
    model.policy.decide = lambda seen, allowed, temperature: decide(seen, allowed, 0.0)

    class Watch:
        def update_locals(self, values):
            self.values = values

        def on_step(self):
            return True

    watch = Watch()
    assert model._play_groups(watch)
    makespans = np.array([info["episode"]["r"] for info in watch.values["infos"]]).reshape(4, 4)
    assert (np.ptp(makespans, axis=1) == 0).all()
    assert np.ptp(makespans[:, 0]) > 0
    assert not model._advantages.any()
    # Another roll-out has other instances.
    assert model._play_groups(watch)
    other = np.array([info["episode"]["r"] for info in watch.values["infos"]]).reshape(4, 4)
    assert (other != makespans).any()


def test_log_probabilities_of_the_roll_out_are_those_of_the_update():
    model = model_of(num_envs=3, baseline="critic")
    for baseline in ("group", "critic"):
        model = model_of(num_envs=3, baseline=baseline)
        _, callback = model._setup_learn(1)
        model.collect_rollouts(model.env, callback, None, 8)
        seen = {name: torch.from_numpy(v) for name, v in model._decisions.seen.items()}
        allowed = torch.from_numpy(model._decisions.allowed)
        assert (allowed.sum(dim=1) > 1).all()
        with torch.no_grad():
            found = model.policy.evaluate(seen, allowed)[0]
        actions = torch.from_numpy(model._decisions.actions)
        np.testing.assert_allclose(
            found.gather(1, actions[:, None])[:, 0], model._decisions.log_probs, atol=1e-5
        )


def test_advantages_of_steps_are_in_the_units_of_their_instances():
    """With values of 0 and no decay the return of a whole episode is its makespan in units."""
    model = model_of(num_envs=1, baseline="critic", n_steps=60, gae_lambda=1.0)
    torch.nn.init.zeros_(model.policy.value[-1].weight)
    torch.nn.init.zeros_(model.policy.value[-1].bias)
    _, callback = model._setup_learn(1)
    instance = model.env.vector_env.instance
    unit = unit_of(model._problem(), instance)[0]
    model.collect_rollouts(model.env, callback, None, 60)
    first = model.ep_info_buffer[0]
    assert model._decisions.rows[0] == 0
    assert model._advantages[0] == pytest.approx(first["r"] / unit)
    assert model._returns[0] == pytest.approx(first["r"] / unit)


# ---- demonstrations -------------------------------------------------------------------------


def demonstrations(problem, num=12, seed=100):
    instance, exogenous = or_envs.sample(problem, seed, num)
    if problem.stochastic:
        rule = Pilot(problem, completions=4, scenarios=2)
        played = or_envs.simulate(problem, rule, instance, exogenous)
        steps = np.arange(played.actions.shape[1])
        actions = np.where(steps < played.num_steps[:, None], played.actions, -1)
        return Demonstrations(instance, exogenous, actions), played.total_reward
    solver = PilotSearch(problem, completions=8)
    plans = [solver.solve(instance.rows(np.array([row]))) for row in range(num)]
    actions = np.full((num, problem.max_steps), -1)
    for row, plan in enumerate(plans):
        actions[row, : len(plan.actions)] = plan.actions
    return Demonstrations(instance, None, actions), -np.array([p.objective for p in plans])


@pytest.mark.parametrize("p_down", [0.0, 0.3])
def test_demonstrations_are_files(p_down, tmp_path):
    problem = problem_of(p_down=p_down)
    made, _ = demonstrations(problem, 4)
    path = tmp_path / "deep" / "labels.npz"
    made.save(path)
    read = Demonstrations.load(path, problem)
    np.testing.assert_array_equal(read.actions, made.actions)
    one, other = made.replay(problem), read.replay(problem)
    for name, value in one.seen.items():
        np.testing.assert_array_equal(other.seen[name], value)
    np.testing.assert_array_equal(other.actions, one.actions)
    assert (one.allowed.sum(axis=1) > 1).all()
    assert one.allowed[np.arange(one.num), one.actions].all()


def test_demonstrations_without_shutdowns_serve_environments_with_them(tmp_path):
    made, _ = demonstrations(problem_of(), 4)
    path = tmp_path / "labels.npz"
    made.save(path)
    risky = problem_of(p_down=0.5)
    decisions = Demonstrations.load(path, risky).replay(risky)
    np.testing.assert_array_equal(decisions.actions, made.replay(problem_of()).actions)


def test_cloning_lowers_the_cross_entropy(tmp_path):
    problem = problem_of()
    decisions = demonstrations(problem)[0].replay(problem)
    model = model_of()
    rng = np.random.default_rng(0)
    losses = [clone_epoch(model.policy, decisions, 32, 3e-3, 0.5, rng) for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]
    # The first loss is about that of the untrained policy, which knows nothing.
    assert losses[0] == pytest.approx(np.log(decisions.allowed.sum(axis=1)).mean(), abs=0.6)


@baselines
def test_learning_starts_with_the_labels(baseline, tmp_path):
    path = tmp_path / "labels.npz"
    demonstrations(problem_of(), 6)[0].save(path)
    model = model_of(baseline=baseline, labels=[str(path)], clone_epochs=3)
    before = parameters(model)
    seen = {}

    class Look(ExactCheckpoint):
        def _on_rollout_start(self):
            seen.setdefault("weights", parameters(self.model))
            seen.setdefault("cloned", self.model._cloned)

        def _on_training_end(self):
            pass

    model.learn(50, callback=Look(tmp_path / "c"))
    assert seen["cloned"]
    assert not torch.equal(seen["weights"], before)


# ---- learning -------------------------------------------------------------------------------


@baselines
def test_learning_beats_the_start(baseline):
    """On tiny shops a few thousand decisions shorten schedules that were not seen in training."""
    settings = {"groups": 16, "group_size": 8, "n_steps": 32, "batch_size": 128}
    model = model_of(
        baseline=baseline,
        num_envs=32,
        learning_rate=5e-3,
        n_epochs=2,
        ent_coef=0.003,
        dev_instances=64,
        **settings,
    )
    problem = problem_of()
    instance, _ = or_envs.sample(problem, 0, 300)
    before = play(follow(model.policy, 1.0), problem, instance).total_reward.mean()
    model.learn(12_000)
    sampled = play(follow(model.policy, 1.0), problem, instance).total_reward.mean()
    assert sampled > before + 3
    greedy = play(follow(model.policy), problem, instance).total_reward.mean()
    assert greedy > before + 3


@baselines
def test_same_seed_same_parameters(baseline):
    one, other, third = (
        model_of(num_envs=3, baseline=baseline, seed=seed, env={"p_down": 0.2}).learn(200)
        for seed in (1, 1, 2)
    )
    assert torch.equal(parameters(one), parameters(other))
    assert not torch.equal(parameters(one), parameters(third))


def test_learning_ends_with_the_best_weights():
    model = model_of(dev_every=1, learning_rate=1e-2)
    instance, _ = or_envs.sample(problem_of(), 6_000_000_000, 8)
    unit = unit_of(problem_of(), instance)
    scores, weights = [], []
    select = model._select

    def watch(problem):
        select(problem)
        played = play(follow(model.policy), problem, instance)
        scores.append((played.total_reward / unit).mean())
        weights.append(parameters(model))

    model._select = watch
    model.learn(900)
    assert len(set(scores)) > 2
    assert model.best.score == max(scores)
    last = max(k for k, score in enumerate(scores) if score == max(scores))
    assert torch.equal(parameters(model), weights[last])


def test_curves_see_episodes():
    model = model_of()
    seen = []

    class Curve(ExactCheckpoint):
        def _on_step(self):
            seen.extend(info["episode"]["r"] for info in self.locals["infos"])
            return True

        def _on_training_end(self):
            pass

    model.learn(100, callback=Curve("nowhere"))
    assert len(seen) % 16 == 0
    assert max(seen) < 0


def test_a_callback_may_stop():
    class Stop(ExactCheckpoint):
        def _on_step(self):
            return False

        def _on_training_end(self):
            pass

    for baseline in ("group", "critic"):
        model = model_of(baseline=baseline)
        model.learn(10_000, callback=Stop("nowhere"))
        assert 0 < model.num_timesteps < 1000


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_saved_models_decide_alike(policy, tmp_path):
    model = model_of(policy).learn(50)
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = GNNPPO.load(path, device="cpu")
    assert torch.equal(parameters(model), parameters(again))
    assert again.settings() == model.settings()
    problem = problem_of(observation=POLICIES[policy])
    instance, _ = or_envs.sample(problem, 0, 8)
    one, other = (
        or_envs.simulate(problem, or_envs.policy_rule(problem, m), instance).actions
        for m in (model, again)
    )
    np.testing.assert_array_equal(one, other)
    further = GNNPPO.load(path, env=model.env, device="cpu")
    further.learn(30, reset_num_timesteps=False)
    assert further.num_timesteps > model.num_timesteps


@baselines
def test_a_resumed_training_is_the_same(baseline, tmp_path):
    labels = tmp_path / "labels.npz"
    demonstrations(problem_of(), 4)[0].save(labels)
    settings = {"labels": [str(labels)], "clone_epochs": 2, "baseline": baseline, "num_envs": 3}
    settings["env"] = {"p_down": 0.2}
    total = 600 if baseline == "group" else 24 * 7
    whole = model_of(**settings)
    learn_resumable(whole, total, tmp_path / "whole")
    killed = model_of(**settings)

    class Kill(ExactCheckpoint):
        def _on_rollout_start(self):
            super()._on_rollout_start()
            if self._rollouts == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.learn(total, callback=Kill(tmp_path / "killed", every=1))
    torch.manual_seed(99)
    resumed = model_of(**settings)
    learn_resumable(resumed, total, tmp_path / "killed")
    assert 0 < killed.num_timesteps < whole.num_timesteps == resumed.num_timesteps
    assert torch.equal(parameters(whole), parameters(resumed))
    assert whole.best.score == resumed.best.score


# ---- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"baseline": "none"}, "baseline: expected 'group' or 'critic', got 'none'"),
        ({"group_size": 1}, "group_size: expected an integer >= 2, got 1"),
        ({"groups": 0}, "groups: expected an integer >= 1, got 0"),
        ({"n_steps": 0}, "n_steps: expected an integer >= 1"),
        ({"gamma": 0.9}, "gamma: expected 1 with baseline 'group', got 0.9"),
        ({"gae_lambda": 1.5}, r"gae_lambda: expected a number in \[0, 1\], got 1.5"),
        ({"clip_range": 0.0}, "clip_range: expected a number > 0, got 0.0"),
        ({"ent_coef": -1.0}, "ent_coef: expected a number >= 0, got -1.0"),
        ({"clone_learning_rate": 0.0}, "clone_learning_rate: expected a number > 0"),
        ({"labels": "file.npz"}, "labels: expected a sequence of files, got the text"),
    ],
)
def test_wrong_settings_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        model_of(**kwargs)


def test_wrong_environments_are_named():
    with pytest.raises(ValueError, match=r"env: GNNPPO needs .*SB3VecEnv, got VecMonitor"):
        GNNPPO("JobTokens", VecMonitor(make_sb3_vec_env(ID, 1, 0, **SHOP)), device="cpu")
    with pytest.raises(ValueError, match="JobTokenPolicy needs observations with jobs"):
        GNNPPO("JobTokens", make_sb3_vec_env("or_envs/TSP-v0", 1, 0), device="cpu")
    with pytest.raises(ValueError, match="env: GNNPPO needs episodes that end by themselves"):
        GNNPPO("JobTokens", make_sb3_vec_env("or_envs/LotSizing-v0", 1, 0), device="cpu")


def test_wrong_labels_are_named(tmp_path):
    problem = problem_of()
    path = tmp_path / "labels.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="labels: expected an npz file"):
        model_of(labels=[str(path)]).learn(1)
    with pytest.raises(ValueError, match="labels: expected an npz file"):
        model_of(labels=[str(tmp_path / "missing.npz")]).learn(1)
    np.savez(path, actions=np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"expected arrays actions, instance.duration, .* got act"):
        model_of(labels=[str(path)]).learn(1)
    made, _ = demonstrations(problem, 3)
    made.save(path)
    with pytest.raises(ValueError, match=r"machine has shape \(3, 4, 3\), but .*\(3, 5, 3\)"):
        model_of(env={"num_jobs": 5}, labels=[str(path)]).learn(1)
    wrong = Demonstrations(made.instance, None, np.zeros_like(made.actions))
    wrong.save(path)
    with pytest.raises(ValueError, match="labels: episode 0, step 1: action 0 is not allowed"):
        model_of(labels=[str(path)]).learn(1)
    Demonstrations(made.instance, None, made.actions[:, :4]).save(path)
    with pytest.raises(ValueError, match="labels: episode 0, step 4: action -1 is not allowed"):
        model_of(labels=[str(path)]).learn(1)
    risky = problem_of(p_down=0.5)
    demonstrations(risky, 2)[0].save(path)
    with pytest.raises(ValueError, match=r"labels: .*expected arrays actions, instance"):
        model_of(labels=[str(path)]).learn(1)
