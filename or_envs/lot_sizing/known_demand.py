"""Deterministic lot-sizing: the demand of all periods is known from the start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, gather
from or_envs.core.random import Generators
from or_envs.lot_sizing.instances import Family, LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


@dataclasses.dataclass(frozen=True)
class KnownDemandInstance(LotSizingInstance):
    """Data of the deterministic problem; the demand was drawn from ``demand_probability``.

    Attributes
    ----------
    demand
        Units wanted in every period, (B, T, n).
    """

    demand: Array


class KnownDemandLotSizing(LotSizing):
    """Lot-sizing with a demand path that the instance holds and the agent sees.

    The path is drawn with every episode from the instance's law, and nothing is random after
    that: there is no exogenous information. The dynamics are those of
    :class:`or_envs.lot_sizing.problem.LotSizing`. The task ends after T periods (terminated). The
    observation ends with t / T, with ``instance="random"`` the instance's data, and the demand of
    the periods to come, next period first and zero after the end, as a fraction of the largest
    possible demand (T n).

    Parameters
    ----------
    instance, n_items, n_machines, family, start
        See :class:`or_envs.lot_sizing.problem.LotSizing`.
    horizon
        Periods T.

    Raises
    ------
    ValueError
        If an argument is outside its range or the instance cannot be read.
    """

    stationary_demand: ClassVar[bool] = False

    def __init__(
        self,
        instance: str = "15x5",
        n_items: int | None = None,
        n_machines: int | None = None,
        family: Family | None = None,
        horizon: int = 20,
        start: Literal["random", "given"] = "random",
    ) -> None:
        super().__init__(
            instance, n_items, n_machines, family, horizon, finite_horizon=True, start=start
        )

    def _observation_space(self) -> gym.spaces.Box:
        (size,) = super()._observation_space().shape
        return gym.spaces.Box(0.0, 1.0, (size + self.horizon * self.n_items,), np.float32)

    # ---- data -------------------------------------------------------------------------------

    def sample_instances(self, rngs: Generators) -> KnownDemandInstance:
        """Draw start states and demand paths (and, with instance="random", everything else)."""
        data = super().sample_instances(rngs)
        path = super().sample_exogenous(data, rngs).demand
        return KnownDemandInstance(
            **{name: getattr(data, name) for name in data.names()}, demand=path
        )

    def sample_exogenous(self, instance: LotSizingInstance, rngs: Generators) -> None:  # type: ignore[override]
        """Nothing is random."""
        return

    def apply_options(
        self,
        instance: LotSizingInstance,
        exogenous: LotSizingDemand | None,
        options: Mapping[str, Any],
    ) -> tuple[LotSizingInstance, LotSizingDemand | None]:
        """Force "inventory", "setup" or "demand", the last up to the largest possible demand."""
        known, forced = super().apply_options(instance, None, options)
        if forced is not None:
            largest = known.demand_probability.shape[-1] - 1
            if (forced.demand > largest).any():
                raise ValueError(
                    f"options: 'demand' must hold numbers in [0, {largest}], got"
                    f" {forced.demand.max()}"
                )
            assert isinstance(known, KnownDemandInstance)
            known = dataclasses.replace(known, demand=forced.demand)
        return known, None

    # ---- dynamics ---------------------------------------------------------------------------

    def transition(
        self,
        instance: LotSizingInstance,
        post_state: LotSizingState,
        exogenous: LotSizingDemand | None,
    ) -> tuple[LotSizingState, Array, Array]:
        """Serve the period's demand, lose what is short, pay holding.

        A planner may ask "what if" by giving another demand than the instance's.
        """
        if exogenous is None:
            exogenous = LotSizingDemand(self._demand(instance, post_state.period, 1)[:, 0, :])
        return super().transition(instance, post_state, exogenous)

    def expected_outcome(self, instance: LotSizingInstance, post_state: LotSizingState) -> Array:
        """Reward (B,) of the outcome, which is known."""
        return self.transition(instance, post_state, None)[1]

    def _demand(self, instance: LotSizingInstance, period: Array, num: int) -> Array:
        """Demand (B, num, n) of the periods from ``period`` on, zero after the end."""
        assert isinstance(instance, KnownDemandInstance)
        xp = array_namespace(instance.demand)
        ahead = period[:, None] + xp.arange(num, dtype=period.dtype, device=period.device)
        last = xp.full_like(ahead, self.horizon - 1)
        demand = gather(xp, instance.demand, xp.minimum(ahead, last))
        return demand * xp.astype(ahead <= last, demand.dtype)[:, :, None]

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """As the parent's, then the demand to come."""
        seen = super().observation(instance, state)
        xp = array_namespace(seen)
        path = self._demand(instance, state.period, self.horizon)
        largest = instance.demand_probability.shape[-1] - 1
        return xp.concat([seen, xp.reshape(path / largest, (path.shape[0], -1))], axis=1)

    def decode(self, observation: Array) -> tuple[KnownDemandInstance, LotSizingState]:
        """As the parent's; the instance's demand is that to come, and zero in the past."""
        data, state = super().decode(observation)
        seen = np.asarray(observation, dtype=np.float64)[:, -self.horizon * self.n_items :]
        largest = data.demand_probability.shape[-1] - 1
        ahead = np.rint(seen * largest).reshape(-1, self.horizon, self.n_items)
        period = np.arange(self.horizon) - state.period[:, None]
        demand = np.take_along_axis(ahead, np.maximum(period, 0)[:, :, None], axis=1)
        demand = np.where(period[:, :, None] >= 0, demand, 0.0)
        return (
            KnownDemandInstance(
                **{name: getattr(data, name) for name in data.names()}, demand=demand
            ),
            state,
        )
