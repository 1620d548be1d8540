"""Model cards of the zoo and its index page, made from the files in the models' folders.

``python -m benchmarks.model_card`` writes them anew; a test asserts that they are up to date.
"""

from __future__ import annotations

import inspect
import math
import shlex
from collections.abc import Sequence
from typing import Any

from benchmarks import zoo
from benchmarks.config import load_suite, shipped
from benchmarks.files import write_atomically
from benchmarks.problems import build_problem, default_label, problem_class
from benchmarks.recipes import pairs
from benchmarks.training import MODEL
from benchmarks.zoo import TrainedModel

CARD = "README.md"

_ROUTING = "benchmarks.routing_models small large"
#: Who makes the files that an agent imitates.
_LABELS = {
    "or_envs/TSP-v0": _ROUTING,
    "or_envs/ATSP-v0": _ROUTING,
    "or_envs/CVRP-v0": _ROUTING,
    "or_envs/Orienteering-v0": _ROUTING,
    "or_envs/Knapsack-v0": _ROUTING,
    "or_envs/JobShop-v0": "benchmarks.job_shop_models small",
    "or_envs/UAMFleet-v0": "benchmarks.uam_fleet_models default",
}


def card(model: TrainedModel) -> str:
    """Text of a model's ``README.md``: a page after the front matter that the hub reads."""
    from agents.registration import agent_class

    config, stored = model.config, model.evaluation
    agent = agent_class(config.algo)
    mean, low, high = stored.cost
    parts = [
        f"---\n{_yaml(metadata(model))}---",
        f"# {model.name}",
        f"Agent `{config.algo}` for `{config.env}`.",
        f"- The agent: {_summary(agent)}\n- The problem: {_summary(problem_class(config.env))}",
        "## Figure",
        f"Mean cost **{mean:.6g}**, 95 % interval {low:.6g} to {high:.6g}, {_episodes(model)}."
        f"{_unit(model)} One decision took {stored.decision_ms:.3g} ms.",
        _environment(model),
        f"```bash\nor-bench evaluate {model.name} --check   # play these episodes again\n"
        f"or-bench enjoy {model.name}              # draw one\n```",
        "## Use",
        "```python\nimport or_envs\nfrom benchmarks.zoo import load\n\n"
        f'problem, rule = load("{model.name}")\n'
        "outcome = or_envs.simulate(problem, rule, *or_envs.sample(problem, seed=0, num=2))\n"
        "print(-outcome.total_reward / problem.cost_divisor)\n```",
        f'`{agent.__module__}.{agent.__name__}.load("{MODEL}")` gives the Stable-Baselines3'
        f" algorithm. `{MODEL}` holds arrays and JSON; loading it runs no code in it. Of a copy"
        " from a hub, `or-bench import DIR` makes a folder that all commands take.",
        "## Training",
        f"```bash\n{command(model)}\n```",
        f"{_training(model)} Seed {config.seed}.",
        *(["![training curve](curve.png)"] if (model.folder / "curve.png").is_file() else []),
        "## Limitations",
        "\n".join(f"- {line}" for line in _limitations(model)),
        "## Versions",
        f"Trained with {_versions(config.versions)}."
        if config.versions == stored.versions
        else f"Trained with {_versions(config.versions)}; evaluated with"
        f" {_versions(stored.versions)}.",
        "## Licence",
        "MIT, as or-envs.",
    ]
    return "\n\n".join(parts) + "\n"


def metadata(model: TrainedModel) -> dict[str, Any]:
    """Front matter of the card, with the fields that rl-zoo3 and the hub read."""
    config = model.config
    mean, std = rewards(model)
    metric = {
        "type": "mean_reward",
        "name": "mean_reward",
        "value": f"{mean:.6g} +/- {std:.6g}",
        "verified": False,
    }
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"type": model.evaluation.env, "name": model.evaluation.env},
        "metrics": [metric],
    }
    return {
        "library_name": "or-envs",
        "license": "mit",
        "tags": [
            config.env,
            config.algo,
            "deep-reinforcement-learning",
            "reinforcement-learning",
            "operations-research",
            "or-envs",
        ],
        "model-index": [{"name": config.algo, "results": [result]}],
    }


def rewards(model: TrainedModel) -> tuple[float, float]:
    """Mean and standard deviation of an episode's return, as the environment pays it."""
    from scipy.stats import t

    stored = model.evaluation
    divisor = build_problem(stored.env, stored.env_kwargs).cost_divisor
    error = stored.half_width / float(t.ppf(0.975, stored.episodes - 1))
    return -divisor * stored.cost[0], divisor * error * math.sqrt(stored.episodes)


def command(model: TrainedModel) -> str:
    """The command that trains such a model, with every hyper-parameter."""
    config = model.config
    hyperparams = dict(config.hyperparams)
    words = ["or-bench", "train", "--algo", config.algo, "--env", config.env]
    if config.env_kwargs:
        words += ["--env-kwargs", *pairs(config.env_kwargs)]
    words += ["--seed", str(config.seed), "--timesteps", str(hyperparams.pop("n_timesteps"))]
    words += ["--hyperparams", *pairs(hyperparams)]
    text = shlex.join(words)
    for flag in ("--env-kwargs", "--seed", "--hyperparams"):
        text = text.replace(f" {flag} ", f" \\\n  {flag} ")
    return text


def index(models: Sequence[TrainedModel]) -> str:
    """Text of the page that lists the models."""
    lines = [
        "# Trained agents",
        "",
        "Every folder holds the model, its settings, its training curve and its evaluation; the"
        " cards say how it was trained, how to use it and what it cannot do. `or-bench evaluate"
        " NAME --check` plays an evaluation again, `or-bench enjoy NAME` draws an episode.",
        "",
        "| model | environment | cost | 95 % interval | episodes | training steps | s |",
        "|:--|:--|--:|--:|--:|--:|--:|",
    ]
    for model in models:
        config, (mean, low, high) = model.config, model.evaluation.cost
        seconds = "" if model.seconds is None else f"{model.seconds:,.0f}"
        lines.append(
            f"| [{model.name}]({model.name}/{CARD}) | `{config.env}`,"
            f" {default_label(config.env, config.env_kwargs)} | {mean:.6g}"
            f" | {low:.6g} to {high:.6g} | {model.evaluation.episodes:,}"
            f" | {config.hyperparams['n_timesteps']:,} | {seconds} |"
        )
    lines += [
        "",
        "Costs as in the tables; a negative cost is a profit. Training times are those of the"
        " wall clock, without the making of labels. This page and the cards are made by"
        " `python -m benchmarks.model_card`.",
    ]
    return "\n".join(lines) + "\n"


def _summary(thing: Any) -> str:
    """First line of the documentation."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _episodes(model: TrainedModel) -> str:
    stored = model.evaluation
    last = stored.first_seed + stored.episodes - 1
    return f"over the {stored.episodes:,} episodes of the seeds {stored.first_seed} to {last:,}"


def _unit(model: TrainedModel) -> str:
    stored = model.evaluation
    divisor = build_problem(stored.env, stored.env_kwargs).cost_divisor
    text = "" if stored.cost[0] >= 0 else " A negative cost is a profit."
    if divisor != 1:
        text += f" Costs are those of an episode divided by {divisor:,.0f}, as in the tables."
    return text


def _environment(model: TrainedModel) -> str:
    stored = model.evaluation
    given = ", ".join(f"{key}={value!r}" for key, value in stored.env_kwargs.items())
    return f'Environment: `gymnasium.make("{stored.env}"{", " if given else ""}{given})`.'


def _training(model: TrainedModel) -> str:
    from safetensors import safe_open

    with safe_open(model.folder / MODEL, framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    text = f"The model file holds {sum(map(math.prod, shapes)):,} numbers."
    if model.seconds is not None:
        text += (
            f" Training took {model.seconds:,.0f} s by the wall clock, on a machine that was not"
            " recorded"
        )
        text += ", without the making of labels." if "labels" in model.config.hyperparams else "."
    if "labels" in model.config.hyperparams:
        made = _LABELS.get(model.config.env)
        text += " The files named `labels` have to be made first"
        text += f"; `python -m {made}` makes such files." if made else "."
    return text


def _limitations(model: TrainedModel) -> list[str]:
    suites = [name for name in shipped() if _plays(name, model.name)]
    lines = [
        "One training: the interval is one over episodes, and another training may end elsewhere.",
        "It was judged in the environment above only, with these options.",
        "The best of its kind it need not be: rules and solvers may cost less.",
        "The same command ends with these weights only with the versions below, on the same kind of"
        " processor, and not if the agent was changed since.",
    ]
    if suites:
        compare = ", ".join(f"`or-bench leaderboard --suite {name}`" for name in suites)
        lines[2] += f" Beside them: {compare}."
    return lines


def _plays(suite: str, name: str) -> bool:
    return any(
        contestant.settings.get("name") == name
        for problem in load_suite(suite).problems
        for contestant in problem.contestants
    )


def _versions(versions: dict[str, Any]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False)
    return text


def main() -> None:
    """Write the cards of the models that come with the package, and their index."""
    models = [zoo.read(name) for name in zoo.names()]
    for model in models:
        write_atomically(model.folder / CARD, card(model))
    write_atomically(zoo.root() / CARD, index(models))


if __name__ == "__main__":
    main()
