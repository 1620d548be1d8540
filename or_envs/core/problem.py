"""The contract: a problem is a set of pure functions over batched arrays."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

import gymnasium as gym
import numpy as np

from or_envs.core.actions import ActionChecker
from or_envs.core.arrays import Array, Arrays, gather
from or_envs.core.random import Generators

InstanceT = TypeVar("InstanceT", bound=Arrays)
StateT = TypeVar("StateT", bound=Arrays)
ExogenousT = TypeVar("ExogenousT", bound=Arrays)


class Problem(abc.ABC, Generic[InstanceT, StateT, ExogenousT]):
    """A batched sequential decision problem (Powell's two half-steps).

    ``state --action--> post-decision state --exogenous information--> next state``

    Every function is pure: it reads its arguments, writes to none, and its output depends on
    nothing else. The leading axis of every array is the batch, and batch rows never interact.
    The object itself stores constants only. Rewards are in the problem's own units (money,
    length, time); costs are negative rewards.

    Dynamics use the Python array API, so the same lines run on numpy, on torch (GPU, gradients)
    and on array-api-strict. Where speed matters, :meth:`compiled` returns a twin with numba
    kernels for numpy arrays; :func:`or_envs.core.check.check_problem` compares the two.
    """

    #: Space of one observation: a Box, or a Dict of fixed-size arrays.
    observation_space: gym.Space[Any]
    #: Space of one action: Discrete, MultiDiscrete or Box.
    action_space: gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.Box
    #: No episode takes more steps than this.
    max_steps: int
    #: What happens at ``max_steps`` if the task has not ended: a time limit ("truncated", agents
    #: bootstrap there) or nothing, because the task always ends by itself ("terminated").
    ends: Literal["truncated", "terminated"] = "terminated"
    #: Whether rewards are (almost everywhere) differentiable in the floating data.
    differentiable: ClassVar[bool] = True
    #: Array libraries that the dynamics run on.
    backends: ClassVar[tuple[str, ...]] = ("numpy", "torch", "array_api_strict")
    #: Keys that ``reset(options=...)`` accepts beside "instance" and "exogenous".
    option_keys: ClassVar[tuple[str, ...]] = ()
    #: Where the drawing function is, as "module:function"; see :mod:`or_envs.core.rendering`.
    drawing: ClassVar[str | None] = None

    @property
    def cost_divisor(self) -> float:
        """What tables divide an episode's cost by, such as its periods where averages are usual."""
        return 1.0

    # ---- data -------------------------------------------------------------------------------

    @abc.abstractmethod
    def sample_instances(self, rngs: Generators) -> InstanceT:
        """Draw ``len(rngs)`` instances (numpy); instance b uses ``rngs[b]`` only."""

    def sample_exogenous(self, instance: InstanceT, rngs: Generators) -> ExogenousT | None:
        """Draw the whole trace W_1..W_T of each instance (numpy); ``None`` if deterministic.

        Random events that depend on decisions are indexed by (entity, count) instead of time, so
        that two policies meet the same luck; override :meth:`exogenous_at` for them.
        """
        return None

    def exogenous_at(self, exogenous: ExogenousT, step: Array) -> ExogenousT:
        """Exogenous information of step ``step`` (integers, shape (B,)) of every batch row.

        The default reads a trace indexed by time: fields of shape (B, T, ...) give (B, ...).
        """
        from array_api_compat import array_namespace

        xp = array_namespace(step)
        return exogenous.map(lambda x: gather(xp, x, step))

    def apply_options(
        self, instance: InstanceT, exogenous: ExogenousT | None, options: Mapping[str, Any]
    ) -> tuple[InstanceT, ExogenousT | None]:
        """Force parts of the data by the values of ``reset(options=...)`` named in option_keys.

        Raises
        ------
        ValueError
            If a value has the wrong shape or range; the message names key, value and range.
        """
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    @abc.abstractmethod
    def initial(self, instance: InstanceT) -> StateT:
        """State before the first decision."""

    @abc.abstractmethod
    def post_decision(
        self, instance: InstanceT, state: StateT, action: Array
    ) -> tuple[StateT, Array]:
        """Deterministic effect of the decision: post-decision state and its reward, shape (B,)."""

    @abc.abstractmethod
    def transition(
        self, instance: InstanceT, post_state: StateT, exogenous: ExogenousT | None
    ) -> tuple[StateT, Array, Array]:
        """Effect of the exogenous information of one step.

        Returns
        -------
        tuple
            Next state, reward of the outcome (B,), and whether the task has ended, bool (B,).
        """

    def expected_outcome(self, instance: InstanceT, post_state: StateT) -> Array:
        """Expected reward (B,) of :meth:`transition` over the next exogenous information.

        Only problems that know it in closed form have it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no closed form of the expected outcome"
        )

    # ---- what the agent sees ----------------------------------------------------------------

    @abc.abstractmethod
    def observation(self, instance: InstanceT, state: StateT) -> Any:
        """Observation batch (new arrays), an array or a dict of arrays, scaled to about [-1, 1].

        Also defined on post-decision states. Floating arrays may have the state's dtype; the
        environments cast them to that of ``observation_space``.
        """

    def action_mask(self, instance: InstanceT, state: StateT) -> Array | None:
        """Allowed actions, or ``None`` where every action is.

        Booleans of shape (B, n) for Discrete(n); for MultiDiscrete the components side by side,
        shape (B, sum(nvec)), as sb3-contrib has it. Never all false in a state that is not final.
        """
        return None

    def passive_action(self, instance: InstanceT, state: StateT) -> Array:
        """Legal decisions that change little (numpy), where searches over decisions start.

        The default is the first legal value of every component; Box actions have none.
        """
        checker = ActionChecker(self)
        if not checker.discrete:
            raise NotImplementedError(f"{type(self).__name__} has no passive action")
        mask = self.action_mask(instance, state)
        first = 0 if mask is None else checker.best(np.asarray(mask))
        return np.broadcast_to(first, (state.num, *checker.shape)).astype(np.int64)

    def decode(self, observation: Any) -> tuple[InstanceT, StateT]:
        """Recover instances and states from a batch of observations (numpy).

        Only problems whose observations determine both have it.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be decoded from observations")

    def worst_completion(self, instance: InstanceT, state: StateT) -> Array:
        """A reward (B,) that no legal completion from ``state`` falls below.

        It is the penalty for an illegal action. Needed only where :meth:`action_mask` masks.
        """
        raise NotImplementedError(
            f"{type(self).__name__} masks actions, so it must define worst_completion"
        )

    def explain_invalid(self, action: np.ndarray) -> str:
        """Why a masked action (one batch row) is illegal, in plain words."""
        return f"action {action.tolist()} is masked in this state"

    def flags(self, state: StateT) -> dict[str, np.ndarray]:
        """What the state's ``info`` says beside the common entries, arrays of B rows (numpy)."""
        return {}

    # ---- speed ------------------------------------------------------------------------------

    def compiled(self) -> Problem[InstanceT, StateT, ExogenousT]:
        """Return the same problem with numba kernels for numpy arrays (default: itself)."""
        return self


AnyProblem = Problem[Any, Any, Any]
