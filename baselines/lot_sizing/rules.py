"""Decision rules for lot-sizing that need no model of the future but mean demand."""

from __future__ import annotations

import numpy as np

from baselines.lot_sizing.kernels import greedy_cover
from or_envs.extras import MissingExtraError
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizingState, kept_setup


class Idle:
    """Never produces."""

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return all-idle decisions, (B, M)."""
        return np.zeros_like(state.setup)


class KeepSetup:
    """Every machine makes for ever what it is set up for at the start.

    A machine that is set up for nothing, or for an item that it cannot make, stays idle.
    """

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the current setups, (B, M)."""
        return kept_setup(instance, state)


class StaticAssignment:
    """A constant assignment of machines to items, at most one machine per item.

    It maximises the sum of rho_i min(p_mi, E[D_i]), the lost-sales cost avoided per period, and
    reacts to nothing.
    """

    def __init__(self) -> None:
        self._instance: LotSizingInstance | None = None
        self._items = np.zeros((0, 0), dtype=np.int64)

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the assignment, (B, M)."""
        if instance is not self._instance:
            self._items = self.assignment(instance)
            self._instance = instance
        return np.broadcast_to(self._items, state.setup.shape)

    @staticmethod
    def assignment(instance: LotSizingInstance) -> np.ndarray:
        """Item of each machine, 0 = idle, (B, M), or (1, M) where the data are shared.

        Raises
        ------
        ImportError
            If scipy is missing.
        """
        try:
            from scipy.optimize import linear_sum_assignment
        except ModuleNotFoundError:
            raise MissingExtraError("the static assignment", "scipy") from None
        production = instance.production
        gain = instance.lost_sales_cost[:, None, :] * np.minimum(
            production, instance.mean_demand[:, None, :]
        )
        items = np.zeros(production.shape[:2], dtype=np.int64)
        for row in range(len(items)):
            machine, item = linear_sum_assignment(gain[row], maximize=True)
            items[row, machine] = np.where(gain[row, machine, item] > 0, item + 1, 0)
        return items


class GreedyCover:
    """Gives machines to items, the best pair first, until no pair gains.

    Making item i on machine m adds q = p - l [change-over] units, and the pair gains::

        rho (min(I + q, R E[D]) - min(I, R E[D])) - kappa c [change-over] + b [no change-over]

    Stock beyond R periods of mean demand is worth nothing. The stock of an item includes what the
    pairs already taken add; machines left over stay idle.

    Parameters
    ----------
    cover
        R, periods of mean demand.
    setup_weight
        kappa, share of the setup cost that counts.
    stay_bonus
        b, money.

        Each is a number, or an array (B,) with a value per batch row, so that a tuner can try
        many values in one roll-out.
    """

    def __init__(
        self,
        cover: float | np.ndarray,
        setup_weight: float | np.ndarray,
        stay_bonus: float | np.ndarray,
    ) -> None:
        self.settings = {
            "cover": cover,
            "setup_weight": setup_weight,
            "stay_bonus": stay_bonus,
        }
        self._parameters = [np.asarray(value, dtype=np.float64) for value in self.settings.values()]

    def __call__(self, instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        """Return the greedy decisions, (B, M)."""
        return greedy_cover(
            instance.production,
            instance.setup_cost,
            instance.setup_loss,
            instance.lost_sales_cost,
            instance.mean_demand,
            state.inventory,
            state.setup,
            *(np.broadcast_to(value, (state.num,)) for value in self._parameters),
        )
