"""Hindsight differentiable policy optimisation (HDPO, arXiv 2306.11246)."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import FloatSchedule, update_learning_rate

from agents.common.best_weights import BestWeights
from agents.common.distributed import add_gradients, share, total
from agents.common.safe_files import SafeFiles
from agents.common.unplayed import Unplayed
from agents.hdpo.gnn import GraphPolicy
from agents.hdpo.mlp import DataDrivenPolicy, MlpPolicy
from agents.hdpo.policies import BaseStock, CappedBaseStock, EchelonStock, NetworkPolicy
from agents.hdpo.quantile import QuantilePolicy
from agents.hdpo.rollout import MeanCost, compiled_cost, eager_cost
from agents.hdpo.scenarios import Scenarios
from agents.hdpo.symmetry import SymmetryAwarePolicy
from agents.hdpo.view import describe
from or_envs.inventory.problem import InventoryNetwork


class HDPO(SafeFiles, Unplayed, BaseAlgorithm):
    """Descend the mean cost of simulated scenarios by its exact gradient through the simulator.

    Demand does not depend on decisions, so the cost of a scenario is a differentiable function of
    the policy's parameters: there is no exploration, no critic and no discount. One update draws a
    minibatch of scenarios, plays ``n_periods`` with the policy, and follows the gradient of

        J(theta) = 1 / (B T n) sum_b sum_t cost_t(theta; scenario b).

    The weights with the lowest cost on the development scenarios, played as the environment plays
    them (whole orders where goods are whole), are those that learning ends with.

    Parameters
    ----------
    policy
        "MlpPolicy", "SymmetryAware", "GNN", "DataDriven", "Quantile", "BaseStock",
        "CappedBaseStock" or "EchelonStock".
    env
        An environment of an inventory network with ``action_mode="orders"``. Only its problem is
        used: scenarios of ``n_periods`` periods are drawn from it.
    learning_rate
        Of Adam.
    decay_at
        Shares of the training after which the learning rate falls to a tenth.
    num_scenarios
        Training scenarios; an epoch plays each once.
    batch_size
        Scenarios of an update.
    n_periods
        Periods of a training scenario; all count.
    max_grad_norm
        The gradient's norm is clipped to this. Without it the first updates, with norms of
        thousands, throw the policy onto the plateau of constant orders.
    dev_scenarios, dev_periods, dev_warm_up
        Development scenarios, their periods, and how many of them at the start do not count.
    dev_every
        Updates between evaluations on them.
    stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3.
    compile_periods
        Fuse chunks of so many periods with ``torch.compile``; 0 does not compile. Compiling takes
        up to minutes, so it is for long trainings.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the environment is no inventory network with orders.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "SymmetryAware": SymmetryAwarePolicy,
        "GNN": GraphPolicy,
        "DataDriven": DataDrivenPolicy,
        "Quantile": QuantilePolicy,
        "BaseStock": BaseStock,
        "CappedBaseStock": CappedBaseStock,
        "EchelonStock": EchelonStock,
    }
    #: Whether several processes can train one model, see :mod:`agents.common.distributed`.
    data_parallel: ClassVar[bool] = True
    policy: NetworkPolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[NetworkPolicy],
        env: GymEnv | str | None,
        learning_rate: float = 0.01,
        decay_at: tuple[float, ...] = (0.7,),
        num_scenarios: int = 32768,
        batch_size: int = 512,
        n_periods: int = 50,
        max_grad_norm: float = 1.0,
        dev_scenarios: int = 1024,
        dev_periods: int = 100,
        dev_warm_up: int = 60,
        dev_every: int = 50,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        compile_periods: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        for name, value in (
            ("num_scenarios", num_scenarios),
            ("batch_size", batch_size),
            ("n_periods", n_periods),
            ("dev_scenarios", dev_scenarios),
            ("dev_periods", dev_periods),
            ("dev_every", dev_every),
        ):
            if value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value}")
        if not 0 <= dev_warm_up < dev_periods:
            raise ValueError(
                f"dev_warm_up: expected an integer in 0..{dev_periods - 1}, got {dev_warm_up}"
            )
        if not 0 <= compile_periods <= n_periods:
            raise ValueError(
                f"compile_periods: expected an integer in 0..{n_periods}, got {compile_periods}"
            )
        if not max_grad_norm > 0:
            raise ValueError(f"max_grad_norm: expected a number > 0, got {max_grad_norm}")
        if not all(0 < share < 1 for share in decay_at):
            raise ValueError(f"decay_at: expected numbers in (0, 1), got {decay_at}")
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
        self.decay_at = tuple(decay_at)
        self.num_scenarios = num_scenarios
        self.batch_size = min(batch_size, num_scenarios)
        self.n_periods = n_periods
        self.max_grad_norm = max_grad_norm
        self.dev_scenarios = dev_scenarios
        self.dev_periods = dev_periods
        self.dev_warm_up = dev_warm_up
        self.dev_every = dev_every
        self.compile_periods = compile_periods
        self._description: dict[str, Any] | None = None
        self._rollout: tuple[Scenarios, MeanCost] | None = None
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        if self.env is not None:
            self._description = describe(self._problem())
        if self._description is None:
            raise ValueError("env: HDPO needs an environment to know the network")
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            network=self._description,
            **self.policy_kwargs,
        )
        self.policy = self.policy.to(self.device)
        self.best = BestWeights(self.policy)

    def _setup_lr_schedule(self) -> None:
        start, steps = float(self.learning_rate), self.decay_at  # type: ignore[arg-type]
        self.lr_schedule = FloatSchedule(
            lambda left: start * 0.1 ** sum(1 - left >= share for share in steps)
        )

    def _problem(self) -> InventoryNetwork:
        assert self.env is not None
        problem = self.env.get_attr("problem")[0]
        if not isinstance(problem, InventoryNetwork):
            raise ValueError(f"env: HDPO needs an inventory network, got {type(problem).__name__}")
        decoder = problem.decoder
        if decoder.mode != "orders" or decoder.normalized:
            raise ValueError(
                "env: HDPO needs action_mode='orders' and normalized=False, got"
                f" {decoder.mode!r} and {decoder.normalized}"
            )
        return problem

    # ---- files ------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Settings of the algorithm, and the description of the network."""
        return {**super().settings(), "network": self._description}

    def restore_settings(self, settings: dict[str, Any]) -> None:
        """Take the description of the network from a file."""
        self._description = settings["network"]

    def run_state(self) -> dict[str, np.ndarray]:
        """The best weights so far and their cost."""
        return self.best.arrays()

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on with the best weights of a checkpoint."""
        self.best.restore(arrays)

    # ---- learning ---------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "HDPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train on ``total_timesteps`` scenario-periods, as many updates as they are enough for."""
        problem = self._problem()
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        seed = 0 if self.seed is None else self.seed
        training = Scenarios(
            problem.with_horizon(self.n_periods), seed, self.num_scenarios, self.device
        )
        development = Scenarios.development(
            problem.with_horizon(self.dev_periods, self.dev_warm_up),
            seed,
            self.dev_scenarios,
            self.device,
        )
        callback.on_training_start(locals(), globals())
        going = True
        while going and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            going = self._train_block(training, total_timesteps, callback)
            self._select(development)
            self._log()
            callback.update_locals(locals())
            callback.on_rollout_end()
        self.best.load_into(self.policy)
        callback.on_training_end()
        return self

    def _train_block(
        self, training: Scenarios, total_timesteps: int, callback: BaseCallback
    ) -> bool:
        """``dev_every`` updates, or as many as are left; false if a callback wants to stop."""
        self.policy.set_training_mode(True)
        costs = []
        for _ in range(self.dev_every):
            if self.num_timesteps >= total_timesteps:
                break
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            rate = self.lr_schedule(self._current_progress_remaining)
            update_learning_rate(self.policy.optimizer, rate)
            start = time.perf_counter()
            cost = self.update(training)
            costs.append(cost)
            self.num_timesteps += self.batch_size * self.n_periods
            seconds = time.perf_counter() - start
            mean = cost * training.store_periods
            # What the training curve reads: the mean episode of the minibatch.
            infos = [{"episode": {"r": -mean, "l": self.n_periods, "t": seconds}}]
            callback.update_locals({"infos": infos, "self": self})
            if not callback.on_step():
                return False
        self.logger.record("train/cost", np.mean(costs))
        self.logger.record("train/learning_rate", rate)
        return True

    def update(self, training: Scenarios) -> float:
        """One step of Adam on a minibatch; returns its cost per store and period."""
        instance, demand = training.minibatch(self._n_updates, self.batch_size)
        part = 1.0
        mine = share(self.batch_size, self.device)
        if mine is not None:
            instance, demand = instance.rows(mine), demand.rows(mine)
            part = len(mine) / self.batch_size
        loss = part * self._mean_cost(training)(instance, demand) / training.store_periods
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        add_gradients(self.policy.parameters())
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._n_updates += 1
        return total(loss.item(), self.device)

    def _mean_cost(self, training: Scenarios) -> MeanCost:
        if self._rollout is None or self._rollout[0] is not training:
            if self.compile_periods:
                cost = compiled_cost(training.problem, self.policy, self.compile_periods)
            else:
                cost = eager_cost(training.problem, self.policy)
            self._rollout = (training, cost)
        return self._rollout[1]

    def _select(self, development: Scenarios) -> None:
        """Keep the weights if no earlier ones cost less on the development scenarios."""
        self.policy.set_training_mode(False)
        cost = development.cost(self.policy)
        self.best.offer(self.policy, -cost)
        self.logger.record("dev/cost", cost)
        self.logger.record("dev/best_cost", -self.best.score)

    def _log(self) -> None:
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)
