"""The trained agents that the package brings along."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import benchmarks
import or_envs
from benchmarks import zoo
from benchmarks.cli import build_parser, main
from benchmarks.errors import UserError
from benchmarks.model_card import CARD, card, command, index
from benchmarks.players import TrainedSearch, load_model, trained
from benchmarks.problems import build_problem
from benchmarks.training import MODEL

ROOT = Path(benchmarks.__file__).parent / "trained"
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir())
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_there_is_one_for_every_instance_of_the_published_law():
    names = {folder.name for folder in FOLDERS}
    assert names >= {f"adp-LotSizing-{size}" for size in ("15x5", "20x10", "25x10", "25x15")}
    assert sum(path.stat().st_size for path in ROOT.rglob("*")) < 60e6


@each
def test_reproduces_its_evaluation_in_part(folder, capsys):
    assert main(["evaluate", folder.name, "--check", "--episodes", "30"]) == 0
    assert "\nreproduced: " in capsys.readouterr().out


@pytest.mark.slow
@each
def test_reproduces_its_evaluation(folder, tmp_path):
    stored = yaml.safe_load((folder / "evaluation.yml").read_text())
    again = tmp_path / "again.yml"
    assert main(["evaluate", folder.name, "--check", "--output", str(again)]) == 0
    now = yaml.safe_load(again.read_text())
    assert all(now[key] == stored[key] for key in ("env", "env_kwargs", "first_seed", "episodes"))


def test_another_figure_is_not_reproduced(tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "hdpo-SingleStoreLostSales-poisson-L4-p9", folder)
    path = folder / "evaluation.yml"
    stored = yaml.safe_load(path.read_text())
    stored["cost"] = [x + 1 for x in stored["cost"]]
    path.write_text(yaml.safe_dump(stored))
    assert main(["evaluate", str(folder), "--check", "--episodes", "100"]) == 1
    assert "NOT reproduced: stored 7.8473" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "3"], "check: "),
        (["--env", "or_envs/TSP-v0"], "check: "),
        (["--episodes", "1001"], "episodes: .*1000.*1001"),
    ],
)
def test_a_check_plays_the_stored_episodes_only(arguments, message, capsys):
    assert main(["evaluate", "adp-LotSizing-15x5", "--check", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_fewer_episodes_are_allowed_more():
    stored = zoo.read("adp-LotSizing-15x5").evaluation
    half = (stored.cost[2] - stored.cost[1]) / 2
    assert stored.tolerance(1000) == stored.tolerance(900) == half
    # Four standard errors of the difference between the mean of 10 episodes and that of all 1,000.
    deviation = half / 1.96 * np.sqrt(1000)
    assert stored.tolerance(10) == pytest.approx(
        4 * deviation * np.sqrt(1 / 10 - 1 / 1000), rel=0.03
    )


@each
def test_card_is_what_the_generator_gives(folder):
    model = zoo.read(folder.name)
    assert (folder / CARD).read_text() == card(model), "run python -m benchmarks.model_card"
    # The command of the card is the training that the folder is of.
    words = shlex.split(command(model).replace("\\\n", ""))
    assert words[:2] == ["or-bench", "train"]
    options = build_parser().parse_args(words[1:])
    config = model.config
    assert (options.algo, options.env, options.seed) == (config.algo, config.env, config.seed)
    assert dict(options.env_kwargs) == config.env_kwargs
    given = {**dict(options.hyperparams), "n_timesteps": options.timesteps}
    assert given == config.hyperparams


def test_index_is_what_the_generator_gives():
    assert (ROOT / CARD).read_text() == index([zoo.read(name) for name in zoo.names()])


@pytest.mark.parametrize(
    "folder",
    [
        path
        if path.name.startswith(("hdpo-Single", "bq_nco-Knapsack"))
        else pytest.param(path, marks=pytest.mark.slow)
        for path in FOLDERS
    ],
    ids=lambda folder: folder.name,
)
def test_code_of_the_card_runs(folder, capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```", (folder / CARD).read_text(), re.M | re.S)
    exec(compile(block, folder.name, "exec"), {})
    assert len(capsys.readouterr().out.strip("[]\n").split()) == 2


@each
def test_says_how_it_was_trained(folder):
    config = yaml.safe_load((folder / "config.yml").read_text())
    curve = (folder / "curve.csv").read_text().splitlines()
    # Points are a hundredth of the training apart, but none is in an unfinished episode.
    assert int(curve[-1].split(",")[0]) >= 0.75 * config["hyperparams"]["n_timesteps"]


def test_is_a_contestant_of_suites():
    problem = build_problem("or_envs/LotSizing-v0", {"instance": "15x5"})
    rule = trained(problem, 0, "adp-LotSizing-15x5")
    instance = problem.sample_instances([np.random.default_rng(0)])
    assert rule(instance, problem.initial(instance)).shape == (1, 5)


@pytest.mark.parametrize(
    ("name", "env", "kwargs", "decoder"),
    [
        ("bq_nco-TSP-20", "or_envs/TSP-v0", {"num_cities": 20}, "beam:4"),
        (
            "gnn_ppo-JobShop-10x5",
            "or_envs/JobShop-v0",
            {"instance": "LA01", "blocking": "swap"},
            "samples:8:3",
        ),
    ],
)
def test_searches_are_solvers_that_do_better_than_the_agent_alone(name, env, kwargs, decoder):
    problem = build_problem(env, kwargs)
    instance, _ = or_envs.sample(problem, 0, 1)
    found = TrainedSearch(problem, 0, name, decoder).solve(instance)
    played = or_envs.simulate(problem, found.actions[None], instance)
    assert -played.total_reward[0] == pytest.approx(found.objective)
    alone = or_envs.simulate(problem, trained(problem, 0, name), instance)
    assert found.objective <= -alone.total_reward[0] + 1e-6


def test_names_what_is_wrong_with_a_search():
    problem = build_problem("or_envs/TSP-v0", {"num_cities": 20})
    with pytest.raises(UserError, match="decoder: expected greedy"):
        TrainedSearch(problem, 0, "bq_nco-TSP-20", "depth:4")
    lots = build_problem("or_envs/LotSizing-v0", {"instance": "15x5"})
    with pytest.raises(UserError, match="'adp-LotSizing-15x5' has no searches"):
        TrainedSearch(lots, 0, "adp-LotSizing-15x5", "greedy")


def test_an_agent_of_any_size_plays_other_sizes():
    problem = build_problem("or_envs/TSP-v0", {"num_cities": 9})
    instance, _ = or_envs.sample(problem, 0, 1)
    alone = or_envs.simulate(problem, trained(problem, 0, "bq_nco-TSP-20"), instance)
    greedy = TrainedSearch(problem, 0, "bq_nco-TSP-20", "greedy").solve(instance)
    assert greedy.objective == pytest.approx(-alone.total_reward[0])
    assert sorted(greedy.actions) == list(range(1, 9))


@pytest.mark.parametrize(
    ("env", "kwargs", "name", "message"),
    [
        ("CVRP", {}, "bq_nco-TSP-20", "is a model for TSP, got CVRP"),
        ("TSP", {"mode": "direct"}, "bq_nco-TSP-20", "is a model for mode 'bq', got 'direct'"),
        ("LotSizing", {"instance": "20x10"}, "adp-LotSizing-15x5", "for the observation_space"),
    ],
)
def test_an_agent_is_refused_where_it_cannot_play(env, kwargs, name, message):
    problem = build_problem(f"or_envs/{env}-v0", kwargs)
    with pytest.raises(UserError, match=message):
        trained(problem, 0, name)


def test_a_model_checks_the_problem_before_it_searches():
    problem = build_problem("or_envs/TSP-v0", {"num_cities": 9})
    model = load_model(zoo.find_folder("bq_nco-TSP-20") / MODEL, None, problem)
    routes = build_problem("or_envs/CVRP-v0", {})
    with pytest.raises(ValueError, match="is a model for TSP, got CVRP"):
        model.searcher(routes, "greedy")
    with pytest.raises(ValueError, match="is a model for TSP, got CVRP"):
        model.decision_rule(routes)


def test_refuses_another_environment(capsys):
    folder = str(FOLDERS[0])
    assert main(["evaluate", folder, "--env-kwargs", "instance:VI-A"]) == 2
    assert "observation_space" in capsys.readouterr().err


def test_a_baseline_needs_an_environment(capsys):
    assert main(["evaluate", "lot_sizing/idle"]) == 2
    assert "--env" in capsys.readouterr().err
