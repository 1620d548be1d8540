"""Lot-sizing with change-overs that depend on the old and the new item."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace

from or_envs.core.arrays import Array, gather
from or_envs.core.random import Generators, uniform
from or_envs.lot_sizing import instances as published
from or_envs.lot_sizing.instances import Family, LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState
from or_envs.lot_sizing.reader import Reader

#: Instances shipped with the package, by name. "sequence-dependent-15x5" is
#: ``generate(15, 5, generators(15005, 1))``.
NAMES = ("sequence-dependent-15x5",)

#: Items i and j are of the same kind where i = j modulo this.
KINDS = 3


@dataclasses.dataclass(frozen=True)
class SequenceDependentInstance(LotSizingInstance):
    """Data of the sequence-dependent problem.

    ``setup_cost`` and ``setup_loss`` are the means of a change-over to an item over all old setups
    but the item itself; rules may use them, the dynamics do not.

    Attributes
    ----------
    changeover_cost, changeover_loss
        Money, and units lost, in the period in which machine m changes from setup i to setup j,
        (B, M, n + 1, n + 1); index 0 is "idle". Keeping a setup costs nothing; going idle may cost
        money, and loses no units.
    """

    changeover_cost: Array
    changeover_loss: Array


class SequenceDependentLotSizing(LotSizing):
    """Lot-sizing whose change-over cost and loss depend on the old and on the new setup.

    All is as in :class:`or_envs.lot_sizing.problem.LotSizing`, except that machine m pays
    ``changeover_cost[m, i, j]`` and loses ``changeover_loss[m, i, j]`` units of its output in the
    period in which it changes from setup i to setup j, and that with ``instance="random"`` the
    observation holds these in place of the setup data. Going idle forgets the setup and may cost
    money too.

    Parameters
    ----------
    instance
        A name in :data:`NAMES`, the path of a JSON file whose "setup_costs" and "setup_loss" have
        the shape (M, n + 1, n + 1), or "random", see :func:`generate`.
    n_items, n_machines, family, horizon, finite_horizon, start
        See :class:`or_envs.lot_sizing.problem.LotSizing`.

    Raises
    ------
    ValueError
        If an argument is outside its range or the instance cannot be read.
    """

    sequence_independent: ClassVar[bool] = False
    unit_fields: ClassVar[tuple[str, ...]] = ("production", "changeover_loss")

    def __init__(
        self,
        instance: str = "sequence-dependent-15x5",
        n_items: int | None = None,
        n_machines: int | None = None,
        family: Family | None = None,
        horizon: int | None = None,
        finite_horizon: bool = False,
        start: Literal["random", "given"] = "random",
    ) -> None:
        super().__init__(
            instance, n_items, n_machines, family, horizon, finite_horizon, start=start
        )

    def _load(self, name: str) -> tuple[SequenceDependentInstance, int]:
        return load(name)

    def _generate(self, rngs: Generators) -> SequenceDependentInstance:
        return generate(self.n_items, self.n_machines, rngs, self.family)

    # ---- dynamics ---------------------------------------------------------------------------

    def post_decision(
        self, instance: LotSizingInstance, state: LotSizingState, action: Array
    ) -> tuple[LotSizingState, Array]:
        """Pay the change-overs from the old setups and add the production."""
        assert isinstance(instance, SequenceDependentInstance)
        xp = array_namespace(state.inventory)
        number = state.inventory.dtype
        size = self.n_items + 1
        machine = xp.arange(self.n_machines, dtype=action.dtype, device=action.device)
        place = (machine * size + state.setup) * size + action

        def of_changeover(matrices: Array) -> Array:
            flat = xp.reshape(matrices, (matrices.shape[0], self.n_machines * size * size))
            return gather(xp, flat, place)

        items = xp.arange(1, size, dtype=action.dtype, device=action.device)
        made = xp.astype(action[:, :, None] == items, number)
        loss = of_changeover(instance.changeover_loss)[:, :, None] * made
        output = made * instance.production - xp.minimum(loss, made * instance.production)
        cost = xp.sum(of_changeover(instance.changeover_cost), axis=1)
        inventory = state.inventory + xp.sum(output, axis=1)
        return LotSizingState(inventory, action, state.period), -cost

    def worst_completion(self, instance: LotSizingInstance, state: LotSizingState) -> Array:
        """Every remaining period at its dearest; see the parent class."""
        assert isinstance(instance, SequenceDependentInstance)
        xp = array_namespace(state.inventory)
        dearest = xp.max(instance.changeover_cost, axis=2)
        return super().worst_completion(dataclasses.replace(instance, setup_cost=dearest), state)

    # ---- what the agent sees ----------------------------------------------------------------

    def _observed_data(self, instance: LotSizingInstance) -> list[tuple[Array, float]]:
        assert isinstance(instance, SequenceDependentInstance)
        production, setup_cost, setup_loss, *others = super()._observed_data(instance)
        return [
            production,
            (instance.changeover_cost, setup_cost[1]),
            (instance.changeover_loss, setup_loss[1]),
            *others,
        ]


def generate(
    n_items: int, n_machines: int, rngs: Generators, family: Family = "published"
) -> SequenceDependentInstance:
    """Draw instances: of the family, with a change-over drawn for every machine, old and new item.

    Items i and j are of one kind where i = j modulo :data:`KINDS`. Between kinds, and from idle,
    cost and loss follow the published law of setups; within a kind the cost is a third of that,
    rounded down, and the loss 1. Going idle is free.
    """
    data = published.generate(n_items, n_machines, rngs, family)
    size = n_items + 1
    u = uniform(rngs, (3, n_machines, size, size))
    item = np.arange(size)
    cost = np.where(u[:, 0] < 0.2, 15.0, 16 + np.floor(15 * u[:, 1]))
    loss = 1.0 + (u[:, 2] >= 0.7) + (u[:, 2] >= 0.85)
    alike = (item[:, None] % KINDS == item % KINDS) & (item[:, None] > 0)
    cost = np.where(alike, np.floor(cost / 3), cost)
    loss = np.where(alike, 1.0, loss)
    changes = (item[:, None] != item) & (item > 0)
    return _with_changeovers(data, cost * changes, loss * changes)


def load(name: str) -> tuple[SequenceDependentInstance, int]:
    """Load a shipped instance by name, or a file by path.

    The schema is that of :func:`or_envs.lot_sizing.instances.parse`, but for "setup_costs" and
    "setup_loss", which have the shape (M, n + 1, n + 1): of machine m from setup i to setup j,
    0 = idle, zero where i = j. Losses of going idle are read as 0: an idle machine has no output.

    Returns
    -------
    tuple
        A batch of one, and the horizon in periods.

    Raises
    ------
    ValueError
        If the name is unknown or the file is damaged; the message names file and field.
    """
    reader = Reader.from_text(*published.read_text(name, NAMES))
    m, n = reader.integer("n_machines", 1), reader.integer("n_items", 1)

    def matrices(field: str) -> np.ndarray:
        values = reader.array(field, (m, n + 1, n + 1))
        if np.diagonal(values, axis1=1, axis2=2).any():
            raise ValueError(f"{reader.source}: {field}: keeping a setup must cost nothing")
        return values

    cost, loss = matrices("setup_costs"), matrices("setup_loss")
    loss[:, :, 0] = 0
    data, horizon = published.read_instance(reader, np.zeros((m, n)), np.zeros((m, n)))
    return _with_changeovers(data, cost[None], loss[None]), horizon


def _with_changeovers(
    data: LotSizingInstance, cost: np.ndarray, loss: np.ndarray
) -> SequenceDependentInstance:
    """Instance with the given change-overs, zero on the diagonals, and their means."""
    n_items = data.production.shape[2]
    fields = {name: getattr(data, name) for name in data.names()}
    fields["setup_cost"] = cost.sum(axis=2)[:, :, 1:] / n_items
    fields["setup_loss"] = loss.sum(axis=2)[:, :, 1:] / n_items
    return SequenceDependentInstance(**fields, changeover_cost=cost, changeover_loss=loss)
