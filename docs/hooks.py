"""Fills in what the code knows while mkdocs builds the pages, and sets formulas.

A comment such as ``<!-- environment LotSizing -->`` in a page stands for facts: spaces, arguments
with their defaults, who plays, who comes trained. They are read from the code, so that no page can
contradict it. :data:`MARKERS` lists the kinds. Formulas become MathML, which browsers draw without
scripts and without a network.
"""

from __future__ import annotations

import functools
import html
import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import yaml

import benchmarks
from agents.registration import TABLE as AGENTS
from agents.registration import agent_class
from baselines.registration import TABLE as BASELINES
from or_envs.registration import TABLE as PROBLEMS
from or_envs.registration import make_problem

BENCHMARKS = Path(benchmarks.__file__).parent

#: Environments by the names of their pages: "LotSizing" -> "or_envs/LotSizing-v0".
IDS = {id.partition("/")[2].removesuffix("-v0"): id for id in PROBLEMS}

#: Pages of classes that docstrings name, beside the environments' own.
PAGES = {"InventoryNetwork": "inventory-networks"} | {name: name for name in IDS}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page (called by mkdocs)."""
    return expand(markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Replace the formulas of a page by MathML (called by mkdocs)."""
    return FORMULA.sub(_mathml, html)


def expand(markdown: str) -> str:
    """Replace every marker by its facts.

    Raises
    ------
    KeyError
        If a marker names nothing that is registered.
    """
    kinds = "|".join(MARKERS)
    return re.sub(rf"<!-- ({kinds})(?: (\w+))? -->", _facts, markdown)


def _facts(marker: re.Match[str]) -> str:
    kind, name = marker.groups()
    return MARKERS[kind](*([name] if name else [])).rstrip()


# ---- environments -------------------------------------------------------------------------------


def environments() -> str:
    """One row for every id."""
    rows = []
    for name, id in IDS.items():
        summary = _markdown(_docstring(PROBLEMS[id])).partition("\n\n")[0]
        rows.append((f"[{name}]({name}.md)", summary.replace("\n", " ")))
    return _table(("`or_envs/...-v0`", ""), rows)


def environment(name: str) -> str:
    """What the class says of itself, its spaces and its arguments."""
    id = IDS[name]
    problem = make_problem(id)
    steps = "terminated" if problem.ends == "terminated" else "truncated after that"
    facts = [
        ("id", f"`{id}`"),
        ("class", f"`{PROBLEMS[id].replace(':', '.')}`"),
        ("action space", _space(problem.action_space)),
        ("observation space", _space(problem.observation_space)),
        ("steps of an episode", f"at most {problem.max_steps}, {steps}"),
        ("array libraries", ", ".join(f"`{library}`" for library in problem.backends)),
    ]
    if problem.option_keys:
        keys = ", ".join(f"`{key}`" for key in problem.option_keys)
        facts.append(("`reset(options=...)`", keys))
    about = _markdown(_docstring(PROBLEMS[id]))
    return "\n\n".join(
        (
            about,
            _table(("with default arguments", ""), facts),
            "## Arguments",
            _arguments(PROBLEMS[id]),
        )
    )


def problem(name: str) -> str:
    """What a class says that several environments share."""
    shared = {"InventoryNetwork": "or_envs.inventory.problem:InventoryNetwork"}
    return _markdown(_docstring(shared[name]))


def players(name: str) -> str:
    """Baselines, suites and trained agents of an environment."""
    id = IDS[name]
    family = PROBLEMS[id].split(".")[1]
    lines = [f"[Baselines](../baselines/{family}.md) have names `{family}/...`."]
    rows = []
    for suite, problems in _suites().items():
        mine = [problem for problem in problems if problem["env_id"] == id]
        names = dict.fromkeys(_contestant(c) for problem in mine for c in problem["contestants"])
        if mine:
            rows.append((f"`{suite}`", ", ".join(names)))
    if rows:
        lines += ["", _table(("suite", "who plays in it"), rows)]
    else:
        lines.append("No suite has this environment.")
    trained = [folder for folder, config in _trained().items() if config["env"] == id]
    if trained:
        lines += ["", "Trained agents that come with the package:", "", _trained_table(trained)]
    return "\n".join(lines)


# ---- agents -------------------------------------------------------------------------------------


def agents() -> str:
    """One row for every agent."""
    rows = []
    for name, path in sorted(AGENTS.items()):
        summary = _markdown(_own_docstring(agent_class(name))).partition("\n\n")[0]
        page = f"{path.split('.')[1]}.md"
        rows.append((f"[`{name}`]({page})", f"`{path.replace(':', '.')}`", summary))
    return _table(("name", "class", ""), [tuple(c.replace("\n", " ") for c in r) for r in rows])


def agent(name: str) -> str:
    """The arguments of an agent, its hyper-parameter file and its trained models."""
    lines = [f"`{AGENTS[name].replace(':', '.')}`", "", _arguments(AGENTS[name])]
    settings = BENCHMARKS / "hyperparameters" / f"{name}.yml"
    if settings.exists():
        sections = yaml.safe_load(settings.read_text(encoding="utf-8"))
        listed = ", ".join(f"`{section}`" for section in sections)
        lines += ["", f"`benchmarks/hyperparameters/{name}.yml` has settings for {listed}."]
    trained = [folder for folder, config in _trained().items() if config["algo"] == name]
    if trained:
        lines += ["", "Trained, in the package:", "", _trained_table(trained)]
    return "\n".join(lines)


# ---- baselines ----------------------------------------------------------------------------------


def families() -> str:
    """One row for every family of baselines."""
    rows = []
    for family in dict.fromkeys(name.partition("/")[0] for name in BASELINES):
        names = [name.partition("/")[2] for name in BASELINES if name.startswith(f"{family}/")]
        rows.append((f"[{family}]({family}.md)", ", ".join(f"`{name}`" for name in names)))
    return _table(("family", "baselines"), rows)


def baselines(family: str) -> str:
    """Settings of every baseline of a family."""
    rows = []
    for name, path in BASELINES.items():
        if name.startswith(f"{family}/"):
            settings = [
                f"`{parameter.name}={parameter.default!r}`"
                for parameter in _parameters(_load(path))
                if parameter.name not in ("problem", "seed", "progress")
            ]
            rows.append((f"`{name}`", ", ".join(settings), f"`{path.partition(':')[0]}`"))
    if not rows:
        raise KeyError(family)
    return _table(("name", "settings", "module"), rows)


#: Kinds of markers, and what writes their text.
MARKERS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        environments,
        environment,
        problem,
        players,
        agents,
        agent,
        families,
        baselines,
    )
}


# ---- reading ------------------------------------------------------------------------------------


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _docstring(path: str) -> str:
    return inspect.getdoc(_load(path)) or ""


def _own_docstring(thing: Any) -> str:
    """The docstring that a class does not inherit."""
    return inspect.cleandoc(thing.__doc__ or "")


def _parameters(thing: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(thing).parameters.values())


@functools.cache
def _suites() -> dict[str, list[dict[str, Any]]]:
    files = sorted((BENCHMARKS / "suites").glob("*.yml"))
    return {f.stem: yaml.safe_load(f.read_text(encoding="utf-8"))["problems"] for f in files}


def _contestant(contestant: dict[str, Any]) -> str:
    """The name of a contestant, or the label where the name is that of a function."""
    name = contestant["name"]
    return f"`{contestant.get('label', name) if ':' in name else name}`"


@functools.cache
def _trained() -> dict[str, dict[str, Any]]:
    files = sorted((BENCHMARKS / "trained").glob("*/config.yml"))
    return {f.parent.name: yaml.safe_load(f.read_text(encoding="utf-8")) for f in files}


def _trained_table(folders: Iterable[str]) -> str:
    rows = []
    for folder in folders:
        text = (BENCHMARKS / "trained" / folder / "evaluation.yml").read_text(encoding="utf-8")
        figures = yaml.safe_load(text)
        mean, low, high = figures["cost"]
        command = f"or-bench evaluate {folder} --episodes {figures['episodes']}"
        rows.append((f"`{folder}`", f"{mean:.6g} ({low:.6g} to {high:.6g})", f"`{command}`"))
    return _table(("folder", "mean cost, 95 % interval", "command"), rows)


# ---- writing ------------------------------------------------------------------------------------


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    cells = ((cell.replace("|", "&#124;") for cell in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _space(space: gym.Space[Any]) -> str:
    if isinstance(space, gym.spaces.Dict):
        return ", ".join(f"{key}: {_space(part)}" for key, part in space.items())
    if isinstance(space, gym.spaces.Box):
        low, high = (
            f"{ends.min():g}" if np.all(ends == ends.flat[0]) else f"{ends.min():g}..{ends.max():g}"
            for ends in (space.low, space.high)
        )
        return f"`Box({low}, {high}, {space.shape}, {space.dtype})`"
    return f"`{space}`"


def _sections(docstring: str) -> dict[str, str]:
    """The sections of a numpydoc docstring; what comes before the first is under ""."""
    parts = re.split(r"(?m)^(\w+)\n-{3,}\n", docstring)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _markdown(docstring: str) -> str:
    """The text of a docstring, less its sections."""
    text = _inline(re.sub(r"::\n", ":\n", _sections(docstring)[""])).strip()
    # Markdown would count on where bullets follow numbers.
    return re.sub(r"(?m)(^\d+\. .*(?:\n +.*)*)\n\n(?=- )", r"\1\n\n<!-- -->\n\n", text)


def _inline(text: str) -> str:
    """Roles of reStructuredText become code, and links where an environment is meant."""

    def role(match: re.Match[str]) -> str:
        target = match[1].removeprefix("~")
        name = target.rpartition(".")[2]
        return f"[`{name}`]({PAGES[name]}.md)" if name in PAGES else f"`{target}`"

    return re.sub(r":\w+:`([^`]+)`", role, text)


def _arguments(path: str) -> str:
    """Arguments of a class with defaults and meaning, from signature and docstring."""
    thing = _load(path)
    text = _sections(_own_docstring(thing)).get("Parameters", "")
    defaults = {parameter.name: parameter.default for parameter in _parameters(thing)}
    rows = []
    for entry in re.split(r"(?m)^(?=\S)", text):
        names, _, meaning = entry.partition("\n")
        if not names:
            continue
        cells = []
        for name in names.split(", "):
            default = defaults.get(name, inspect.Parameter.empty)
            known = default is not inspect.Parameter.empty
            cells.append(f"`{name}={default!r}`" if known else f"`{name}`")
        rows.append((", ".join(cells), _inline(" ".join(meaning.split()))))
    return _table(("argument", "meaning"), rows) if rows else ""


FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S
)  # what pymdownx.arithmatex makes of $...$ and $$...$$


def _mathml(formula: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    display = "block" if formula[2] == "[" else "inline"
    mathml = convert(html.unescape(formula[3]), display=display)
    if "\\" in mathml:
        raise ValueError(f"formula: the converter does not know all of {formula[3]!r}")
    return f'<{formula[1]} class="formula">{mathml}</{formula[1]}>'
