"""Every agent has a space of legal settings around its hyper-parameter file's own."""

import inspect

import gymnasium as gym
import pytest
import yaml

import or_envs
from agents.registration import TABLE, agent_class
from benchmarks import hyperparameters, spaces
from benchmarks.config import load_suite, shipped
from benchmarks.errors import UserError
from benchmarks.spaces import distributions, load_space, own_params, settings
from benchmarks.tune import EPISODES, FIRST_EPISODE_SEED, FIRST_SEED
from or_envs.core.sb3 import make_sb3_vec_env

LOT_SIZING = ("or_envs/LotSizing-v0", {"instance": "VI-A"})
STORE = ("or_envs/SingleStoreLostSales-v0", {})
CAR = ("or_envs/MountainCar-v0", {})
#: Where each agent is at home, and the fleet's ids, whose sections differ most.
HOMES = [
    ("adp", LOT_SIZING),
    ("bq_nco", ("or_envs/TSP-v0", {"num_cities": 6})),
    ("expo", CAR),
    ("gnn_ppo", ("or_envs/JobShop-v0", {})),
    ("gnn_ppo", ("or_envs/UAMFleet-v0", {})),
    ("hdpo", STORE),
    ("pdppo", LOT_SIZING),
    ("pmoe_ppo", CAR),
    ("pmoe_sac", CAR),
    ("ppo", LOT_SIZING),
    ("ppo_mask", LOT_SIZING),
    ("ppo_mask", ("or_envs/UAMFleet-v0", {})),
    ("props", LOT_SIZING),
    ("rlpd", CAR),
]


def sections(name):
    return yaml.safe_load((hyperparameters.space_path(name).parents[1] / f"{name}.yml").read_text())


@pytest.mark.parametrize("name", TABLE)
def test_spaces_hold_arguments_of_the_agent(name):
    allowed = inspect.signature(agent_class(name).__init__).parameters
    space = yaml.safe_load(hyperparameters.space_path(name).read_text())
    for laws in space.values():
        assert laws.keys() <= allowed.keys()
    assert space.keys() <= sections(name).keys()


@pytest.mark.parametrize("name", TABLE)
def test_the_file_is_a_point_of_the_space(name):
    for env_id in sections(name):
        space = load_space(name, env_id)
        assert len(space) >= 4
        drawn = settings(space, own_params(space, name, env_id, {}))
        own = hyperparameters.load(name, env_id, {}).flat()
        assert drawn.keys() == space.keys()
        assert {key: value for key, value in drawn.items() if key in own}.items() <= own.items()
        # There is something to find: no law but that of a set of nets has one value only.
        assert all(len(set(map(str, next(iter(law.values()))))) > 1 for law in space.values())


@pytest.mark.parametrize(("name", "home"), HOMES)
def test_agents_can_be_built_with_what_is_drawn(name, home):
    optuna = pytest.importorskip("optuna")
    env_id, env_kwargs = home
    env = make_sb3_vec_env(env_id, 2, 0, **env_kwargs)
    space = load_space(name, env_id)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    for _ in range(3):
        drawn = settings(space, study.ask(distributions(space)).params)
        values = hyperparameters.load(name, env_id, drawn)
        arguments = values.arguments()
        if "buffer_size" in arguments:
            arguments["buffer_size"] = 100
        if "behavior_n_steps" in arguments:  # a multiple of the environments
            arguments["behavior_n_steps"] = 20
        model = agent_class(name)(values.policy, env, seed=0, device="cpu", **arguments)
        for key in drawn.keys() - {"policy_kwargs", "learning_rate", "clip_range"}:
            kept = getattr(model, key)
            assert (list(kept) if isinstance(kept, tuple) else kept) == drawn[key]


@pytest.mark.parametrize("name", ["expo", "pmoe_sac", "rlpd"])
def test_hyper_parameters_of_every_id_with_continuous_actions(name):
    boxes = {
        id
        for id in or_envs.TABLE
        if isinstance(or_envs.make_problem(id).action_space, gym.spaces.Box)
    }
    assert {id for id in sections(name) if id != "default"} <= boxes
    for id in boxes:
        assert hyperparameters.load(name, id, {}).reward_scale > 0


def test_suites_use_neither_seeds_nor_episodes_of_tuning():
    trainings = range(1000 * FIRST_SEED, 1000 * (FIRST_SEED + 100))
    judged = range(FIRST_EPISODE_SEED, FIRST_EPISODE_SEED + EPISODES)
    assert judged[-1] < trainings[0]
    for name in shipped():
        suite = load_suite(name)
        for problem in suite.problems:
            last = suite.first_episode_seed + problem.episodes
            assert last <= judged[0]
            for contestant in problem.contestants:
                assert max(contestant.seeds) < FIRST_SEED


def test_laws_and_optuna(tmp_path, monkeypatch):
    path = tmp_path / "x.yml"
    monkeypatch.setattr(spaces, "space_path", lambda name: path)
    path.write_text(
        "default:\n  a: {choice: [1, {b: [2]}]}\n  c: {int: [1, 3]}\n  d: {uniform: [0, 1]}\n"
        "  e: {log_uniform: [0.01, 1]}\n  f: {int: [0, 1]}\nmy: {f: , c: {int: [5, 5]}}\n"
    )
    assert load_space("x", "other").keys() == {"a", "c", "d", "e", "f"}
    space = load_space("x", "my")
    assert space["c"] == {"int": [5, 5]}
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    drawn = [settings(space, study.ask(distributions(space)).params) for _ in range(40)]
    assert {str(values["a"]) for values in drawn} == {"1", "{'b': [2]}"}
    assert {values["c"] for values in drawn} == {5}
    assert all(0 <= values["d"] <= 1 for values in drawn)
    assert 10 < sum(values["e"] < 0.1 for values in drawn) < 30


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("3", "expected one of choice, int, uniform, log_uniform, got 3"),
        ("{normal: [0, 1]}", "expected one of choice"),
        ("{choice: []}", "choice: expected a list"),
        ("{log_uniform: [0, 1]}", "two numbers 0 < low <= high"),
        ("{uniform: [1, 0]}", "two numbers low <= high"),
        ("{int: [1, 2.5]}", "two integers"),
        ("{int: [1]}", "two integers"),
    ],
)
def test_bad_laws(tmp_path, monkeypatch, law, message):
    path = tmp_path / "x.yml"
    path.write_text(f"default: {{a: {law}}}")
    monkeypatch.setattr(spaces, "space_path", lambda name: path)
    with pytest.raises(UserError, match=f"x.yml: a: .*{message}"):
        load_space("x", "my")


def test_a_space_without_the_own_value(tmp_path, monkeypatch):
    path = tmp_path / "x.yml"
    path.write_text("default: {gamma: {choice: [0.5, 0.6]}}")
    monkeypatch.setattr(spaces, "space_path", lambda name: path)
    space = load_space("ppo", CAR[0])
    with pytest.raises(UserError, match=r"gamma: choice: .*MountainCar-v0's own value 0.99"):
        own_params(space, "ppo", CAR[0], {})
    assert own_params(space, "ppo", CAR[0], {"gamma": 0.5}) == {"gamma": "0.5"}


def test_no_space():
    with pytest.raises(UserError, match=r"with a tuning space, adp, .*, rlpd, got 'sarsa'"):
        load_space("sarsa", CAR[0])
