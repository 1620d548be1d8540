"""Stochastic discrete lot-sizing on parallel machines (SDLSP)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, Arrays
from or_envs.core.problem import Problem
from or_envs.core.random import Generators, generators, uniform
from or_envs.lot_sizing.instances import (
    LARGEST_LOST_SALES_COST,
    Family,
    LotSizingInstance,
    generate,
    load,
)


@dataclasses.dataclass(frozen=True)
class LotSizingState(Arrays):
    """State (I, sigma, t); the post-decision state has the same form.

    Attributes
    ----------
    inventory
        Units in stock, (B, n).
    setup
        Item each machine is set up for, 0 = none, integers (B, M).
    period
        Periods played, integers (B,).
    """

    inventory: Array
    setup: Array
    period: Array


@dataclasses.dataclass(frozen=True)
class LotSizingDemand(Arrays):
    """Demand in units: the whole trace (B, T, n), or one period (B, n)."""

    demand: Array


class LotSizing(Problem[LotSizingInstance, LotSizingState, LotSizingDemand]):
    """Which item does each machine make in each period, before demand is known?

    A machine that runs makes a full period's output of one item (small bucket, all or nothing). A
    change-over costs money and output; choosing idle forgets the setup. Demand that stock cannot
    meet is lost at a cost; stock above the cap vanishes after demand; the rest pays holding cost.
    The model is that of Felizardo et al. (arXiv 2504.05150) as their code plays it, without its
    accidents.

    - Action: MultiDiscrete([n + 1] * M), the item of each machine, 0 = idle.
    - Observation: float32 in [0, 1]: stock / cap (n), the one-hot setups (M (n + 1)), with
      ``finite_horizon`` the fraction t / T, and with ``instance="random"`` the instance's data.
    - Reward: minus setup cost (decision), minus lost-sales and holding cost (outcome); money.
    - End: a time limit after T periods (truncated), or with ``finite_horizon`` terminated.
    - Start: stock U{0..cap - 1}, each machine set up for an item that it can make, uniform; with
      ``start="given"`` the instance's ``initial_inventory`` and ``initial_setup``.
    - ``reset(options=...)``: "inventory" (n,), "setup" (M,), "demand" (T, n); one row for all
      environments of a batch, or a row each.
    - A masked action (an item that the machine cannot make) ends the episode; the penalty is the
      most that the remaining periods can cost: every machine changes over at its dearest, the
      largest possible demand is lost, and all stores are full.

    Parameters
    ----------
    instance
        A shipped name (see :data:`or_envs.lot_sizing.instances.NAMES`), the path of a JSON file in
        the schema of leokan92/pdppo, or "random" for a new instance in every episode.
    n_items, n_machines
        Size of random instances (default 15 and 5); refused for any other.
    family
        Law of random instances (default "published"), see
        :func:`or_envs.lot_sizing.instances.generate`; refused for any other.
    horizon
        Periods T (default: the instance's; 100 for random ones).
    finite_horizon
        The end of the horizon ends the task and the agent sees the time.
    start
        "random", as the published code trains and tests, or "given".
    observation_mode
        "full", or "inventory_only": the raw stocks and nothing else, as published.
    allow_invalid
        No mask, and the accidents of the published code: an item that the machine cannot make may
        be chosen, its setup is paid and its stock falls by the setup loss.

    Raises
    ------
    ValueError
        If an argument is outside its range or the instance cannot be read.
    """

    option_keys: ClassVar[tuple[str, ...]] = ("inventory", "setup", "demand")
    drawing: ClassVar[str | None] = "or_envs.lot_sizing.rendering:draw"
    #: Whether demand has the law ``demand_probability`` in every period, whatever is known.
    #: Where it has not, that law is the mean over periods.
    stationary_demand: ClassVar[bool] = True
    #: Whether a change-over costs ``setup_cost`` and ``setup_loss`` from whatever setup. Where it
    #: does not, these are means over the old setups.
    sequence_independent: ClassVar[bool] = True
    #: Fields of the instance that stocks are sums of, beside demand.
    unit_fields: ClassVar[tuple[str, ...]] = ("production", "setup_loss")

    def __init__(
        self,
        instance: str = "15x5",
        n_items: int | None = None,
        n_machines: int | None = None,
        family: Family | None = None,
        horizon: int | None = None,
        finite_horizon: bool = False,
        start: Literal["random", "given"] = "random",
        observation_mode: Literal["full", "inventory_only"] = "full",
        allow_invalid: bool = False,
    ) -> None:
        if observation_mode not in ("full", "inventory_only"):
            raise ValueError(
                f"observation_mode: expected 'full' or 'inventory_only', got {observation_mode!r}"
            )
        if start not in ("random", "given"):
            raise ValueError(f"start: expected 'random' or 'given', got {start!r}")
        self._data: LotSizingInstance | None = None
        self.family: Family = "published" if family is None else family
        if instance == "random":
            self.n_items = _at_least_one("n_items", 15 if n_items is None else n_items)
            self.n_machines = _at_least_one("n_machines", 5 if n_machines is None else n_machines)
            own_horizon = 100
            self._generate(generators(0, 1))  # refuses what the family does not allow
        else:
            if n_items is not None or n_machines is not None or family is not None:
                raise ValueError("n_items, n_machines, family: allowed only with instance='random'")
            self._data, own_horizon = self._load(instance)
            self.n_machines, self.n_items = self._data.production.shape[1:]
        self.horizon = _at_least_one("horizon", own_horizon if horizon is None else horizon)
        self.finite_horizon = finite_horizon
        self.start = start
        self.observation_mode = observation_mode
        self.allow_invalid = allow_invalid
        self.max_steps = self.horizon
        self.ends = "terminated" if finite_horizon else "truncated"
        self.action_space = gym.spaces.MultiDiscrete([self.n_items + 1] * self.n_machines)
        self.observation_space = self._observation_space()

    def _observation_space(self) -> gym.spaces.Box:
        n, m = self.n_items, self.n_machines
        if self.observation_mode == "inventory_only":
            # A negative stock is possible in the published dynamics only before demand.
            high = np.full(n, 100.0) if self._data is None else self._data.max_inventory[0]
            return gym.spaces.Box(0.0, high.astype(np.float32), (n,), np.float32)
        size = n + m * (n + 1) + self.finite_horizon
        if self._data is None:
            example = self._generate(generators(0, 1))
            size += sum(values.size for values, _ in self._observed_data(example))
        return gym.spaces.Box(0.0, 1.0, (size,), np.float32)

    # ---- data -------------------------------------------------------------------------------

    def _load(self, name: str) -> tuple[LotSizingInstance, int]:
        """A fixed instance, (1, ...), and its horizon."""
        return load(name)

    def _generate(self, rngs: Generators) -> LotSizingInstance:
        """Random instances."""
        return generate(self.n_items, self.n_machines, rngs, self.family)

    def sample_instances(self, rngs: Generators) -> LotSizingInstance:
        """Draw start states (and, with instance="random", everything else)."""
        data = self._generate(rngs) if self._data is None else self._data
        if self.start == "given":
            inventory = np.broadcast_to(data.initial_inventory, (len(rngs), self.n_items))
            setup = np.broadcast_to(data.initial_setup, (len(rngs), self.n_machines))
            return dataclasses.replace(
                data, initial_inventory=inventory.copy(), initial_setup=setup.copy()
            )
        draws = uniform(rngs, (self.n_items + self.n_machines,))
        inventory = np.floor(draws[:, : self.n_items] * data.max_inventory)
        # The k-th makeable item of each machine, k uniform.
        makeable = data.production > 0
        count = makeable.sum(axis=2)
        kth = np.floor(draws[:, self.n_items :] * count) + 1
        place = (np.cumsum(makeable, axis=2) == kth[:, :, None]) & makeable
        setup = np.where(count > 0, place.argmax(axis=2) + 1, 0)
        return dataclasses.replace(data, initial_inventory=inventory, initial_setup=setup)

    def sample_exogenous(self, instance: LotSizingInstance, rngs: Generators) -> LotSizingDemand:
        """Draw the demand of all periods by inversion, independent over items and periods."""
        from or_envs.core.sampling import invert

        draws = uniform(rngs, (self.horizon, self.n_items))
        return LotSizingDemand(invert(draws, np.cumsum(instance.demand_probability, axis=-1)))

    def apply_options(
        self,
        instance: LotSizingInstance,
        exogenous: LotSizingDemand | None,
        options: Mapping[str, Any],
    ) -> tuple[LotSizingInstance, LotSizingDemand | None]:
        """Force "inventory", "setup" or "demand"."""
        num = instance.num
        if "inventory" in options:
            high = instance.max_inventory
            value = _forced("inventory", options["inventory"], (num, self.n_items), high)
            instance = dataclasses.replace(instance, initial_inventory=value)
        if "setup" in options:
            limit = np.array(self.n_items)
            value = _forced("setup", options["setup"], (num, self.n_machines), limit, whole=True)
            instance = dataclasses.replace(instance, initial_setup=value.astype(np.int64))
        if "demand" in options:
            shape = (num, self.horizon, self.n_items)
            value = _forced("demand", options["demand"], shape, np.array(np.inf))
            exogenous = LotSizingDemand(value)
        return instance, exogenous

    # ---- dynamics ---------------------------------------------------------------------------

    def initial(self, instance: LotSizingInstance) -> LotSizingState:
        """Start from the instance's stock and setups."""
        inventory = instance.initial_inventory
        xp = array_namespace(inventory)
        period = xp.zeros(inventory.shape[0], dtype=xp.int64, device=inventory.device)
        return LotSizingState(inventory, instance.initial_setup, period)

    def post_decision(
        self, instance: LotSizingInstance, state: LotSizingState, action: Array
    ) -> tuple[LotSizingState, Array]:
        """Pay the change-overs and add the production; the cap acts only after demand."""
        xp = array_namespace(state.inventory)
        number = state.inventory.dtype
        items = xp.arange(1, self.n_items + 1, dtype=action.dtype, device=action.device)
        made = xp.astype(action[:, :, None] == items, number)
        changeover = made * xp.astype(action != state.setup, number)[:, :, None]
        output = made * instance.production - changeover * self._loss(xp, instance)
        inventory = state.inventory + xp.sum(output, axis=1)
        cost = xp.sum(xp.sum(changeover * instance.setup_cost, axis=2), axis=1)
        return LotSizingState(inventory, action, state.period), -cost

    def transition(
        self,
        instance: LotSizingInstance,
        post_state: LotSizingState,
        exogenous: LotSizingDemand | None,
    ) -> tuple[LotSizingState, Array, Array]:
        """Serve demand, lose what is short, let surplus above the cap vanish, pay holding."""
        assert exogenous is not None
        xp = array_namespace(post_state.inventory)
        left = post_state.inventory - exogenous.demand
        zero = xp.zeros_like(left)
        lost = xp.maximum(-left, zero)
        inventory = xp.minimum(xp.maximum(left, zero), instance.max_inventory + zero)
        cost = xp.sum(instance.lost_sales_cost * lost + instance.holding_cost * inventory, axis=1)
        period = post_state.period + 1
        terminal = period >= (self.horizon if self.finite_horizon else self.horizon + 1)
        return LotSizingState(inventory, post_state.setup, period), -cost, terminal

    def expected_outcome(self, instance: LotSizingInstance, post_state: LotSizingState) -> Array:
        """E[reward of the outcome | post-decision state], (B,), exact for any real stock.

        Minus sum_i of rho_i E(D_i - I_i)+ + h_i E min(cap_i, (I_i - D_i)+), with the expectation
        taken over ``demand_probability``. On torch it is differentiable in stock and data.
        """
        inventory = post_state.inventory[:, :, None]
        xp = array_namespace(inventory)
        law = instance.demand_probability
        units = xp.arange(law.shape[2], dtype=inventory.dtype, device=inventory.device)
        left = inventory - units
        zero = xp.zeros_like(left)
        kept = xp.minimum(xp.maximum(left, zero), instance.max_inventory[:, :, None] + zero)
        cost = (
            instance.lost_sales_cost[:, :, None] * xp.maximum(-left, zero)
            + instance.holding_cost[:, :, None] * kept
        )
        return -xp.sum(xp.sum(law * cost, axis=2), axis=1)

    def _loss(self, xp: Any, instance: LotSizingInstance) -> Array:
        """A change-over cannot lose more than the period's output, except as published."""
        if self.allow_invalid:
            return instance.setup_loss
        return xp.minimum(instance.setup_loss, instance.production)

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """Scaled stock, one-hot setups and, where asked for, time and instance data."""
        xp = array_namespace(state.inventory)
        number = state.inventory.dtype
        num = state.inventory.shape[0]
        if self.observation_mode == "inventory_only":
            return xp.asarray(state.inventory, copy=True)
        items = xp.arange(self.n_items + 1, dtype=state.setup.dtype, device=state.setup.device)
        one_hot = xp.astype(state.setup[:, :, None] == items, number)
        parts = [state.inventory / instance.max_inventory, xp.reshape(one_hot, (num, -1))]
        if self.finite_horizon:
            parts.append(xp.astype(state.period, number)[:, None] / self.horizon)
        if self._data is None:
            for values, largest in self._observed_data(instance):
                flat = xp.reshape(values / largest, (values.shape[0], -1))
                parts.append(flat + xp.zeros((num, 1), dtype=number, device=flat.device))
        return xp.concat(parts, axis=1)

    def _observed_data(self, instance: LotSizingInstance) -> list[tuple[Array, float]]:
        """Data of a random instance that the agent sees, each with its largest value."""
        return [
            (instance.production, 40.0),
            (instance.setup_cost, 30.0),
            (instance.setup_loss, 3.0),
            (instance.holding_cost, 0.01),
            (instance.lost_sales_cost, LARGEST_LOST_SALES_COST[self.family]),
        ]

    def decode(self, observation: Array) -> tuple[LotSizingInstance, LotSizingState]:
        """Recover the state, and the instance as started from it, from observations (numpy).

        The inverse of :meth:`observation` on states and post-decision states. Stocks, float32
        fractions of the cap, are rounded back to whole units. The period is 0 where it is not
        observed, that is without ``finite_horizon``.

        Parameters
        ----------
        observation
            (B, size of the observation space).

        Raises
        ------
        ValueError
            If observations of this problem do not determine the state (``observation_mode=
            "inventory_only"``, ``instance="random"``, or data that make fractional stocks), or
            the array is no batch of observations.
        """
        data = self._decodable()
        seen = np.asarray(observation, dtype=np.float64)
        size = gym.spaces.flatdim(self.observation_space)
        if seen.ndim != 2 or seen.shape[1] != size:
            raise ValueError(f"observation: expected shape (B, {size}), got {seen.shape}")
        n, m = self.n_items, self.n_machines
        stock = seen[:, :n] * data.max_inventory
        inventory = np.rint(stock)
        if not (np.abs(stock - inventory) < 0.01).all():
            raise ValueError(
                "observation: stocks must be whole units, got one"
                f" {np.abs(stock - inventory).max():g} units off"
            )
        one_hot = seen[:, n : n + m * (n + 1)].reshape(-1, m, n + 1)
        if not (np.isin(one_hot, (0, 1)).all() and (one_hot.sum(axis=2) == 1).all()):
            raise ValueError("observation: the setups must be one-hot")
        setup = one_hot.argmax(axis=2)
        period = np.zeros(len(seen), dtype=np.int64)
        if self.finite_horizon:
            period = np.rint(seen[:, n + m * (n + 1)] * self.horizon).astype(np.int64)
        instance = dataclasses.replace(data, initial_inventory=inventory, initial_setup=setup)
        return instance, LotSizingState(inventory, setup, period)

    def _decodable(self) -> LotSizingInstance:
        """The fixed data, if observations determine the state."""
        if self.observation_mode != "full":
            raise ValueError(
                f"observation_mode: decoding needs 'full', got {self.observation_mode!r}"
            )
        if self._data is None:
            raise ValueError("instance: decoding needs a fixed one, got 'random'")
        for name in self.unit_fields:
            values = getattr(self._data, name)
            if (values != np.floor(values)).any():
                raise ValueError(f"instance: {name}: decoding needs whole units")
        return self._data

    def action_mask(self, instance: LotSizingInstance, state: LotSizingState) -> Array | None:
        """Idle and the items that the machine can make, (B, M (n + 1)) or shared (1, ...)."""
        if self.allow_invalid:
            return None
        xp = array_namespace(instance.production)
        can = instance.production > 0
        idle = xp.ones_like(can[:, :, :1])
        return xp.reshape(xp.concat([idle, can], axis=2), (can.shape[0], -1))

    def passive_action(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """Every machine goes on with what it is set up for."""
        return kept_setup(instance, state)

    def worst_completion(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """Every remaining period at its dearest; see the class."""
        xp = array_namespace(state.inventory)
        largest_demand = instance.demand_probability.shape[-1] - 1
        per_period = xp.sum(xp.max(instance.setup_cost, axis=2), axis=1) + xp.sum(
            instance.lost_sales_cost * largest_demand
            + instance.holding_cost * instance.max_inventory,
            axis=1,
        )
        return -per_period * xp.astype(self.horizon - state.period, state.inventory.dtype)

    def explain_invalid(self, action: np.ndarray) -> str:
        """Name the rule and the action."""
        return (
            f"action {action.tolist()} sets a machine up for an item that it cannot make"
            " (production 0)"
        )

    def compiled(self) -> LotSizing:
        """Return the twin with numba kernels; subclasses may change what these restate."""
        if type(self) is not LotSizing:
            return self
        from or_envs.lot_sizing.kernels import CompiledLotSizing

        return CompiledLotSizing(self)


def kept_setup(instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
    """Setups as decisions, (B, M) (numpy); idle where a machine cannot make its item."""
    setup = state.setup
    column = np.maximum(setup - 1, 0)[:, :, None]
    production = np.broadcast_to(instance.production, (len(setup), *instance.production.shape[1:]))
    output = np.take_along_axis(production, column, axis=2)[:, :, 0]
    return np.where(output > 0, setup, 0)


def _at_least_one(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
    return value


def _forced(
    name: str, value: Any, shape: tuple[int, ...], high: np.ndarray, whole: bool = False
) -> np.ndarray:
    """An option's value as an array of the batch's shape; one row serves the whole batch."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in (shape, shape[1:]):
        raise ValueError(
            f"options: {name!r} must have shape {shape[1:]} or {shape}, got {array.shape}"
        )
    if not ((array >= 0) & (array <= high)).all() or (whole and (array != np.floor(array)).any()):
        kind = "whole numbers" if whole else "numbers"
        raise ValueError(
            f"options: {name!r} must hold {kind} in [0, {np.max(high)}], got"
            f" {array.min()} to {array.max()}"
        )
    return np.broadcast_to(array, shape).copy()
