import pytest
import yaml

from benchmarks import hyperparameters
from benchmarks.cells import cells_of
from benchmarks.config import load_suite, shipped
from benchmarks.errors import UserError

from .helpers import fake, write_suite


def _load(tmp_path, change):
    data = yaml.safe_load(write_suite(tmp_path, fake("idle")).read_text())
    change(data)
    path = tmp_path / "changed.yml"
    path.write_text(yaml.safe_dump(data))
    return load_suite(str(path))


def _contestant(**fields):
    return lambda data: data["problems"][0]["contestants"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("problems"), "changed.yml: field 'problems' is missing"),
        (lambda data: data.update(problems=3), "changed.yml: problems: expected a list, got 3"),
        (lambda data: data.update(problems=[]), "problems: expected at least one"),
        (lambda data: data.update(color="red"), "unknown field 'color'; allowed are problems,"),
        (lambda data: data.update(cell_time_limit=0), "cell_time_limit: expected a number"),
        (
            lambda data: data["problems"][0].update(episodes=0),
            r"problems\[0\]: episodes: expected an integer >= 1, got 0",
        ),
        (
            lambda data: data["problems"][0].update(episodes=True),
            r"problems\[0\]: episodes: expected an integer, got True",
        ),
        (
            lambda data: data["problems"][0]["contestants"].append(fake("idle")),
            "contestants: expected a label of its own for each, got 'idle'",
        ),
        (
            _contestant(episodes="many"),
            r"problems\[0\]: contestants\[0\]: episodes: expected an integer, got 'many'",
        ),
        (_contestant(episodes=5), "episodes: expected at most the problem's 4, got 5"),
        (_contestant(seeds=[1, 1]), r"seeds: expected distinct integers >= 0, got \[1, 1\]"),
        (_contestant(seeds=[]), "seeds: expected distinct"),
        (_contestant(settings=[1]), "settings: expected a mapping"),
        (_contestant(sees_future="yes"), "sees_future: expected true or false, got 'yes'"),
        (_contestant(time_limit=-1), "time_limit: expected > 0, got -1"),
        (
            lambda data: data.update(claim={"reference": "a", "score_zero": "idle"}),
            "claim: field 'score_one' is missing",
        ),
        (
            lambda data: data.update(
                claim={"reference": "a", "score_zero": "idle", "score_one": "idle"}
            ),
            "claim: reference: expected a contestant of every problem, got 'a'",
        ),
    ],
)
def test_errors_name_file_field_value_and_what_is_allowed(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        _load(tmp_path, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data["problems"][0].update(env_id="or_envs/Chess-v0"),
            r"problems\[0\]: env: unknown id 'or_envs/Chess-v0'; allowed are .*or_envs/TSP-v0",
        ),
        (
            lambda data: data["problems"][0].update(env_kwargs={"size": 3}),
            "no option 'size'; allowed are instance, n_items",
        ),
        (
            lambda data: data["problems"][0].update(env_kwargs={"instance": "99x9"}),
            "instance: expected one of 15x5",
        ),
        (_contestant(name="lot_sizing/magic"), r"contestants\[0\]: unknown contestant 'lot_siz"),
        (_contestant(timesteps=10), "timesteps: allowed only for agents"),
        (_contestant(preset="a/b"), "preset: allowed only for agents"),
        (
            _contestant(name="pdppo", preset="magic/pdppo"),
            "preset: expected FILE/SECTION, FILE one of adp, hdpo, pdppo-reference, pdppo-tuned:",
        ),
        (
            _contestant(name="pdppo", preset="pdppo-reference/sarsa"),
            "preset: pdppo-reference has pdppo, ppo, but no 'sarsa'",
        ),
        (
            _contestant(env_kwargs={"horizon": 4}),
            r"contestants\[0\]: env_kwargs: changes the instances or traces of episodes",
        ),
        (_contestant(env_kwargs={"size": 4}), "has no option 'size'"),
    ],
)
def test_names_are_checked_before_anything_runs(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        cells_of(_load(tmp_path, change))


def test_unknown_suite_and_damaged_yaml(tmp_path):
    with pytest.raises(UserError, match=r"suite: expected one of .*standard.* got 'nosuch'"):
        load_suite("nosuch")
    path = tmp_path / "broken.yml"
    path.write_text("problems: [\n  {a: 1")
    with pytest.raises(UserError, match=r"broken.yml: not YAML at line 2"):
        load_suite(str(path))


def test_shipped_suites_are_valid():
    assert {"standard", "tiny", "pdppo-claim", "pdppo-bugs"} <= shipped().keys()
    for name in shipped():
        assert cells_of(load_suite(name))


def test_the_hash_depends_on_what_decides_the_result_and_on_nothing_else(tmp_path):
    def digest(change):
        (cell,) = cells_of(_load(tmp_path, change))
        return cell.hash

    same = digest(lambda data: None)
    assert digest(_contestant(label="other name")) == same
    assert digest(lambda data: data.update(cell_time_limit=9)) == same
    changes = [
        _contestant(settings={"a": 1}),
        _contestant(seeds=[1]),
        _contestant(episodes=3),
        _contestant(sees_future=True),
        _contestant(env_kwargs={"observation_mode": "inventory_only"}),
        lambda data: data.update(first_episode_seed=5),
        lambda data: data["problems"][0]["env_kwargs"].update(instance="VI-B"),
        lambda data: data["problems"][0]["env_kwargs"].update(finite_horizon=True),
    ]
    hashes = {digest(change) for change in changes}
    assert len(hashes) == len(changes)
    assert same not in hashes


def test_a_contestant_may_see_less_of_the_same_episodes(tmp_path):
    seen = {"observation_mode": "inventory_only"}
    (cell,) = cells_of(_load(tmp_path, _contestant(env_kwargs=seen)))
    assert cell.env_kwargs == {"instance": "VI-A", "horizon": 5, **seen}
    assert cell.instance == "VI-A"


def test_hyperparameters_of_an_id_override_the_default_and_are_overridden():
    default = hyperparameters.load("ppo", "or_envs/Other-v0", {})
    own = hyperparameters.load("ppo", "or_envs/LotSizing-v0", {"gamma": 0.5, "n_envs": 3})
    assert (default.reward_scale, own.reward_scale) == (1.0, 0.01)
    assert own.algorithm["gamma"] == 0.5
    assert own.n_envs == 3
    preset = "pdppo-reference/ppo"
    published = hyperparameters.load("pdppo", "or_envs/LotSizing-v0", {"gamma": 0.5}, preset)
    assert (published.reward_scale, published.policy) == (1.0, "ReferencePolicy")
    assert published.algorithm["advantage"] == "ppo"
    assert published.algorithm["reuse_rollouts"] == 6
    assert published.algorithm["policy_kwargs"] == {"head_gain": "tanh"}
    assert published.algorithm["gamma"] == 0.5
    known = "allowed are adp, bq_nco"
    with pytest.raises(UserError, match=f"algo: unknown 'sarsa'; {known}"):
        hyperparameters.load("sarsa", "or_envs/TSP-v0", {})
    with pytest.raises(UserError, match="n_envs: expected an integer >= 1, got 0"):
        hyperparameters.load("ppo", "or_envs/TSP-v0", {"n_envs": 0})
    code = {"policy_kwargs": {"activation_fn": "__import__('os').getcwd()"}}
    with pytest.raises(UserError, match="activation_fn: expected one of elu"):
        hyperparameters.load("ppo", "or_envs/TSP-v0", code).arguments()


def test_linear_schedules():
    from stable_baselines3.common.utils import LinearSchedule

    values = hyperparameters.load("adp", "or_envs/LotSizing-v0", {})
    assert values.reward_scale == 0.02
    assert values.flat()["learning_rate"] == "lin_0.001"  # as in the file, so that it can be kept
    rate = values.arguments()["learning_rate"]
    assert isinstance(rate, LinearSchedule)
    assert [rate(remaining) for remaining in (1.0, 0.25, 0.0)] == [0.001, 0.00025, 0.0]
    both = {"learning_rate": 0.5, "clip_range": "lin_0.2"}
    arguments = hyperparameters.load("ppo", "or_envs/LotSizing-v0", both).arguments()
    assert arguments["learning_rate"] == 0.5
    assert arguments["clip_range"](0.5) == 0.1


@pytest.mark.parametrize("value", ["foo", "lin_x", "lin_", "lin_nan", "lin_inf", "lin_-1", "0.001"])
def test_damaged_schedules(value):
    values = hyperparameters.load("adp", "or_envs/LotSizing-v0", {"learning_rate": value})
    with pytest.raises(UserError, match=f"learning_rate: expected a number or .* got '{value}'"):
        values.arguments()
