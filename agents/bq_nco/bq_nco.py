"""Bisimulation-quotiented neural combinatorial optimisation (BQ-NCO, arXiv 2301.03313)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import FloatSchedule, update_learning_rate

from agents.bq_nco import losses
from agents.bq_nco.labels import Labels
from agents.bq_nco.policy import BQPolicy
from agents.bq_nco.reinforce import descend, draw_steps
from agents.bq_nco.relaxation import worth_learning
from agents.bq_nco.search import construct, decoder, reconstruct
from agents.bq_nco.subproblems import SUBPROBLEMS, Draw, Subproblems
from agents.bq_nco.tails import view_of
from agents.common.best_weights import BestWeights
from agents.common.distributed import add_gradients, share, total
from agents.common.safe_files import SafeFiles
from agents.common.search import Search
from agents.common.unplayed import Unplayed
from or_envs.core.problem import AnyProblem
from or_envs.core.simulation import sample

#: Seed of the development instances, far from those of training and evaluation.
_DEVELOPMENT = 6_000_000_000
#: Seed of the first instance whose solutions the policy draws.
_OWN = 4_000_000_000
#: An update by drawn solutions takes about as long as so many others.
_REINFORCED = 100


class BQNCO(SafeFiles, Unplayed, BaseAlgorithm):
    """Imitate good solutions on random tail sub-problems.

    A construction step depends on the tail of the problem only, and the tail is again such a
    problem: so every part of a solution teaches. One update draws sub-problems of one random size
    out of the labels, and descends the cross-entropy of the step that the solution takes next.

    The weights with the best greedy solutions of the development instances are those that learning
    ends with.

    Parameters
    ----------
    policy
        "BQPolicy"; see :class:`agents.bq_nco.policy.BQPolicy` for ``policy_kwargs``.
    env
        An environment of TSP, ATSP, CVRP, Orienteering or Knapsack in mode "bq". Only its problem
        is used: development instances are drawn from it.
    labels
        Files of solved instances (:class:`agents.bq_nco.labels.Labels`; ``python -m
        benchmarks.labels`` makes them with any solver). Every update draws from one of them, so
        that sizes and distributions can be mixed; they may differ from the environment's.
    learning_rate
        Of Adam while imitating, after a linear warm-up; falls to 0 along a cosine.
    warm_up
        Updates of the warm-up.
    tokens
        Tokens of an update: sub-problems times their size.
    largest
        Cities of the largest sub-problem (TSP); 0: as many as the labels have.
    max_grad_norm
        The gradient's norm is clipped to this.
    membership
        Weight of a second loss, the cross-entropy of which nodes the rest of the solution visits
        (Orienteering). What the network must know to choose a step it learns faster if it is told.
    adjacency
        Weight of another loss, the cross-entropy of which nodes come before and after each node in
        the rest of the solution (TSP): every token has something to learn from, not the first one
        alone.
    improve_every
        Updates between improvements of the labels by the policy itself (TSP): random
        re-construction replaces segments that it can shorten. 0: labels stay. With labels from a
        simple heuristic the agent needs no solver.
    reinforce
        Share of the training, at its end, that follows the policy gradient of the policy's own
        solutions of fresh instances, in [0, 1]; see :mod:`agents.bq_nco.reinforce`.
    reinforce_rate
        Learning rate there; falls to 0 along a line.
    groups, group_size
        Instances of such an update, and solutions of each.
    improve_iterations
        Iterations of :func:`agents.bq_nco.search.reconstruct` per improvement.
    dev_instances
        Development instances.
    dev_every
        Updates between evaluations on them.
    stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3.

    Raises
    ------
    ValueError
        If an argument is outside its range, the environment is none of these, or the labels are of
        another problem.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"BQPolicy": BQPolicy}
    #: Whether several processes can train one model, see :mod:`agents.common.distributed`.
    data_parallel: ClassVar[bool] = True
    #: Rollouts between checkpoints; one is ``dev_every`` updates, minutes of work.
    checkpoint_every: ClassVar[int] = 1
    #: What its training curve shows.
    curve_labels: ClassVar[tuple[str, str]] = (
        "sub-problems",
        "cross-entropy of the next step",
    )
    policy: BQPolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[BQPolicy],
        env: GymEnv | str | None,
        labels: Sequence[str] = (),
        learning_rate: float = 1e-3,
        warm_up: int = 200,
        tokens: int = 5000,
        largest: int = 0,
        max_grad_norm: float = 1.0,
        membership: float = 0.0,
        adjacency: float = 0.0,
        improve_every: int = 0,
        improve_iterations: int = 2,
        reinforce: float = 0.0,
        reinforce_rate: float = 2e-4,
        groups: int = 64,
        group_size: int = 8,
        dev_instances: int = 256,
        dev_every: int = 500,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if isinstance(labels, str):
            raise ValueError(f"labels: expected a sequence of files, got the text {labels!r}")
        for name, value, least in (
            ("warm_up", warm_up, 0),
            ("tokens", tokens, 1),
            ("largest", largest, 0),
            ("improve_every", improve_every, 0),
            ("improve_iterations", improve_iterations, 1),
            ("groups", groups, 1),
            ("group_size", group_size, 2),
            ("dev_instances", dev_instances, 1),
            ("dev_every", dev_every, 1),
        ):
            if value < least:
                raise ValueError(f"{name}: expected an integer >= {least}, got {value}")
        if not 0 <= reinforce <= 1:
            raise ValueError(f"reinforce: expected a number in [0, 1], got {reinforce}")
        for name, number in (("membership", membership), ("adjacency", adjacency)):
            if not number >= 0:
                raise ValueError(f"{name}: expected a number >= 0, got {number}")
        for name, number in (("reinforce_rate", reinforce_rate), ("max_grad_norm", max_grad_norm)):
            if not number > 0:
                raise ValueError(f"{name}: expected a number > 0, got {number}")
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
        )
        self.labels = tuple(labels)
        self.warm_up = warm_up
        self.tokens = tokens
        self.largest = largest
        self.max_grad_norm = max_grad_norm
        self.membership = membership
        self.adjacency = adjacency
        self.improve_every = improve_every
        self.improve_iterations = improve_iterations
        self.reinforce = reinforce
        self.reinforce_rate = reinforce_rate
        self.groups = groups
        self.group_size = group_size
        self.dev_instances = dev_instances
        self.dev_every = dev_every
        self._problem_name = ""
        #: Labels that the policy has improved, one per file.
        self._improved: list[torch.Tensor] = []
        #: Whether the policy gradient has begun.
        self._reinforcing = False
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        if self.env is not None:
            problem = self._problem()
            view_of(problem)
            self._problem_name = type(problem).__name__
            for name, only in (
                ("membership", "Orienteering"),
                ("adjacency", "TSP"),
                ("improve_every", "TSP"),
                ("largest", "TSP"),
            ):
                if getattr(self, name) and self._problem_name != only:
                    raise ValueError(
                        f"{name}: expected 0 except for {only}, got {getattr(self, name)}"
                    )
        if not self._problem_name:
            raise ValueError("env: BQNCO needs an environment to know the problem")
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            problem=self._problem_name,
            adjacent=self.adjacency > 0,
            **self.policy_kwargs,
        )
        self.policy = self.policy.to(self.device)
        self.best = BestWeights(self.policy)

    def _setup_lr_schedule(self) -> None:
        start = float(self.learning_rate)  # type: ignore[arg-type]

        def rate(left: float) -> float:
            left = min(max(left, 0.0), 1.0)
            if left <= self.reinforce:
                return self.reinforce_rate * left / max(self.reinforce, 1e-9)
            share = (left - self.reinforce) / (1 - self.reinforce)
            return start * 0.5 * (1 - math.cos(math.pi * share))

        self.lr_schedule = FloatSchedule(rate)

    def _problem(self) -> AnyProblem:
        assert self.env is not None
        problem: AnyProblem = self.env.get_attr("problem")[0]
        if getattr(problem, "mode", "bq") != "bq":
            raise ValueError(f"env: BQNCO needs mode='bq', got {problem.mode!r}")  # type: ignore[attr-defined]
        return problem

    # ---- files ------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Settings of the algorithm, and the name of the problem."""
        return {**super().settings(), "problem": self._problem_name}

    def restore_settings(self, settings: dict[str, Any]) -> None:
        """Take the name of the problem from a file."""
        self._problem_name = settings["problem"]

    def run_state(self) -> dict[str, np.ndarray]:
        """The best weights so far, the phase of training, and labels that the policy improved."""
        arrays = {**self.best.arrays(), "reinforcing": np.array(self._reinforcing)}
        for number, actions in enumerate(self._improved):
            arrays[f"improved.{number}"] = actions.cpu().numpy()
        return arrays

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on with the best weights and the labels of a checkpoint."""
        self.best.restore(arrays)
        self._reinforcing = bool(arrays["reinforcing"])
        self._improved = [
            torch.from_numpy(arrays[name]).to(self.device)
            for name in sorted(arrays)
            if name.startswith("improved.")
        ]

    def decision_rule(self, problem: AnyProblem, deterministic: bool = True) -> Any:
        """Return the rule (instance, state) -> actions, which needs no observations."""
        self.check_problem(problem)
        return self.policy.rule(deterministic)

    def searcher(self, problem: AnyProblem, name: str) -> Search:
        """Return a search with the policy; see :func:`agents.bq_nco.search.decoder` for names."""
        self.check_problem(problem)
        found = decoder(name, self.policy, problem)
        return lambda instance: found(instance.to_torch(self.device)).actions.cpu().numpy()

    def check_problem(self, problem: AnyProblem) -> None:
        """Refuse another problem, or another mode; a model plays instances of any size.

        Raises
        ------
        ValueError
            If it is another.
        """
        if (name := type(problem).__name__) != self._problem_name:
            raise ValueError(f"is a model for {self._problem_name}, got {name}")
        if (mode := getattr(problem, "mode", "bq")) != "bq":
            raise ValueError(f"is a model for mode 'bq', got {mode!r}")

    # ---- learning ---------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "BQNCO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train on ``total_timesteps`` sub-problems."""
        problem = self._problem()
        if not self.labels and self.reinforce < 1:
            raise ValueError("labels: expected at least one file of solved instances, got none")
        files = [Labels.load(path, problem) for path in self.labels]
        self._instances: list[Any] = [
            file.instance.to_torch(self.device, torch.float32) for file in files
        ]
        solutions = self._improved or [
            torch.from_numpy(file.actions).to(self.device) for file in files
        ]
        data = self._cut(solutions)
        development, _ = sample(problem, _DEVELOPMENT, self.dev_instances)
        development = development.to_torch(self.device, torch.float32)
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        going = True
        while going and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            data, going = self._train_block(data, total_timesteps, callback)
            self._select(problem, development)
            self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
            self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
            self.logger.dump(step=self.num_timesteps)
            callback.update_locals(locals())
            callback.on_rollout_end()
        self.best.load_into(self.policy)
        callback.on_training_end()
        return self

    def subproblems(self, labels: Labels) -> Subproblems:
        """Training data of one set of labels, on the device."""
        instance: Any = labels.instance.to_torch(self.device, torch.float32)
        actions = torch.from_numpy(labels.actions).to(self.device)
        return self._subproblems(instance, actions)

    def _cut(self, solutions: list[torch.Tensor]) -> list[Subproblems]:
        self._solutions = solutions
        return [self._subproblems(*pair) for pair in zip(self._instances, solutions, strict=True)]

    def _subproblems(self, instance: Any, actions: torch.Tensor) -> Subproblems:
        limit: dict[str, Any] = {"largest": self.largest} if self.largest else {}
        if self.policy.neighbours:
            limit["neighbours"] = self.policy.neighbours
        if self.policy.trees:
            limit["doubtful"] = True
        return SUBPROBLEMS[self._problem_name](instance, actions, **limit)

    def _train_block(
        self, data: list[Subproblems], total_timesteps: int, callback: BaseCallback
    ) -> tuple[list[Subproblems], bool]:
        """``dev_every`` updates of one phase, or as much work; false if a callback stops."""
        self.policy.set_training_mode(True)
        found: list[float] = []
        # Draws depend on the seed and the number of the update, so that a run can be resumed.
        rng = torch.Generator()
        work = 0
        while work < self.dev_every and self.num_timesteps < total_timesteps:
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            reinforced = self._current_progress_remaining <= self.reinforce
            if reinforced and not self._reinforcing and work:
                break
            work += _REINFORCED if reinforced else 1
            rate = self.lr_schedule(self._current_progress_remaining)
            rate *= min(1.0, (self._n_updates + 1) / (self.warm_up + 1))
            update_learning_rate(self.policy.optimizer, rate)
            start = time.perf_counter()
            rng.manual_seed(((self.seed or 0) << 32) + self._n_updates)
            if reinforced:
                if not self._reinforcing:
                    # Moments of other gradients would set the length of steps for a thousand
                    # updates.
                    self.policy.optimizer.state.clear()
                    self._reinforcing = True
                loss, num = self.update_by_reward(self._n_updates)
            else:
                if (
                    self.improve_every
                    and self._n_updates % self.improve_every == 0 < self._n_updates
                ):
                    data = self._improve(rng)
                number = int(torch.randint(len(data), (), generator=rng))
                draw = data[number].draw(rng, self.tokens)
                loss, num = self.update(draw), draw.state.num
            found.append(loss)
            self.num_timesteps += num
            seconds = time.perf_counter() - start
            # What the training curve reads.
            infos = [{"episode": {"r": -loss, "l": num, "t": seconds}}]
            callback.update_locals({"infos": infos, "self": self})
            if not callback.on_step():
                return data, False
        self.logger.record("train/loss", np.mean(found))
        self.logger.record("train/learning_rate", rate)
        return data, True

    def update(self, draw: Draw) -> float:
        """One step of Adam on a batch of sub-problems; returns the cross-entropy.

        With a relaxation, those are left out that it leaves little to learn from.
        """
        num = draw.state.num
        mine = share(num, self.device)
        if mine is not None:
            draw = draw.rows(mine)
        network, tail = self.policy.network, self.policy.tail(draw.instance, draw.state)
        if self.policy.trees:
            some = worth_learning(tail)
            draw, tail = draw.rows(some), tail.rows(some)
            num = int(total(len(some), self.device))
        with self.policy.half_precision():
            tokens = network.encode(tail)
        scores, actions = network.scores(tokens, tail), tail.actions.flatten(1)
        loss = losses.next_step(scores, actions, draw.targets).sum() / num
        objective = loss
        # Where there are more losses, actions are the numbers of nodes.
        if self.membership:
            assert draw.members is not None
            inside = torch.gather(draw.members, 1, actions)
            odds, open_ = network.membership(tokens), tail.allowed[..., 0]
            each = losses.membership(odds, inside, open_)
            objective = objective + self.membership * each.sum() / num
        if self.adjacency:
            assert draw.places is not None
            places = torch.gather(draw.places, 1, actions)
            each = losses.adjacency(network.adjacency(tokens, tail), places)
            objective = objective + self.adjacency * each.sum() / num
        self.policy.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        self._descend()
        return total(loss.item(), self.device)

    def update_by_reward(self, number: int) -> tuple[float, int]:
        """One step of Adam on the policy gradient of drawn solutions.

        Parameters
        ----------
        number
            Of the update; instances and draws depend on it and on the seed.

        Returns
        -------
        The mean negative log-probability of their steps, and how many steps there were.
        """
        problem = self._problem()
        first = _OWN + (self.seed or 0) % 1000 * 10**6 + number * self.groups
        instance, _ = sample(problem, first, self.groups)
        instance = instance.to_torch(self.device, torch.float32)
        mine = share(self.groups, self.device)
        self.policy.set_training_mode(False)
        torch.manual_seed(first)
        steps, advantages, own = draw_steps(
            self.policy,
            problem,
            instance if mine is None else instance.rows(mine),
            self.group_size,
        )
        self.policy.set_training_mode(True)
        self.policy.optimizer.zero_grad()
        num = int(total(own, self.device))
        surprise = descend(self.policy, steps, advantages.float(), num)
        self._descend()
        return total(surprise, self.device), num

    def _descend(self) -> None:
        """Adam, along the clipped gradient of all processes."""
        add_gradients(self.policy.parameters())
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._n_updates += 1

    def _improve(self, rng: torch.Generator) -> list[Subproblems]:
        """Shorten the labels with the policy as it is."""
        self.policy.set_training_mode(False)
        found = [
            reconstruct(self.policy, instance, actions, self.improve_iterations, rng)
            for instance, actions in zip(self._instances, self._solutions, strict=True)
        ]
        self._improved = [one.actions for one in found]
        mean = torch.cat([one.total_reward for one in found]).mean().item()
        self.logger.record("train/label_reward", mean)
        self.policy.set_training_mode(True)
        return self._cut(self._improved)

    def _select(self, problem: AnyProblem, development: Any) -> None:
        """Keep the weights if no earlier ones do better on the development instances."""
        self.policy.set_training_mode(False)
        reward = construct(self.policy, problem, development).total_reward.mean().item()
        self.best.offer(self.policy, reward)
        self.logger.record("dev/reward", reward)
        self.logger.record("dev/best_reward", self.best.score)
