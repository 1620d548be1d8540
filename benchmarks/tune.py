"""Tunes an agent on an environment with optuna.

Every configuration is trained with the same seeds and judged on the same episodes, none of which
suites use; the first is the hyper-parameter file's own. The one with the lowest mean cost is
written as a section of a hyper-parameter file, and all of them as a CSV file.

optuna chooses and remembers in this process; every configuration is trained in a process of its
own, which sends what the agent costs.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import multiprocessing
import shutil
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import problems
from benchmarks.cells import Cell, cells_of, hyperparameters_of
from benchmarks.config import ContestantConfig, ProblemConfig, SuiteConfig
from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.files import slug, write_atomically
from benchmarks.hyperparameters import load
from benchmarks.processes import become_worker, one_thread
from benchmarks.spaces import Space, distributions, load_space, own_params, settings

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

#: Suites use episodes from 1,000,000 on, and training seed s plays episodes from 1000 s on.
FIRST_SEED = 3000
FIRST_EPISODE_SEED = 2_000_000
EPISODES = 100
#: Evaluations of every training where a pruner wants them; the last is the final one.
EVALUATIONS = 4
#: Configurations that are drawn at random, and never pruned, before optuna has an opinion.
STARTUP_TRIALS = 5


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What is tuned, and with what budget.

    Attributes
    ----------
    algorithm, env_id, env_kwargs
        Agent and environment.
    fixed
        Hyper-parameters that are not tuned.
    timesteps
        Budget of one training.
    seeds
        Trainings of one configuration.
    """

    algorithm: str
    env_id: str
    env_kwargs: Mapping[str, Any]
    fixed: Mapping[str, Any]
    timesteps: int
    seeds: int

    def space(self) -> Space:
        """What is drawn: the agent's space without what is fixed."""
        space = load_space(self.algorithm, self.env_id)
        return {name: law for name, law in space.items() if name not in self.fixed}

    def cells(self, drawn: Mapping[str, Any]) -> list[Cell]:
        """The trainings of a configuration, one per seed."""
        contestant = ContestantConfig(
            self.algorithm,
            settings={**self.fixed, **drawn},
            seeds=tuple(range(FIRST_SEED, FIRST_SEED + self.seeds)),
            timesteps=self.timesteps,
        )
        problem = ProblemConfig(self.env_id, (contestant,), dict(self.env_kwargs), EPISODES)
        name = f"tune-{self.algorithm}-{slug(self.env_id)}"
        return cells_of(SuiteConfig((problem,), name, FIRST_EPISODE_SEED))


#: (connection, trainings of one configuration, folder, evaluations) -> None.
Work = Callable[[Connection, list[Cell], Path, int], None]


def tune(
    tuning: Tuning,
    trials: int,
    sampler: str,
    pruner: str,
    storage: str,
    workers: int,
    output: Path,
    work: Work | None = None,
) -> None:
    """Try configurations until there are ``trials``, and write the best.

    What is in the storage already counts; configurations that a kill left unfinished go on where
    their trainings have checkpoints. Only one search at a time may use a storage.

    Parameters
    ----------
    sampler
        "tpe" or "random".
    pruner
        "none", "median" or "halving".
    storage
        URL of a database, or path of a journal.
    workers
        Configurations side by side.
    output
        The section; beside it ``.csv``, the configurations, and, in a folder, the trainings.
    work
        What the process of a configuration does (default: :func:`train_and_play`).

    Raises
    ------
    UserError
        If something does not exist or does not fit, or no configuration has succeeded.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = tuning.space()
    first = own_params(space, tuning.algorithm, tuning.env_id, tuning.fixed)
    tuning.cells(settings(space, first))  # bad input is found before there are files
    study = _study(tuning, space, storage, make_pruner(pruner))
    for unfinished in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(unfinished.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(unfinished.params)
    if not study.trials:
        study.enqueue_trial(first)
    evaluations = 1 if pruner == "none" else EVALUATIONS
    running: dict[Any, _Running] = {}
    try:
        while True:
            while len(running) < workers and (number := len(_tried(study))) < trials:
                # What is drawn depends on this number and on the costs, not on a state of the
                # sampler, which a killed search would forget.
                study.sampler = make_sampler(sampler, number, workers)
                trial = study.ask(distributions(space))
                cells = tuning.cells(settings(space, trial.params))
                started = _Running(
                    trial, cells, output.with_suffix(""), evaluations, work or train_and_play
                )
                running[started.connection] = started
            if not running:
                break
            for connection in wait(list(running)):
                if running[connection].over(study):
                    ended = running.pop(connection).trial
                    _write_trials(study, space, output.with_suffix(".csv"))
                    for number, tried in enumerate(_tried(study)):
                        if tried.number == ended.number:
                            print(_line(tried, number), flush=True)
    finally:
        for process in running.values():
            process.stop()
    _write_best(study, space, tuning, output)


def make_sampler(name: str, seed: int, workers: int = 1) -> BaseSampler:
    """What chooses the configuration with the number ``seed``."""
    from optuna import samplers

    if name == "random":
        return samplers.RandomSampler(seed)
    return samplers.TPESampler(
        n_startup_trials=STARTUP_TRIALS, seed=seed, constant_liar=workers > 1
    )


def make_pruner(name: str) -> BasePruner:
    """What gives up configurations on the way, as in rl-zoo3."""
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=EVALUATIONS // 3)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    return pruners.NopPruner()


def _study(tuning: Tuning, space: Space, storage: str, pruner: BasePruner) -> Study:
    """The study in a storage, a new one or that of the same tuning."""
    import optuna
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    place: Any = storage
    try:
        if "://" not in storage:
            Path(storage).parent.mkdir(parents=True, exist_ok=True)
            place = optuna.storages.JournalStorage(JournalFileBackend(storage))
        name = f"{tuning.algorithm}-{tuning.env_id}"
        study = optuna.create_study(
            storage=place, study_name=name, pruner=pruner, load_if_exists=True
        )
    except (SQLAlchemyError, OSError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"storage: expected a journal of optuna or sqlite:///FILE, got {storage!r}: {reason}"
        ) from error
    own = load(tuning.algorithm, tuning.env_id, tuning.fixed).flat()
    asked = {**dataclasses.asdict(tuning), "space": space, "hyperparameters": own}
    known = study.user_attrs
    for field, value in asked.items():
        if field not in known:
            study.set_user_attr(field, value)
        elif known[field] != value:
            raise UserError(
                f"{field}: the search in {storage} has {known[field]!r}, got {value!r};"
                " for another search give another --output and --storage"
            )
    return study


def _tried(study: Study) -> list[FrozenTrial]:
    """Trials in the order in which they began, without those that a kill left unfinished."""
    from optuna.trial import TrialState

    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.WAITING
        and (trial.state != TrialState.FAIL or "reason" in trial.user_attrs)
    ]


class _Running:
    """One configuration in its process."""

    def __init__(
        self, trial: Trial, cells: list[Cell], folder: Path, evaluations: int, work: Work
    ) -> None:
        self.trial = trial
        self.trainings = [folder / cell.stem for cell in cells]
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_work, args=(work, other, cells, folder, evaluations)
        )
        with one_thread():
            self.process.start()
        other.close()  # the process holds the only other end: its death is the end of the pipe

    def over(self, study: Study) -> bool:
        """Take what the process has sent; whether it has ended, or is given up."""
        from optuna.trial import TrialState

        try:
            sent = self.connection.recv()
        except EOFError:
            self.process.join()
            sent = f"the process died with exit code {self.process.exitcode}"
        if isinstance(sent, tuple):
            step, cost = sent
            self.trial.report(cost, step)
            if not self.trial.should_prune():
                return False
            study.tell(self.trial, state=TrialState.PRUNED)
            self.stop()
            for training in self.trainings:  # checkpoints may be large
                shutil.rmtree(training, ignore_errors=True)
            return True
        if isinstance(sent, list) and not np.isfinite(sent).all():
            sent = f"costs: expected finite numbers, got {sent}"
        if isinstance(sent, str):
            self.trial.set_user_attr("reason", sent)
            study.tell(self.trial, state=TrialState.FAIL)
        else:
            self.trial.set_user_attr("costs", sent)
            study.tell(self.trial, float(np.mean(sent)))
        self.stop()
        return True

    def stop(self) -> None:
        """End the process at once; its files are safe, for they are written atomically."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(work: Work, connection: Connection, cells: list[Cell], folder: Path, num: int) -> None:
    """What a process does; what goes wrong is sent as text, and its traceback is in the log."""
    become_worker(folder / "logs" / f"{cells[0].hash}.log")
    try:
        work(connection, cells, folder, num)
    except Exception as error:
        traceback.print_exc()
        connection.send(" ".join(f"{type(error).__name__}: {error}".split()))


def train_and_play(
    connection: Connection, cells: list[Cell], folder: Path, evaluations: int
) -> None:
    """Train and judge a configuration, seed after seed.

    Sends the list of the seeds' mean costs. With ``evaluations`` > 1 it sends before that, at the
    same steps for every configuration, (step, mean cost over the seeds so far).
    """
    import or_envs
    from benchmarks.milestones import Milestones
    from benchmarks.training import train

    problem = problems.build_problem(cells[0].env_id, cells[0].env_kwargs)
    episodes = or_envs.sample(problem, cells[0].first_episode_seed, cells[0].episodes)

    def cost(model: Any) -> float:
        played = evaluate(problem, or_envs.policy_rule(problem, model), *episodes)
        assert played.costs is not None
        return float(played.costs.mean())

    costs: list[float] = []

    def tell(part: int, value: float) -> None:
        connection.send((len(costs) * evaluations + part, float(np.mean([*costs, value]))))

    for cell in cells:
        values = hyperparameters_of(cell.contestant, cell.env_id)
        work = folder / cell.stem
        milestones = None
        if evaluations > 1:
            milestones = Milestones(
                work / "milestones.json", evaluations, values.n_timesteps, cost, tell
            )
        model = train(
            cell.contestant.name,
            cell.env_id,
            cell.env_kwargs,
            cell.seed,
            values,
            work,
            callback=milestones,
        ).model
        final = cost(model)
        if evaluations > 1 and cell is not cells[-1]:
            tell(evaluations, final)
        costs.append(final)
    connection.send(costs)


def _line(trial: FrozenTrial, number: int) -> str:
    """One configuration, for the terminal."""
    state = trial.state.name.lower()
    if trial.values:
        return f"configuration {number}: cost {trial.value:.6g}"
    if trial.intermediate_values and state == "pruned":
        last = max(trial.intermediate_values)
        return f"configuration {number}: pruned with cost {trial.intermediate_values[last]:.6g}"
    return f"configuration {number}: {state}: {trial.user_attrs.get('reason', '')}"


def _write_trials(study: Study, space: Space, path: Path) -> None:
    """All configurations in a CSV file; the cost of one that was pruned is its last."""
    text = io.StringIO()
    seeds = range(FIRST_SEED, FIRST_SEED + study.user_attrs["seeds"])
    columns = ["configuration", "state", "cost", *(f"cost_{seed}" for seed in seeds)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "steps", *space, "reason"])
    for number, trial in enumerate(_tried(study)):
        cost = trial.value
        if cost is None and trial.intermediate_values:
            cost = trial.intermediate_values[max(trial.intermediate_values)]
        costs = trial.user_attrs.get("costs", [None] * len(seeds))
        drawn = [
            json.dumps(value) if isinstance(value, dict | list) else value
            for value in settings(space, trial.params).values()
        ]
        steps = max(trial.intermediate_values, default=None)
        reason = trial.user_attrs.get("reason")
        writer.writerow([number, trial.state.name.lower(), cost, *costs, steps, *drawn, reason])
    write_atomically(path, text.getvalue())


def _write_best(study: Study, space: Space, tuning: Tuning, path: Path) -> None:
    import yaml

    tried = _tried(study)
    try:
        best = study.best_trial
    except ValueError:
        reasons = [trial.user_attrs["reason"] for trial in tried if "reason" in trial.user_attrs]
        raise UserError(f"no configuration has succeeded; the last: {reasons[-1]}") from None
    section = {tuning.env_id: {**tuning.fixed, **settings(space, best.params)}}
    head = (
        f"# The best of {len(tried)} configurations, mean over {tuning.seeds} seeds of"
        f" {tuning.timesteps} steps. For hyperparameters/{tuning.algorithm}.yml.\n"
    )
    write_atomically(path, head + yaml.safe_dump(section, sort_keys=False))
    print(f"best: cost {best.value:.6g}, written: {path}")
