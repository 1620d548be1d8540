"""Lot-sizing with seasonal demand."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar, Literal

import gymnasium as gym
import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, gather
from or_envs.core.random import Generators, uniform
from or_envs.lot_sizing.demand import side_by_side, thinned
from or_envs.lot_sizing.instances import Family, LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


@dataclasses.dataclass(frozen=True)
class SeasonalInstance(LotSizingInstance):
    """Data of the seasonal problem; ``demand_probability`` is the mean law over a season.

    Attributes
    ----------
    seasonal_probability
        Law of demand in every period of the season, (B, S, n, K + 1); period t has phase t mod S.
    """

    seasonal_probability: Array


class SeasonalLotSizing(LotSizing):
    """Lot-sizing whose demand has the mean E[D] (1 + amplitude sin(2 pi t / season)) in period t.

    E[D] and everything else come from the instance. In a weak period each unit of the instance's
    demand D is wanted with probability f = 1 + amplitude sin(...) <= 1. In a strong one (f > 1)
    demand is D plus an independent copy of it of which each unit is wanted with probability f - 1.
    Binomial(20, 0.4) thus becomes Binomial(20, 0.4 f) in weak periods.

    All is as in :class:`or_envs.lot_sizing.problem.LotSizing`, except that the observation ends
    with sin and cos of 2 pi t / season, in [-1, 1]. Rules that read ``demand_probability`` or
    ``mean_demand`` of the instance see the mean over the season.

    Parameters
    ----------
    instance, n_items, n_machines, family, horizon, finite_horizon, start
        See :class:`or_envs.lot_sizing.problem.LotSizing`.
    season
        Periods of a season, at least 2.
    amplitude
        In [0, 1].

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
        horizon: int | None = None,
        finite_horizon: bool = False,
        start: Literal["random", "given"] = "random",
        season: int = 25,
        amplitude: float = 0.5,
    ) -> None:
        if not isinstance(season, int) or season < 2:
            raise ValueError(f"season: expected an integer >= 2, got {season!r}")
        if not 0 <= amplitude <= 1:
            raise ValueError(f"amplitude: expected a number in [0, 1], got {amplitude!r}")
        self.season = season
        self.amplitude = amplitude
        super().__init__(
            instance, n_items, n_machines, family, horizon, finite_horizon, start=start
        )

    def _observation_space(self) -> gym.spaces.Box:
        inner = super()._observation_space()
        low, high = np.append(inner.low, [-1, -1]), np.append(inner.high, [1, 1])
        return gym.spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    # ---- data -------------------------------------------------------------------------------

    def _load(self, name: str) -> tuple[SeasonalInstance, int]:
        data, horizon = super()._load(name)
        return self._with_season(data), horizon

    def _generate(self, rngs: Generators) -> SeasonalInstance:
        return self._with_season(super()._generate(rngs))

    def _with_season(self, data: LotSizingInstance) -> SeasonalInstance:
        # The laws of random instances are the same in every row: made and stored once.
        laws = data.demand_probability[0]
        factors = 1 + self.amplitude * np.sin(2 * np.pi * np.arange(self.season) / self.season)
        distinct, number = np.unique(laws, axis=0, return_inverse=True)
        changed = [_scaled(tuple(law), factor) for factor in factors for law in distinct]
        scaled = side_by_side(changed).reshape(self.season, len(distinct), -1)[:, number]
        mean = np.tile(scaled.mean(axis=0), (len(data.demand_probability), 1, 1))
        fields = {name: getattr(data, name) for name in data.names()}
        return SeasonalInstance(
            **{**fields, "demand_probability": mean}, seasonal_probability=scaled[None]
        )

    def sample_exogenous(self, instance: LotSizingInstance, rngs: Generators) -> LotSizingDemand:
        """Draw the demand of all periods by inversion, each from the law of its phase."""
        from or_envs.core.sampling import invert

        assert isinstance(instance, SeasonalInstance)
        demand = uniform(rngs, (self.horizon, self.n_items))
        cumulative = np.cumsum(instance.seasonal_probability, axis=-1)
        for phase in range(min(self.season, self.horizon)):
            of_phase = slice(phase, None, self.season)
            demand[:, of_phase] = invert(demand[:, of_phase], cumulative[:, phase])
        return LotSizingDemand(demand)

    # ---- dynamics ---------------------------------------------------------------------------

    def expected_outcome(self, instance: LotSizingInstance, post_state: LotSizingState) -> Array:
        """E[reward of the outcome | post-decision state], (B,), with the law of its period."""
        assert isinstance(instance, SeasonalInstance)
        xp = array_namespace(post_state.period)
        law = gather(xp, instance.seasonal_probability, post_state.period % self.season)
        return super().expected_outcome(
            dataclasses.replace(instance, demand_probability=law), post_state
        )

    # ---- what the agent sees ----------------------------------------------------------------

    def observation(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """As the parent's, then sin and cos of the phase."""
        seen = super().observation(instance, state)
        xp = array_namespace(seen)
        angle = xp.astype(state.period, seen.dtype)[:, None] * (2 * np.pi / self.season)
        return xp.concat([seen, xp.sin(angle), xp.cos(angle)], axis=1)

    def decode(self, observation: Array) -> tuple[LotSizingInstance, LotSizingState]:
        """As the parent's; where the period is not observed, it is the phase 0..season - 1."""
        instance, state = super().decode(observation)
        if self.finite_horizon:
            return instance, state
        sin, cos = np.asarray(observation, dtype=np.float64)[:, -2:].T
        phase = np.rint(np.arctan2(sin, cos) * self.season / (2 * np.pi)).astype(np.int64)
        return instance, dataclasses.replace(state, period=phase % self.season)


@functools.lru_cache(maxsize=10_000)
def _scaled(law: tuple[float, ...], factor: float) -> np.ndarray:
    """Law with ``factor`` times the mean, 0 <= factor <= 2; see :class:`SeasonalLotSizing`.

    Kept, because every episode with a random instance asks for the same laws again.
    """
    units = np.array(law)
    if factor <= 1:
        return thinned(units, factor)
    return np.convolve(units, thinned(units, factor - 1))
