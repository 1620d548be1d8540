"""The pages tell the truth: their code runs, their commands exist, nothing is missing.

Python blocks run as they stand, in order. Bash blocks are parsed, and run where no comment
``<!-- not run: REASON -->`` stands before them.
"""

import argparse
import importlib
import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agents.registration import TABLE as AGENTS
from baselines.registration import TABLE as BASELINES
from or_envs.registration import TABLE as PROBLEMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
ENVIRONMENTS = {id.partition("/")[2].removesuffix("-v0"): id for id in PROBLEMS}
BASH = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```bash\n(.*?)^```", re.M | re.S)


def name_of(page):
    return str(page.relative_to(ROOT))


def read(page):
    return page.read_text(encoding="utf-8")


def pages_with(pattern):
    return [page for page in PAGES if re.search(pattern, read(page), re.M)]


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", read(page), re.M | re.S)


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages_with("^```python"), ids=name_of)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": f"{page.stem}_example"}
    for number, block in enumerate(blocks(page), start=1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)


def test_the_own_problem_of_the_readme_is_short():
    example = next(block for block in blocks(ROOT / "README.md") if "class CornerShop" in block)
    assert "check_problem(CornerShop())" in example
    assert len(example.splitlines()) <= 62


def test_every_block_says_its_language():
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", read(page), re.M)
        assert all(fences[::2]), f"{name_of(page)}: a block without a language"
        assert set(fences[::2]) <= {"python", "bash", "text", "yaml"}, name_of(page)


# ---- commands -----------------------------------------------------------------------------------


class Parsed(Exception):  # noqa: N818 -- it says what happened
    """The arguments of a module were fine."""


@pytest.fixture
def check(monkeypatch):
    """A function that fails where a command line does not parse or names what is not there."""
    from benchmarks import cli
    from benchmarks.config import shipped

    parse = argparse.ArgumentParser.parse_args

    def refuse(parser, message):
        raise ValueError(f"{parser.prog}: {message}")

    def stop(parser, *arguments):
        parse(parser, *arguments)
        raise Parsed

    def or_bench(arguments):
        monkeypatch.setattr(cli._Parser, "error", refuse)
        options = vars(cli.build_parser().parse_args(arguments))
        assert options.get("algo") in {None, *AGENTS}
        assert options.get("env") in {None, "ID", *PROBLEMS}
        suite = options.get("suite")
        assert suite is None or suite in shipped() or suite.isupper() or suite.endswith(".yml")
        contestant = options.get("contestant")
        if contestant and "/" in contestant and not contestant.startswith("runs/"):
            assert contestant in BASELINES or (ROOT / contestant).is_dir(), contestant

    def module(name, arguments):
        assert importlib.util.find_spec(name), name
        if not name.startswith("benchmarks."):
            return
        if "ArgumentParser" not in Path(importlib.util.find_spec(name).origin).read_text():
            assert not arguments
            return
        main = importlib.import_module(name).main
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [name, *arguments])
            patch.setattr(argparse.ArgumentParser, "error", refuse)
            patch.setattr(argparse.ArgumentParser, "parse_args", stop)
            with pytest.raises(Parsed):
                main()

    def command(words):
        match words:
            case ["or-bench", *arguments]:
                or_bench(arguments)
            case ["python", "-m", "benchmarks.rl_zoo3" | "rl_zoo3.train", *arguments]:
                given = dict(itertools.pairwise(arguments))
                assert given["--algo"] in AGENTS
                assert given["--env"] in PROBLEMS
            case ["python", "-m", name, *arguments]:
                module(name, arguments)
            case ["python", script, *_]:
                assert (ROOT / script).is_file()
            case ["torchrun", "--nproc-per-node", _, "-m", "benchmarks", *arguments]:
                or_bench(arguments)
            case ["ray", "start", "--head", "--port", _] | ["ray", "start", "--address", _]:
                pass
            case ["make", target]:
                assert f"\n{target}:" in read(ROOT / "Makefile")
            case ["pip", "install", *arguments]:
                project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
                for extra in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
                    assert set(extra.split(",")) <= set(project["optional-dependencies"])
            case _:
                raise AssertionError("of a kind that this test does not know")

    return command


def command_lines(page):
    for _, block in BASH.findall(read(page)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


@pytest.mark.parametrize("page", pages_with("^```bash"), ids=name_of)
def test_commands_parse(page, check):
    for words in command_lines(page):
        try:
            check(words)
        except (ValueError, AssertionError) as error:
            raise AssertionError(f"{name_of(page)}: {shlex.join(words)}: {error}") from error


def test_commands_in_the_text_parse(check):
    """A command may be cut short, such as ``or-bench train``, but not have what there is not."""
    for page in PAGES:
        for code in re.findall(r"(?<!`)`((?:or-bench|python -m) [^`]+)`(?!`)", read(page)):
            words = shlex.split(" ".join(code.split()))
            try:
                check(words)
            except (ValueError, AssertionError) as error:
                if not re.search("arguments are required|expected one argument", str(error)):
                    raise AssertionError(f"{name_of(page)}: {code}: {error}") from error


def runnable(page):
    return [block for reason, block in BASH.findall(read(page)) if not reason]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=name_of)
def test_bash_blocks_run(page, tmp_path):
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")  # paths of trained agents
    script = tmp_path / "bin" / "or-bench"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m benchmarks "$@"\n')
    script.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
    }
    for block in runnable(page):
        subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environment, check=True)


# ---- pages --------------------------------------------------------------------------------------


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page)):
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_has_a_page_with_picture(name):
    text = read(DOCS / "environments" / f"{name}.md")
    picture = DOCS / "environments" / "pictures" / f"{name}.png"
    assert f"](pictures/{name}.png)" in text
    assert 0 < picture.stat().st_size < 60_000
    for section in (
        f"<!-- environment {name} -->",
        "## What is known",
        f"<!-- players {name} -->",
        f"--output {name}.png",
        "## Source",
    ):
        assert section in text, section


def test_pictures_are_small_and_none_is_left_over():
    pictures = list((DOCS / "environments" / "pictures").iterdir())
    assert {picture.stem for picture in pictures} == set(ENVIRONMENTS)
    assert sum(picture.stat().st_size for picture in pictures) < 1_500_000


def test_every_agent_has_a_page():
    for name, path in AGENTS.items():
        text = read(DOCS / "agents" / f"{path.split('.')[1]}.md")
        assert f"<!-- agent {name} -->" in text
        assert "## Algorithm" in text
        assert "## What our measurements say" in text


def test_every_baseline_is_described():
    for name in BASELINES:
        family, _, short = name.partition("/")
        text = read(DOCS / "baselines" / f"{family}.md")
        assert f"`{name}`" in text or f"`{short}`" in text, name
        assert f"<!-- baselines {family} -->" in text


def test_markers_become_facts(hooks):
    for page in PAGES:
        text = hooks.expand(read(page))
        assert not re.search(rf"<!-- ({'|'.join(hooks.MARKERS)})", text), name_of(page)
    assert "`instance='15x5'`" in hooks.expand("<!-- environment LotSizing -->")
    assert "MultiDiscrete([16 16 16 16 16])" in hooks.expand("<!-- environment LotSizing -->")
    assert "`bq_nco-TSP-20`" in hooks.expand("<!-- players TSP -->")
    with pytest.raises(KeyError):
        hooks.expand("<!-- environment NoSuchThing -->")


def test_formulas_become_mathml(hooks):
    pytest.importorskip("latex2mathml")
    html = hooks.on_page_content(r'<div class="arithmatex">\[a &lt; \gamma\]</div>')
    assert "<math" in html
    assert "arithmatex" not in html
    with pytest.raises(ValueError, match="nosuchcommand"):
        hooks.on_page_content(r'<span class="arithmatex">\(\nosuchcommand x\)</span>')
