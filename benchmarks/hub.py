"""Models in the layout of a Hugging Face repository, on disk; nothing here uses the network.

``README.md`` is the model card with its front matter, ``config.json`` the training's settings,
``results.json`` the evaluation with rl-zoo3's keys, ``model.safetensors`` the model; the training
curve comes along.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import zoo
from benchmarks.errors import UserError
from benchmarks.files import write_atomically
from benchmarks.model_card import CARD, card, rewards
from benchmarks.training import MODEL
from benchmarks.zoo import CONFIG, CURVE, EVALUATION, TrainedModel

_CONFIG, _RESULTS = "config.json", "results.json"
_CURVES = (CURVE, "curve.png")


def export_model(model: TrainedModel, folder: Path) -> None:
    """Write a model into a new folder, all of it or nothing.

    Raises
    ------
    UserError
        If the folder is there and not empty, or the model's file is missing.
    """
    if not (model.folder / MODEL).is_file():
        raise UserError(f"model: {model.folder} has no {MODEL}")
    config, stored = model.config, model.evaluation
    mean, std = rewards(model)
    results = {
        "mean_reward": mean,
        "std_reward": std,
        "is_deterministic": True,
        "n_eval_episodes": stored.episodes,
        # What rl-zoo3 has no words for; import restores evaluation.yml from it.
        "evaluation": vars(stored),
    }
    with _new_folder(folder) as part:
        write_atomically(part / CARD, card(model))
        write_atomically(part / _CONFIG, _json(vars(config)))
        write_atomically(part / _RESULTS, _json(results))
        _copy(model.folder, part, (MODEL, *_CURVES))


def import_model(source: Path, folder: Path) -> TrainedModel:
    """Check what :func:`export_model` wrote and make of it a folder that all commands take.

    Every file is read as data: JSON, CSV and safetensors.

    Raises
    ------
    UserError
        If there is a file that may hold pickles, one is missing or damaged, environment or
        hyper-parameters are unknown here, the model does not fit its environment, or the new
        folder is there and not empty.
    """
    if not source.is_dir():
        raise UserError(f"folder: no folder {source}")
    for path in sorted(source.rglob("*")):
        zoo.refuse_pickle(path, "folder")
    for name in (_CONFIG, _RESULTS, MODEL):
        if not (source / name).is_file():
            raise UserError(f"folder: {source} has no {name}, so or-bench export did not make it")
    config, results = (_read_json(source / name) for name in (_CONFIG, _RESULTS))
    if not isinstance(results, dict) or "evaluation" not in results:
        raise UserError(f"{source / _RESULTS}: field 'evaluation' is missing")
    model = zoo.check(source.resolve().name, source, config, results["evaluation"])
    _check_weights(model)
    with _new_folder(folder) as part:
        _write_yaml(part / CONFIG, config)
        _write_yaml(part / EVALUATION, results["evaluation"])
        _copy(source, part, (MODEL, *_CURVES))
    return model


def _check_weights(model: TrainedModel) -> None:
    from benchmarks.players import load_model
    from benchmarks.problems import build_problem

    problem = build_problem(model.evaluation.env, model.evaluation.env_kwargs)
    load_model(model.folder / MODEL, model.config.algo, problem)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``folder`` if nothing fails."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"output: {folder} is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        part.replace(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _copy(source: Path, folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _json(data: Any) -> str:
    return json.dumps(data, indent=2) + "\n"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from error


def _write_yaml(path: Path, data: Any) -> None:
    import yaml

    write_atomically(path, yaml.safe_dump(data, sort_keys=False))
