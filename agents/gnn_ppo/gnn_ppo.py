"""PPO with graph policies (arXiv 2106.01086, 2302.02506), group baselines and a warm start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional as F

from agents.common.best_weights import BestWeights
from agents.common.distributed import add_gradients, processes, share
from agents.common.safe_files import SafeFiles
from agents.common.search import Search
from agents.gnn_ppo.advantages import generalised_advantages, group_advantages
from agents.gnn_ppo.cloning import clone_epoch
from agents.gnn_ppo.demonstrations import Demonstrations
from agents.gnn_ppo.episodes import Decisions, follow, merge, play
from agents.gnn_ppo.masking import choose, entropy
from agents.gnn_ppo.policy import FleetGraphPolicy, GNNPolicy, JobGraphPolicy, JobTokenPolicy
from agents.gnn_ppo.search import decoder
from agents.gnn_ppo.units import clock_of, unit_of
from or_envs.core.problem import AnyProblem
from or_envs.core.sb3 import SB3VecEnv
from or_envs.core.simulation import sample

#: Seed of the development instances, far from those of training and evaluation.
_DEVELOPMENT = 6_000_000_000
#: Keep the draws of training and of cloning apart from those of episodes, which are seeded with one
#: number (numpy takes a seed (s, 0) for s).
_TRAINING, _CLONING = 1, 2


class GNNPPO(SafeFiles, OnPolicyAlgorithm):
    """Proximal policy optimisation (arXiv 1707.06347) of policies that score entities.

    Two baselines:

    - "group": every roll-out plays ``groups`` fresh instances ``group_size`` times each to the end,
      with the same luck, and the advantage of every decision is the return of its episode less the
      mean of its group. There is no critic, and no discount.
    - "critic": ``n_steps`` steps of every environment, a value network, and generalised advantage
      estimates.

    Returns are divided by the instance's own unit (:func:`agents.gnn_ppo.units.unit_of`), so that
    large shops do not outweigh small ones. Decisions with one allowed action are played, but teach
    nothing and are left out.

    Given ``labels``, the policy first imitates their episodes. The weights with the best greedy
    episodes on development instances are those that learning ends with.

    Parameters
    ----------
    policy
        "JobTokens", "JobGraph" or "FleetGraph", by the form of the observations; see
        :mod:`agents.gnn_ppo.job_tokens`, :mod:`agents.gnn_ppo.job_graph` and
        :mod:`agents.gnn_ppo.fleet_graph` for ``policy_kwargs``.
    env
        An :class:`or_envs.core.sb3.SB3VecEnv`. Baseline "group" uses its problem only.
    learning_rate
        Of Adam.
    baseline
        See above.
    groups, group_size
        Baseline "group": instances of a roll-out, and episodes of each.
    n_steps, gae_lambda, vf_coef
        Baseline "critic": as in SB3's PPO.
    critic_learning_rate
        Baseline "critic": of the network for values; ``None``: ``learning_rate``.
    critic_warm_up
        Baseline "critic": first roll-outs from which only the values learn. A policy that was
        imitated is better than what it would learn from values that know nothing.
    gamma
        Discount factor of a step, or of a minute where decisions are any time apart
        (:func:`agents.gnn_ppo.units.clock_of`); baseline "group" needs 1.
    batch_size, n_epochs, clip_range, max_grad_norm
        As in SB3's PPO; a minibatch is ``batch_size`` decisions.
    ent_coef
        Weight of the entropy at first; it falls to a tenth, linearly.
    labels
        Files of :class:`agents.gnn_ppo.demonstrations.Demonstrations`.
    clone_epochs, clone_learning_rate
        Passes over the labels, and the learning rate of the first one; it falls to 0, linearly.
    dev_instances
        Development instances.
    dev_every
        Roll-outs between evaluations on them.
    stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3.

    Raises
    ------
    ValueError
        If an argument is outside its range, the environment is of another class or its
        observations do not suit the policy; in ``learn``, if the labels are of another problem.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "JobTokens": JobTokenPolicy,
        "JobGraph": JobGraphPolicy,
        "FleetGraph": FleetGraphPolicy,
    }
    #: Whether several processes can train one model, see :mod:`agents.common.distributed`.
    data_parallel: ClassVar[bool] = True
    policy: GNNPolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[GNNPolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule = 3e-4,
        baseline: Literal["group", "critic"] = "group",
        groups: int = 32,
        group_size: int = 16,
        n_steps: int = 128,
        gae_lambda: float = 0.98,
        vf_coef: float = 0.5,
        critic_learning_rate: float | None = None,
        critic_warm_up: int = 0,
        gamma: float = 1.0,
        batch_size: int = 2048,
        n_epochs: int = 2,
        clip_range: float = 0.2,
        max_grad_norm: float = 0.5,
        ent_coef: float = 0.01,
        labels: Sequence[str] = (),
        clone_epochs: int = 10,
        clone_learning_rate: float = 1e-3,
        dev_instances: int = 128,
        dev_every: int = 10,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if baseline not in ("group", "critic"):
            raise ValueError(f"baseline: expected 'group' or 'critic', got {baseline!r}")
        if isinstance(labels, str):
            raise ValueError(f"labels: expected a sequence of files, got the text {labels!r}")
        for name, value, least in (
            ("groups", groups, 1),
            ("group_size", group_size, 2),
            ("n_steps", n_steps, 1),
            ("critic_warm_up", critic_warm_up, 0),
            ("batch_size", batch_size, 1),
            ("n_epochs", n_epochs, 1),
            ("clone_epochs", clone_epochs, 1),
            ("dev_instances", dev_instances, 1),
            ("dev_every", dev_every, 1),
        ):
            if value < least:
                raise ValueError(f"{name}: expected an integer >= {least}, got {value}")
        for name, number in (("gamma", gamma), ("gae_lambda", gae_lambda)):
            if not 0 <= number <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {number}")
        if baseline == "group" and gamma != 1:
            raise ValueError(f"gamma: expected 1 with baseline 'group', got {gamma}")
        for name, number in (
            ("clip_range", clip_range),
            ("max_grad_norm", max_grad_norm),
            ("clone_learning_rate", clone_learning_rate),
            ("critic_learning_rate", 1.0 if critic_learning_rate is None else critic_learning_rate),
        ):
            if not number > 0:
                raise ValueError(f"{name}: expected a number > 0, got {number}")
        for name, number in (("ent_coef", ent_coef), ("vf_coef", vf_coef)):
            if not number >= 0:
                raise ValueError(f"{name}: expected a number >= 0, got {number}")
        self.baseline = baseline
        self.groups = groups
        self.group_size = group_size
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.clip_range = clip_range
        self.critic_learning_rate = critic_learning_rate
        self.critic_warm_up = critic_warm_up
        self.labels = tuple(labels)
        self.clone_epochs = clone_epochs
        self.clone_learning_rate = clone_learning_rate
        self.dev_instances = dev_instances
        self.dev_every = dev_every
        self._cloned = False
        super().__init__(
            policy,  # type: ignore[arg-type]
            env,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            gae_lambda=gae_lambda,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        # SB3's roll-out buffer has a fixed number of steps, and keeps those without a choice.
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        if self.env is not None:
            problem = self._problem()
            if problem.ends == "truncated":
                raise ValueError("env: GNNPPO needs episodes that end by themselves, not in time")
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            critic=self.baseline == "critic",
            **self.policy_kwargs,
        ).to(self.device)
        self.best = BestWeights(self.policy)
        self.rollout_buffer = None  # type: ignore[assignment]

    def _native(self) -> SB3VecEnv:
        if not isinstance(self.env, SB3VecEnv):
            raise ValueError(
                f"env: GNNPPO needs or_envs.core.sb3.SB3VecEnv, got {type(self.env).__name__}"
            )
        return self.env

    def _problem(self) -> AnyProblem:
        return self._native().vector_env.batch.problem

    # ---- files ------------------------------------------------------------------------------

    def run_state(self) -> dict[str, np.ndarray]:
        """The best weights so far and their score, and whether labels have been imitated."""
        return {**self.best.arrays(), "cloned": np.array(self._cloned)}

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a checkpoint."""
        self._cloned = bool(arrays["cloned"])
        self.best.restore(arrays)

    # ---- deciding ---------------------------------------------------------------------------

    def predict(  # type: ignore[override]
        self,
        observation: dict[str, np.ndarray],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Decide on one observation or a batch; see :meth:`GNNPolicy.predict`."""
        return self.policy.predict(observation, state, episode_start, deterministic, action_masks)

    def searcher(self, problem: AnyProblem, name: str) -> Search:
        """Return a search with the policy; see :func:`agents.gnn_ppo.search.decoder` for names."""
        found = decoder(name, self.policy, problem)
        return lambda instance: found(instance).actions

    # ---- learning ---------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "GNNPPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Imitate the labels, then train on ``total_timesteps`` decisions.

        The time of a roll-out counts from the end of the last, so that of imitation is in the
        first.
        """
        problem = self._problem()
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        if self.labels and not self._cloned:
            self._clone(problem)
        while self.num_timesteps < total_timesteps:
            if not self.collect_rollouts(self.env, callback, self.rollout_buffer, self.n_steps):  # type: ignore[arg-type]
                break
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            self.train()
            # Counted from the very first one, so that a resumed training selects at the same times.
            iteration = self._n_updates // self.n_epochs
            if iteration % self.dev_every == 0 or self.num_timesteps >= total_timesteps:
                self._select(problem)
            if iteration % log_interval == 0:
                self.dump_logs(iteration)
        self.best.load_into(self.policy)
        callback.on_training_end()
        return self

    def _clone(self, problem: AnyProblem) -> None:
        """Imitate the labels."""
        files = [Demonstrations.load(path, problem) for path in self.labels]
        decisions = merge([file.replay(problem) for file in files])
        rng = np.random.default_rng((self.seed or 0, _CLONING))
        for epoch in range(self.clone_epochs):
            rate = self.clone_learning_rate * (1 - epoch / self.clone_epochs)
            loss = clone_epoch(
                self.policy, decisions, self.batch_size, rate, self.max_grad_norm, rng
            )
            self.logger.record("clone/loss", loss)
            self.logger.dump(step=epoch)
        self._select(problem)
        self._cloned = True
        # Moments of the imitation say nothing about the gradients to come.
        self.policy.optimizer.state.clear()

    def _select(self, problem: AnyProblem) -> None:
        """Keep the weights if no earlier ones do better on the development instances."""
        self.policy.set_training_mode(False)
        instance, exogenous = sample(problem, _DEVELOPMENT, self.dev_instances)
        played = play(follow(self.policy), problem, instance, exogenous)
        score = float((played.total_reward / unit_of(problem, instance)).mean())
        self.best.offer(self.policy, score)
        self.logger.record("dev/return", score)
        self.logger.record("dev/reward", float(played.total_reward.mean()))
        self.logger.record("dev/best_return", self.best.score)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play with the policy and keep the decisions with their advantages."""
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        if self.baseline == "group":
            going = self._play_groups(callback)
        else:
            going = self._play_steps(callback, n_rollout_steps)
        if going:
            callback.update_locals(locals())
            callback.on_rollout_end()
        return going

    def _play_groups(self, callback: BaseCallback) -> bool:
        """Play whole episodes; callbacks see the roll-out as one step."""
        problem, size = self._problem(), self.group_size
        start = time.perf_counter()
        # A roll-out's draws depend on the seed and on what was played before, so that a run can be
        # resumed.
        seeds = np.random.SeedSequence((self.seed or 0, self.num_timesteps, _TRAINING))
        rngs = [np.random.default_rng(child) for child in seeds.spawn(self.groups)]
        instance = problem.sample_instances(rngs)
        exogenous = problem.sample_exogenous(instance, rngs)
        record: list[Decisions] = []
        played = play(
            follow(self.policy, temperature=1.0),
            problem,
            instance.repeat(size),
            None if exogenous is None else exogenous.repeat(size),
            record=record,
        )
        self._decisions = merge(record)
        returns = played.total_reward / np.repeat(unit_of(problem, instance), size)
        self._advantages = group_advantages(returns, size)[self._decisions.rows]
        self._returns = None
        self.num_timesteps += int(played.num_steps.sum())
        seconds = round(time.perf_counter() - start, 6)
        infos = [
            {"episode": {"r": float(reward), "l": int(steps), "t": seconds}}
            for reward, steps in zip(played.total_reward, played.num_steps, strict=True)
        ]
        self._update_info_buffer(infos)
        callback.update_locals({"infos": infos, "self": self})
        return callback.on_step()

    def _play_steps(self, callback: BaseCallback, n_steps: int) -> bool:
        """Play ``n_steps`` steps of every environment, with values."""
        env, problem = self._native(), self._problem()
        num = env.num_envs
        rewards, values = np.zeros((n_steps, num)), np.zeros((n_steps + 1, num))
        discount = np.full((n_steps, num), self.gamma)
        instance, unit = None, np.ones(num)
        ended = np.zeros((n_steps, num), dtype=np.bool_)
        record: list[Decisions] = []
        for step in range(n_steps):
            seen: dict[str, np.ndarray] = self._last_obs  # type: ignore[assignment]
            allowed = env.vector_env.action_masks()
            log_probs, values[step] = self._evaluate(seen, allowed)
            chosen = choose(log_probs, 1.0)
            actions = chosen.cpu().numpy()
            chances = log_probs.gather(1, chosen[:, None])[:, 0].cpu().numpy()
            record.append(Decisions(seen, allowed, actions, chances, np.arange(num) + num * step))
            if env.vector_env.instance is not instance:
                instance = env.vector_env.instance
                unit = unit_of(problem, instance) * env.reward_scale
            before = clock_of(problem, env.vector_env.state)
            new_obs, reward, dones, infos = env.step(actions)
            if before is not None:
                # Episodes that ended start anew; what follows them counts for nothing.
                passed = clock_of(problem, env.vector_env.state) - before
                discount[step] = self.gamma ** np.maximum(passed, 0.0)
            rewards[step], ended[step] = reward / unit, dones
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
            self.num_timesteps += num
            self._update_info_buffer(infos, dones)
            callback.update_locals({"infos": infos, "self": self})
            if not callback.on_step():
                return False
        _, values[n_steps] = self._evaluate(self._last_obs, env.vector_env.action_masks())  # type: ignore[arg-type]
        advantages = generalised_advantages(rewards, values, ended, discount, self.gae_lambda)
        returns = advantages + values[:-1]
        everything = merge(record)
        self._decisions = everything.pick(everything.allowed.sum(axis=1) > 1)
        self._advantages = advantages.reshape(-1)[self._decisions.rows]
        self._returns = returns.reshape(-1)[self._decisions.rows]
        variance = explained_variance(values[:-1].reshape(-1), returns.reshape(-1))
        self.logger.record("train/explained_variance", float(variance))
        return True

    @torch.no_grad()
    def _evaluate(
        self, seen: dict[str, np.ndarray], allowed: np.ndarray
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Log-probabilities and values of a batch of observations."""
        log_probs, value = self.policy.evaluate(
            {name: self._tensor(array) for name, array in seen.items()}, self._tensor(allowed)
        )
        assert value is not None
        return log_probs, value.cpu().numpy()

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def train(self) -> None:
        """Ascend the clipped objective (arXiv 1707.06347, eq. 7 and 9)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if self.critic_learning_rate is not None and self.baseline == "critic":
            self.policy.optimizer.param_groups[-1]["lr"] = self.critic_learning_rate
        decisions = self._decisions
        seen = {name: self._tensor(value) for name, value in decisions.seen.items()}
        allowed, actions = self._tensor(decisions.allowed), self._tensor(decisions.actions)
        before = self._tensor(decisions.log_probs)
        advantages = self._tensor(self._advantages.astype(np.float32))
        if self.baseline == "critic":
            advantages = advantages - advantages.mean()
        # Group advantages have mean 0 over episodes, not over decisions: shifting them would reward
        # long episodes or short ones.
        advantages = advantages / advantages.square().mean().sqrt().clamp(min=1e-8)
        returns = None
        if self._returns is not None:
            returns = self._tensor(self._returns.astype(np.float32))
        weight = self.ent_coef * (0.1 + 0.9 * self._current_progress_remaining)
        sums: dict[str, float] = {}
        for _ in range(self.n_epochs):
            for rows in torch.randperm(decisions.num).split(self.batch_size):  # type: ignore[no-untyped-call]
                num = len(rows)
                if num < processes():
                    continue  # the last few: too few to share
                mine = share(num, "cpu")
                rows = (rows if mine is None else rows[mine]).to(self.device)
                log_probs, values = self.policy.evaluate(
                    {name: value[rows] for name, value in seen.items()}, allowed[rows]
                )
                now = log_probs.gather(1, actions[rows, None])[:, 0]
                ratio = (now - before[rows]).exp()
                clipped = ratio.clamp(1 - self.clip_range, 1 + self.clip_range)
                advantage = advantages[rows]
                gain = torch.minimum(ratio * advantage, clipped * advantage).sum() / num
                spread = entropy(log_probs).sum() / num
                loss = -gain - weight * spread
                if returns is not None and values is not None:
                    error = F.mse_loss(values, returns[rows], reduction="sum") / num
                    loss = loss + self.vf_coef * error
                    _add(sums, "value_loss", error.item() * num)
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                if self._n_updates < self.critic_warm_up * self.n_epochs:
                    self.policy.keep_value_gradients()
                add_gradients(self.policy.parameters())
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                _add(sums, "policy_gain", gain.item() * num)
                _add(sums, "entropy", spread.item() * num)
                outside = (ratio.detach() - 1).abs() > self.clip_range
                _add(sums, "clip_fraction", outside.sum().item())
            self._n_updates += 1
        for name, total in sums.items():
            self.logger.record(f"train/{name}", total / (self.n_epochs * decisions.num))
        self.logger.record("train/decisions", decisions.num)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


def _add(sums: dict[str, float], name: str, value: float) -> None:
    sums[name] = sums.get(name, 0.0) + value
