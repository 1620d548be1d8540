"""or-bench collect: what is recorded can be replayed, and interrupted runs go on."""

import gymnasium as gym
import numpy as np
import pytest

import or_envs
from agents.common.offline_data import load_transitions, read_episodes
from benchmarks import collect
from benchmarks.cli import main
from benchmarks.collect import FIRST_SEED, DataConfig, Noisy, behaviour, data_files
from benchmarks.errors import UserError

SERIAL = ("or_envs/SerialInventory-v0", {"instance": "L4-p9", "horizon": 6})
ENV = ["--env", SERIAL[0], "--env-kwargs", "instance:L4-p9", "horizon:6"]


def record(path, env=SERIAL, **fields):
    fields = {"contestant": "inventory/optimal_policy", "episodes": 3, **fields}
    collect.collect(*env, DataConfig(**fields), path)
    return read_episodes(path)


def test_episodes_are_those_of_the_environment(tmp_path):
    episodes, metadata = record(tmp_path / "x.npz", jitter=0.2)
    assert metadata["total_episodes"] == 3
    assert metadata["total_steps"] == 18
    assert metadata["algorithm_name"] == "inventory/optimal_policy"
    env = gym.make(SERIAL[0], **SERIAL[1])
    for number, episode in enumerate(episodes):
        observation, _ = env.reset(seed=FIRST_SEED + number)
        np.testing.assert_array_equal(episode.observations[0], observation)
        for step, action in enumerate(episode.actions):
            observation, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_array_equal(episode.observations[step + 1], observation)
            assert episode.rewards[step] == reward
            assert episode.terminations[step] == terminated
            assert episode.truncations[step] == truncated
    assert load_transitions(tmp_path / "x.npz").num == 18


def test_dict_observations_and_plans(tmp_path):
    env = ("or_envs/TSP-v0", {"num_cities": 5})
    episodes, _ = record(tmp_path / "x.npz", env, contestant="routing/two_opt", episodes=2)
    assert isinstance(episodes[0].observations, dict)
    assert episodes[0].terminations[-1]
    assert len(episodes[0].actions) == 4 == len(episodes[0].rewards)


def test_disturbances(tmp_path):
    problem = or_envs.make_problem(SERIAL[0], **SERIAL[1])
    instance, demand = or_envs.sample(problem, 0, 200)
    rng = np.random.default_rng(0)
    rule = lambda instance, state: np.full((state.num, 4), 50.0)  # noqa: E731

    def actions(jitter, random):
        noisy = Noisy(problem, rule, jitter, random, rng)
        return or_envs.simulate(problem, noisy, instance, demand).actions

    jittered = actions(0.2, 0.0)
    assert 40 <= jittered.min() < 41 < 59 < jittered.max() <= 60
    assert (actions(1.0, 0.0) <= problem.action_space.high).all()
    other = (actions(0.0, 0.3) != 50).any(axis=2)
    assert other.mean() == pytest.approx(0.3, abs=0.05)
    noisy = behaviour(problem, 1, "inventory/optimal_policy", jitter=0.2)
    assert np.isfinite(or_envs.simulate(problem, noisy, instance, demand).total_reward).all()


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "BLOCK", 2)
    played = []
    play = collect.play

    def dies(problem, player, config, seed):
        played.append(seed - FIRST_SEED)
        if seed == FIRST_SEED + 3:
            raise KeyboardInterrupt
        return play(problem, player, config, seed)

    monkeypatch.setattr(collect, "play", dies)
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "x.npz", episodes=5)
    assert not (tmp_path / "x.npz").exists()
    monkeypatch.setattr(collect, "play", lambda *a: played.append(a[3] - FIRST_SEED) or play(*a))
    episodes, _ = record(tmp_path / "x.npz", episodes=5)
    assert played == [0, 1, 2, 3, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    whole, _ = record(tmp_path / "y.npz", episodes=5)
    for a, b in zip(episodes, whole, strict=True):
        np.testing.assert_array_equal(a.actions, b.actions)
    del played[:]
    record(tmp_path / "x.npz", episodes=5)  # it is there
    assert played == []
    record(tmp_path / "x.npz", episodes=4)  # another one
    assert played == [0, 1, 2, 3]


def test_described_data_sets_of_agents(tmp_path):
    described = {"contestant": "inventory/optimal_policy", "episodes": 2, "jitter": 0.1}
    sources = data_files(*SERIAL, ["own.npz", described, {**described, "episodes": 1}], tmp_path)
    assert sources[0] == "own.npz"
    assert load_transitions(sources[1:]).num == 18
    assert data_files(*SERIAL, described, tmp_path) == sources[1:2]
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(UserError, match="offline_dataset: unknown field 'jiter'"):
        data_files(*SERIAL, {"contestant": "x", "jiter": 1}, tmp_path)


def test_command_line(tmp_path, capsys):
    path = tmp_path / "x.npz"
    arguments = ["collect", "inventory/genetic", *ENV, "--episodes", "2", "--output", str(path)]
    small = ["--settings", "population:4", "generations:1", "num_episodes:2"]
    assert main([*arguments, *small]) == 0
    assert f"written: {path}, 2 episodes, 12 steps" in capsys.readouterr().out
    train = ["train", "--algo", "expo", *ENV, "--timesteps", "20", "--output", str(tmp_path)]
    settings = ["learning_starts:5", "batch_size:8", "bc_pretrain_steps:3", "buffer_size:100"]
    settings.append(f"offline_dataset:{path}")
    assert main([*train, "--hyperparams", *settings]) == 0
    folder = tmp_path / "expo" / "SerialInventory-v0_1"
    assert main(["evaluate", str(folder), "--episodes", "2"]) == 0
    assert "cost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["inventory/magic", *ENV], ["inventory/magic", "inventory/optimal_policy"]),
        (["inventory/optimal_policy", *ENV, "--jitter", "2"], ["jitter", "[0, 1]", "2.0"]),
        (["inventory/optimal_policy", *ENV, "--random", "-1"], ["random", "[0, 1]", "-1"]),
        (["inventory/optimal_policy", *ENV, "--episodes", "0"], ["--episodes", ">= 1"]),
        (["inventory/hindsight", *ENV], ["inventory/hindsight", "deterministic"]),
        (
            ["routing/nearest_neighbour", "--env", "or_envs/TSP-v0", "--jitter", "0.1"],
            ["jitter", "Discrete"],
        ),
    ],
)
def test_bad_input(tmp_path, capsys, arguments, parts):
    try:
        code = main(["collect", *arguments, "--output", str(tmp_path / "x.npz")])
    except SystemExit as exit:
        code = exit.code
    error = capsys.readouterr().err
    assert code == 2
    assert all(part in error for part in parts), error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_output_is_an_npz_file(capsys):
    command = ["collect", "inventory/optimal_policy", *ENV, "--output", "x.csv"]
    assert main(command) == 2
    assert "output: expected a name ending in .npz, got 'x.csv'" in capsys.readouterr().err
