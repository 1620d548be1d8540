"""Aircraft that follow a plan of departures."""

from __future__ import annotations

import numpy as np

from baselines.uam_fleet.time_network import TimeNetwork
from or_envs.uam_fleet.instances import UAMInstance
from or_envs.uam_fleet.problem import UAMFleet, UAMState


class Pilot:
    """Flies the planned departures of a vertiport in their order, each in its step or bin.

    An aircraft takes the first departure that is due, or that it could not take at its next
    decision while it still is the same bin; otherwise it stays. Departures that are not allowed
    wait.

    Parameters
    ----------
    problem
        A fleet.
    network
        The day that was planned, a batch of one.
    departures
        Flights of every route and step, integers (M, T).
    """

    def __init__(self, problem: UAMFleet, network: TimeNetwork, departures: np.ndarray) -> None:
        self.problem = problem.compiled()
        self.network = network
        self._left: list[list[tuple[int, int]]] = [[] for _ in network.start]
        for t, m in np.argwhere(departures.T > 0):
            flights = [(int(t), int(network.destination[m]))] * int(departures[m, t])
            self._left[int(network.origin[m])] += flights

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destination, (1,)."""
        k = int(state.ready[0].argmin())
        here, now = int(state.location[0, k]), float(state.ready[0, k])
        network, setting = self.network, self.problem.setting
        step = int(now / network.step + 1e-9)
        following = int((now + setting.stay) / network.step + 1e-9)
        mask = self.problem.action_mask(instance, state)[0]
        for number, (planned, destination) in enumerate(self._left[here]):
            if planned >= following or (
                planned > step and network.bin[planned] != int(state.bin[0])
            ):
                break
            if mask[destination]:
                del self._left[here][number]
                return np.array([destination])
        return np.array([here if mask[here] else int(mask.argmax())])
