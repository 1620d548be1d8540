"""The job shop: classic, blocking with and without swaps, interrupted by shutdowns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np

from or_envs.core.arrays import Array, Arrays
from or_envs.core.options import require
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, rows_of_set
from or_envs.job_shop import kernels
from or_envs.job_shop.instances import JobShopInstance, load, uniform_instances
from or_envs.job_shop.observations import CLIP, JOB_FEATURES, NODE_FEATURES, see_graph, see_jobs
from or_envs.job_shop.shutdowns import (
    FAILURES_PER_JOB,
    ShutdownModel,
    Shutdowns,
    largest_downtime,
    resume,
    sample,
)

Blocking = Literal["none", "swap", "no_swap"]
Reward = Literal["time", "lb_delta", "waiting", "sparse"]
Observation = Literal["jobs", "graph"]

_BLOCKING = {"none": kernels.NO_BLOCKING, "swap": kernels.SWAP, "no_swap": kernels.NO_SWAP}
_MODELS = {
    "post_operation": kernels.POST_OPERATION,
    "hazard": kernels.HAZARD,
    "preempt_resume": kernels.PREEMPT_RESUME,
}
_REWARDS = ("time", "lb_delta", "waiting", "sparse")
_OBSERVATIONS = ("jobs", "graph")


@dataclasses.dataclass(frozen=True)
class JobShopState(Arrays):
    """Where the jobs are, and what happened so far. Integers but for the two flags.

    Attributes
    ----------
    clock
        Time t, (B,).
    operation
        Operation that each job is in, or its next one; the number of its operations when it is
        done, (B, J).
    status
        0 outside the shop, 1 processing, 2 between two operations, 3 done (or no job), (B, J).
    ready
        When the job's next operation became ready, (B, J).
    holder
        Job on each machine, -1 if none, (B, M).
    finish
        When the operation on the machine ends, as far as is known; old where none runs, (B, M).
    up_at
        When the machine is up again; in the past if it is up, (B, M).
    idle, failures
        Model "hazard": idle time since the last failure, and failures so far, (B, M); else (B, 0).
    start
        When each operation started, -1 if it has not, (B, J, K).
    down_at, down_for
        When each shutdown began (-1: not yet) and how long it takes, in the places of
        :class:`or_envs.job_shop.shutdowns.Shutdowns`; (B, 0, 0) without shutdowns.
    waiting
        Post-decision states: the decision is to wait, bool (B,).
    deadlock
        Jobs wait for one another and no event is to come, bool (B,).
    """

    clock: Array
    operation: Array
    status: Array
    ready: Array
    holder: Array
    finish: Array
    up_at: Array
    idle: Array
    failures: Array
    start: Array
    down_at: Array
    down_for: Array
    waiting: Array
    deadlock: Array


class JobShop(Problem[JobShopInstance, JobShopState, Shutdowns]):
    """Choose which job to load next onto its machine, so that the last job ends early.

    Every job is a chain of operations, each on one machine without preemption; a machine holds one
    job at a time. All jobs are there at time 0. A finished job leaves the shop at once.

    - Action: Discrete(J + 1). j: load job j onto its next machine now; allowed where the job waits
      and this machine is empty and up. J: wait until the next event (a completion, a repair or a
      shutdown); allowed where some load is, and some completion or repair is to come. Time
      advances by itself where no load is allowed. In mode "swap" every circle of jobs that wait for
      one another's machines turns by itself as soon as all its machines are up: nobody else can use
      these machines before.
    - Observation "jobs": Dict of float32 "jobs" (J, 33), one token a job, see
      :data:`or_envs.job_shop.observations.JOB_FEATURES`, and "action_mask" (J + 1,), 1 where the
      action is allowed.
    - Observation "graph": Dict of float32 "nodes" (J, K, 13), one node an operation, see
      :data:`or_envs.job_shop.observations.NODE_FEATURES`, int64 "machine" (J, K), -1 where there
      is no node, and "action_mask". The edges follow from it, see :mod:`or_envs.job_shop.graph`.
    - Reward "time": minus the time that passes; it adds up to minus the makespan.
      "lb_delta": minus the growth of a lower bound on the makespan; adds up to minus the makespan
      plus the bound at the start. "waiting": minus the time that passes times the number of jobs
      outside or between operations. "sparse": minus the makespan at the end.
    - End: terminated when every job is done, or (mode "no_swap") at a deadlock, where
      ``state.deadlock`` is true and the reward brings the total below that of every schedule.
    - ``reset(options=...)``: "machine" and "duration" (J, K), or these with a batch axis.
    - A masked action ends the episode; the penalty is that of the longest schedule there can be:
      one operation after the other and every shutdown in between.

    Shutdowns: a job may leave a machine that is down, but none may enter it, and a circle turns
    only when all its machines are up. Downtimes are uniform on 1..D. Models:
    "post_operation": when an operation ends, its machine goes down with probability ``p_down``.
    "hazard": while a machine is up and nothing is processed on it, it fails with probability
    ``p_down`` divided by the mean duration of the instance, in every time unit.
    "preempt_resume": every operation of at least two time units is interrupted once with
    probability ``p_down``, after a uniform part of its time; the rest follows the repair.

    Parameters
    ----------
    instance
        "random": see :func:`or_envs.job_shop.instances.uniform_instances`. A name such as "LA01",
        or the path of a file: see :func:`or_envs.job_shop.instances.load`. A range such as
        "LA01-05": the episode with seed s plays number s modulo 5 of them.
    num_jobs, num_machines
        Sizes of random instances, >= 1, or pairs (smallest, largest) from which every episode's
        is drawn. Else they are read.
    blocking
        "none": unlimited buffers. "swap": a job stays on its machine until the next one takes it;
        jobs may change places. "no_swap": they may not, and circles are deadlocks.
    shutdown
        The model.
    p_down
        Its probability, in [0, 1], or several of which every episode has one.
    max_downtime
        D >= 1; ``None``: the longest duration of the instance.
    allow_wait
        Whether the wait action is ever allowed. Without it no machine is left empty while a job
        wants it, which excludes most optimal schedules.
    skip_trivial
        Without the wait action only: decisions with one choice are taken by themselves.
    reward, observation
        See above.

    Raises
    ------
    ValueError
        If an argument is outside its range, or a file is malformed (line and field are named).
    """

    differentiable: ClassVar[bool] = False
    backends: ClassVar[tuple[str, ...]] = ("numpy",)
    option_keys: ClassVar[tuple[str, ...]] = ("machine", "duration")
    drawing: ClassVar[str | None] = "or_envs.job_shop.rendering:draw"

    def __init__(
        self,
        instance: str = "random",
        num_jobs: int | Sequence[int] = 10,
        num_machines: int | Sequence[int] = 5,
        blocking: Blocking = "none",
        shutdown: ShutdownModel = "post_operation",
        p_down: float | Sequence[float] = 0.0,
        max_downtime: int | None = None,
        allow_wait: bool = True,
        skip_trivial: bool = False,
        reward: Reward = "time",
        observation: Observation = "jobs",
    ) -> None:
        for name, value, allowed in (
            ("blocking", blocking, tuple(_BLOCKING)),
            ("shutdown", shutdown, tuple(_MODELS)),
            ("reward", reward, _REWARDS),
            ("observation", observation, _OBSERVATIONS),
        ):
            if value not in allowed:
                names = ", ".join(repr(choice) for choice in allowed)
                raise ValueError(f"{name}: expected one of {names}, got {value!r}")
        if skip_trivial and allow_wait:
            raise ValueError("skip_trivial: expected False where allow_wait is True, got True")
        if max_downtime is not None and (not isinstance(max_downtime, int) or max_downtime < 1):
            raise ValueError(f"max_downtime: expected an integer >= 1, got {max_downtime!r}")
        self._given: JobShopInstance | None = None
        if instance == "random":
            self._jobs = _limits("num_jobs", num_jobs)
            self._machines = _limits("num_machines", num_machines)
            self.num_jobs, self.num_machines = self._jobs[1], self._machines[1]
            self.num_operations = self.num_machines
        else:
            self._given = load(instance)
            _, self.num_jobs, self.num_operations = self._given.duration.shape
            self.num_machines = int(self._given.machine.max()) + 1
        self.instance_name = instance
        self.blocking: Blocking = blocking
        self.shutdown: ShutdownModel = shutdown
        self.p_down = _probabilities(p_down)
        self.max_downtime = max_downtime
        self.allow_wait = allow_wait
        self.skip_trivial = skip_trivial
        self.reward: Reward = reward
        self.observation_form: Observation = observation
        #: Whether shutdowns happen at all.
        self.stochastic = max(self.p_down) > 0
        self.rules = kernels.Rules(
            _BLOCKING[blocking],
            _MODELS[shutdown] if self.stochastic else kernels.NEVER_DOWN,
            allow_wait,
            skip_trivial,
        )
        self._failures = FAILURES_PER_JOB * self.num_jobs
        loads = self.num_jobs * self.num_operations
        # Every wait uses up a completion, or the beginning or the end of a shutdown.
        shutdowns = self.num_machines * self._failures if shutdown == "hazard" else loads
        waits = loads + 2 * shutdowns * self.stochastic
        self.max_steps = loads + waits * allow_wait
        self.action_space = gym.spaces.Discrete(self.num_jobs + 1)
        self.observation_space = self._space()

    def _space(self) -> gym.spaces.Dict:
        mask = gym.spaces.Box(0.0, 1.0, (self.num_jobs + 1,), np.float32)
        if self.observation_form == "jobs":
            tokens = (self.num_jobs, len(JOB_FEATURES))
            jobs = gym.spaces.Box(0.0, CLIP, tokens, np.float32)
            return gym.spaces.Dict({"jobs": jobs, "action_mask": mask})
        slots = (self.num_jobs, self.num_operations)
        return gym.spaces.Dict(
            {
                "nodes": gym.spaces.Box(-1.0, CLIP, (*slots, len(NODE_FEATURES)), np.float32),
                "machine": gym.spaces.Box(-1, self.num_machines - 1, slots, np.int64),
                "action_mask": mask,
            }
        )

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> JobShopInstance:
        """Draw random instances, or repeat the given one; of a range by seed, one after another."""
        if self._given is None:
            return uniform_instances(rngs, self._jobs, self._machines)
        if self._given.num > 1:
            return self._given.rows(rows_of_set(rngs, self._given.num))
        # One copy of the large arrays serves every row.
        sizes = np.repeat(self._given.num_operations, len(rngs), axis=0)
        return dataclasses.replace(self._given, num_operations=sizes)

    def sample_exogenous(self, instance: JobShopInstance, rngs: Generators) -> Shutdowns | None:
        """Draw every shutdown that the episode could meet; ``None`` where there are none."""
        if not self.stochastic:
            return None
        return sample(
            self.shutdown,
            instance,
            rngs,
            self._draw_p_down(rngs),
            self.max_downtime,
            self.num_machines,
        )

    def sample_future(
        self, instance: JobShopInstance, state: JobShopState, rngs: Generators
    ) -> Shutdowns | None:
        """Draw the shutdowns to come given the state, for planners that simulate ahead.

        Where ``p_down`` has several values, each row draws one of them afresh.
        """
        if not self.stochastic:
            return None
        p_down = self._draw_p_down(rngs)
        drawn = sample(self.shutdown, instance, rngs, p_down, self.max_downtime, self.num_machines)
        return resume(self.shutdown, instance, state, drawn, rngs, p_down, self.max_downtime)

    def _draw_p_down(self, rngs: Generators) -> np.ndarray:
        if len(self.p_down) == 1:
            return np.full(len(rngs), self.p_down[0])
        return np.array([self.p_down[int(rng.integers(len(self.p_down)))] for rng in rngs])

    def exogenous_at(self, exogenous: Shutdowns, step: Array) -> Shutdowns:
        """The whole table: which of its entries a step meets depends on the decisions."""
        return exogenous

    def apply_options(
        self, instance: JobShopInstance, exogenous: Shutdowns | None, options: Mapping[str, Any]
    ) -> tuple[JobShopInstance, Shutdowns | None]:
        """Force routes and durations, and check forced instances and shutdowns."""
        if "instance" in options:
            instance = self._checked_instance(instance)
        for name, high in (("machine", self.num_machines - 1), ("duration", np.inf)):
            if name in options:
                shape = (instance.num, self.num_jobs, self.num_operations)
                value = _whole_numbers(f"options: {name!r}", options[name], shape, high)
                instance = dataclasses.replace(instance, **{name: value})
        if exogenous is not None:
            longest = largest_downtime(instance, self.max_downtime)[:, None, None]
            if "exogenous" in options:
                exogenous = self._checked_shutdowns(exogenous, longest)
            else:  # drawn for the durations that were there before
                downtime = np.minimum(exogenous.downtime, longest)
                exogenous = dataclasses.replace(exogenous, downtime=downtime)
        return instance, exogenous

    def _checked_instance(self, instance: JobShopInstance) -> JobShopInstance:
        shape = (instance.num, self.num_jobs, self.num_operations)
        checked = {}
        for name, size, high in (
            ("num_operations", shape[:2], self.num_operations),
            ("machine", shape, self.num_machines - 1),
            ("duration", shape, np.inf),
        ):
            field = getattr(instance, name)
            if field.shape[1:] != size[1:]:
                raise ValueError(
                    f"options: 'instance': {name} must have shape {size[1:]} a row (see"
                    f" JobShopInstance.padded), got {field.shape[1:]}"
                )
            checked[name] = _whole_numbers(f"options: 'instance': {name}", field, size, high)
        if not (checked["num_operations"].sum(axis=1) > 0).all():
            raise ValueError("options: 'instance': num_operations: every row needs an operation")
        return JobShopInstance(**checked)

    def _checked_shutdowns(self, exogenous: Shutdowns, longest: np.ndarray) -> Shutdowns:
        table = self._table(exogenous.num)
        none = (exogenous.num, 0, 0)
        checked = {}
        for name, shape, high in (
            ("onset", none if self.shutdown == "post_operation" else table, np.inf),
            ("downtime", table, longest),
        ):
            field = getattr(exogenous, name)
            checked[name] = _whole_numbers(f"options: 'exogenous': {name}", field, shape, high)
        return Shutdowns(**checked)

    def _table(self, rows: int) -> tuple[int, int, int]:
        """Shape of the table of downtimes."""
        if not self.stochastic:
            return rows, 0, 0
        if self.shutdown == "hazard":
            return rows, self.num_machines, self._failures
        return rows, self.num_jobs, self.num_operations

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: JobShopInstance) -> JobShopState:
        """Every job waits outside an empty shop at time 0."""
        rows, jobs, machines = instance.num, self.num_jobs, self.num_machines
        counted = machines if self.rules.model == kernels.HAZARD else 0

        def zeros(*shape: int) -> np.ndarray:
            return np.zeros((rows, *shape), dtype=np.int64)

        sizes = np.broadcast_to(instance.num_operations, (rows, jobs))
        return JobShopState(
            clock=zeros(),
            operation=zeros(jobs),
            status=np.where(sizes > 0, kernels.OUTSIDE, kernels.DONE),
            ready=zeros(jobs),
            holder=zeros(machines) - 1,
            finish=zeros(machines),
            up_at=zeros(machines),
            idle=zeros(counted),
            failures=zeros(counted),
            start=zeros(jobs, self.num_operations) - 1,
            down_at=np.full(self._table(rows), -1),
            down_for=np.zeros(self._table(rows), dtype=np.int64),
            waiting=np.zeros(rows, dtype=np.bool_),
            deadlock=np.zeros(rows, dtype=np.bool_),
        )

    def post_decision(
        self, instance: JobShopInstance, state: JobShopState, action: Array
    ) -> tuple[JobShopState, Array]:
        """Load a job, or mark that everybody waits."""
        post = JobShopState(
            state.clock,
            state.operation,
            state.status.copy(),
            state.ready,
            state.holder.copy(),
            state.finish.copy(),
            state.up_at,
            state.idle,
            state.failures,
            state.start.copy(),
            state.down_at,
            state.down_for,
            np.empty(len(state.clock), dtype=np.bool_),
            state.deadlock,
        )
        shop = shop_of(instance, post)
        kernels.decide(shop, post.clock, action, post.waiting, self.rules.blocking)
        if self.reward == "lb_delta":
            before = self.lower_bound(instance, state)
            return post, before - self.lower_bound(instance, post)
        return post, np.zeros(len(state.clock))

    def transition(
        self, instance: JobShopInstance, post_state: JobShopState, exogenous: Shutdowns | None
    ) -> tuple[JobShopState, Array, Array]:
        """Let operations end, machines fail and circles turn until the next decision."""
        post, rows = post_state, len(post_state.clock)
        fails = self.stochastic
        following = JobShopState(
            post.clock.copy(),
            post.operation.copy(),
            post.status.copy(),
            post.ready.copy(),
            post.holder.copy(),
            post.finish.copy(),
            post.up_at.copy() if fails else post.up_at,
            post.idle.copy() if fails else post.idle,
            post.failures.copy() if fails else post.failures,
            post.start.copy(),
            post.down_at.copy() if fails else post.down_at,
            post.down_for.copy() if fails else post.down_for,
            np.zeros(rows, dtype=np.bool_),
            np.empty(rows, dtype=np.bool_),
        )
        passed, waited, over = np.empty(rows), np.empty(rows), np.empty(rows, dtype=np.bool_)
        any_deadlock = kernels.settle_all(
            shop_of(instance, following, exogenous),
            following.clock,
            post.waiting,
            self.rules,
            passed,
            waited,
            over,
            following.deadlock,
        )
        if self.reward == "time":
            reward = -passed
        elif self.reward == "waiting":
            reward = -waited
        elif self.reward == "sparse":
            reward = np.where(over, -following.clock.astype(np.float64), 0.0)
        else:
            reward = self.lower_bound(instance, post) - self.lower_bound(instance, following)
        if any_deadlock:
            reward = np.where(following.deadlock, self._deadlock(instance, post), reward)
        return following, reward, over

    def lower_bound(self, instance: JobShopInstance, state: JobShopState) -> Array:
        """Lower bound (B,) on the makespan: no job and no machine can be done with its work before.

        It counts repairs that are known, and no shutdowns to come.
        """
        bounds, scratch = np.empty(len(state.clock)), np.empty(self.num_machines, dtype=np.int64)
        kernels.write_lower_bounds(shop_of(instance, state), state.clock, scratch, bounds)
        return bounds

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: JobShopInstance, state: JobShopState) -> dict[str, Array]:
        """Tokens of jobs, or nodes of operations; see the class."""
        rows, shop = len(state.clock), shop_of(instance, state)
        mask = self.action_mask(instance, state).astype(np.float32)
        if self.observation_form == "jobs":
            tokens = np.zeros((rows, self.num_jobs, len(JOB_FEATURES)), dtype=np.float32)
            scratch = np.empty((4, self.num_machines), dtype=np.float32)
            see_jobs(shop, state.clock, self.rules.blocking, scratch, tokens)
            return {"jobs": tokens, "action_mask": mask}
        slots = (rows, self.num_jobs, self.num_operations)
        nodes = np.zeros((*slots, len(NODE_FEATURES)), dtype=np.float32)
        machine = np.full(slots, -1)
        see_graph(shop, state.clock, self.rules.blocking, nodes, machine)
        return {"nodes": nodes, "machine": machine, "action_mask": mask}

    def action_mask(self, instance: JobShopInstance, state: JobShopState) -> Array:
        """Loads, and the wait; see the class."""
        mask = np.empty((len(state.clock), self.num_jobs + 1), dtype=np.bool_)
        kernels.write_masks(shop_of(instance, state), state.clock, self.allow_wait, mask)
        return mask

    def passive_action(self, instance: JobShopInstance, state: JobShopState) -> Array:
        """Wait where that is allowed, else load the first job that may be."""
        mask = self.action_mask(instance, state)
        first = mask.argmax(axis=1)
        return np.where(mask[:, -1], self.num_jobs, first)

    def _longest(self, instance: JobShopInstance) -> Array:
        """More time (B,) than any schedule takes, in mode "no_swap"; else as much."""
        durations = np.where(instance.exists, instance.duration, 0)
        longest = durations.sum(axis=(1, 2)) + (self.blocking == "no_swap")
        if self.stochastic:
            operations = instance.num_operations.sum(axis=1)
            count = self.num_machines * self._failures if self.shutdown == "hazard" else operations
            longest = longest + count * largest_downtime(instance, self.max_downtime)
        return longest.astype(np.float64)

    def worst_completion(self, instance: JobShopInstance, state: JobShopState) -> Array:
        """Nothing in parallel, and every shutdown in between, at its longest."""
        longest = self._longest(instance)
        if self.reward == "waiting":
            return self._deadlock(instance, state) * (1 + (self.blocking == "no_swap"))
        if self.reward == "sparse":
            return np.broadcast_to(-longest, (len(state.clock),))
        passed = state.clock if self.reward == "time" else self.lower_bound(instance, state)
        return passed - longest

    def _deadlock(self, instance: JobShopInstance, state: JobShopState) -> Array:
        """Reward (B,) that brings the total below that of every schedule."""
        if self.reward == "waiting":
            longest = np.broadcast_to(self._longest(instance), (len(state.clock),))
            return -self.num_jobs * longest
        return self.worst_completion(instance, state)

    def flags(self, state: JobShopState) -> dict[str, np.ndarray]:
        """In mode "no_swap": whether the episode ended because jobs wait for one another."""
        return {"deadlock": state.deadlock.copy()} if self.blocking == "no_swap" else {}

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the job and what keeps it."""
        job = int(action)
        if job < self.num_jobs:
            return f"job {job} is done or running, or its next machine is occupied or down"
        if self.allow_wait:
            return "waiting is allowed only where a load is, and a completion or repair is to come"
        return "this environment was built with allow_wait=False"


class ISBJSSP(JobShop):
    """The interrupting, swap-allowed, blocking job shop (arXiv 2302.02506).

    It is :class:`JobShop` in mode "swap" with shutdowns. The article's body could not be read: its
    law of shutdowns, and whether its policy may wait, are choices of this project.

    Parameters
    ----------
    instance
        As of :class:`JobShop`.
    p_down
        Probability of a shutdown, or several of which every episode has one.
    **kwargs
        All the others, but ``blocking``.

    Raises
    ------
    ValueError
        As of :class:`JobShop`, or if ``blocking`` is given.
    """

    def __init__(
        self,
        instance: str = "random",
        num_jobs: int | Sequence[int] = 10,
        num_machines: int | Sequence[int] = 5,
        shutdown: ShutdownModel = "post_operation",
        p_down: float | Sequence[float] = 0.1,
        max_downtime: int | None = None,
        allow_wait: bool = True,
        skip_trivial: bool = False,
        reward: Reward = "time",
        observation: Observation = "jobs",
    ) -> None:
        super().__init__(
            instance,
            num_jobs,
            num_machines,
            "swap",
            shutdown,
            p_down,
            max_downtime,
            allow_wait,
            skip_trivial,
            reward,
            observation,
        )


_NO_LUCK = np.zeros((1, 0, 0), dtype=np.int64)


def shop_of(
    instance: JobShopInstance, state: JobShopState, exogenous: Shutdowns | None = None
) -> kernels.Shop:
    """Arrays of instance, state and luck as the kernels take them (not copied)."""
    return kernels.Shop(
        instance.machine,
        instance.duration,
        instance.num_operations,
        _NO_LUCK if exogenous is None else exogenous.onset,
        _NO_LUCK if exogenous is None else exogenous.downtime,
        state.operation,
        state.status,
        state.ready,
        state.holder,
        state.finish,
        state.up_at,
        state.idle,
        state.failures,
        state.start,
        state.down_at,
        state.down_for,
    )


def _limits(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Smallest and largest size of random instances."""
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    whole = len(pair) == 2 and all(isinstance(size, int) for size in pair)
    if not whole or not 1 <= pair[0] <= pair[1]:
        raise ValueError(
            f"{name}: expected an integer >= 1, or a pair of them (smallest, largest),"
            f" got {value!r}"
        )
    return pair[0], pair[1]


def _probabilities(value: float | Sequence[float]) -> tuple[float, ...]:
    several = tuple(value) if isinstance(value, Sequence) else (value,)
    if not several or not all(0 <= p <= 1 for p in several):
        raise ValueError(f"p_down: expected numbers in [0, 1], got {value!r}")
    return tuple(float(p) for p in several)


def _whole_numbers(
    name: str, value: Any, shape: tuple[int, ...], high: float | np.ndarray
) -> np.ndarray:
    """Integers 0..high of a shape, or of that shape without its batch axis.

    Raises
    ------
    ValueError
        If they are not.
    """
    numbers = np.asarray(value)
    if numbers.shape not in (shape, shape[1:], (1, *shape[1:])):
        raise ValueError(f"{name}: expected shape {shape[1:]} or {shape}, got {numbers.shape}")
    allowed = (
        "whole numbers >= 0"
        if np.ndim(high) == 0 and high == np.inf
        else (f"whole numbers in [0, {np.max(high):g}]")
    )
    with np.errstate(invalid="ignore"):
        fine = (numbers >= 0) & (numbers <= high) & (numbers == np.floor(numbers))
    require(fine, name, allowed, numbers)
    return np.array(np.broadcast_to(numbers, shape), dtype=np.int64)
