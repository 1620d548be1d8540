"""The checker finds every kind of defect that it promises to find."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from or_envs.core.check import ProblemError, check_problem
from or_envs.core.random import uniform
from or_envs.lot_sizing.kernels import CompiledLotSizing
from or_envs.lot_sizing.problem import LotSizing, LotSizingState
from or_envs.routing.tsp import TSP, TSPInstance


class OneGeneratorForAll(TSP):
    def sample_instances(self, rngs):
        draws = uniform(rngs[:1], (len(rngs), self.num_cities, 2))
        return TSPInstance.euclidean(draws[0])


class Unrepeatable(TSP):
    def sample_instances(self, rngs):
        return TSPInstance.euclidean(
            np.random.default_rng().random((len(rngs), self.num_cities, 2))
        )


class WritesToItsState(LotSizing):
    def post_decision(self, instance, state, action):
        result = super().post_decision(instance, state, action)
        state.inventory[:] = 0
        return result


class Remembers(LotSizing):
    count = 0

    def transition(self, instance, post_state, exogenous):
        self.count += 1
        following, reward, terminal = super().transition(instance, post_state, exogenous)
        return following, reward + self.count, terminal


class RowsInteract(TSP):
    def post_decision(self, instance, state, action):
        following, reward = super().post_decision(instance, state, action)
        return following, reward + reward[:1]


class OutsideTheSpace(TSP):
    def observation(self, instance, state):
        seen = super().observation(instance, state)
        return {**seen, "origin": seen["origin"] + 2}


class SharedObservation(TSP):
    def observation(self, instance, state):
        seen = super().observation(instance, state)
        return {**seen, "coordinates": instance.coordinates}


class EmptyMask(TSP):
    def action_mask(self, instance, state):
        return state.remaining & False


class NeverEnds(TSP):
    def transition(self, instance, post_state, exogenous):
        following, reward, terminal = super().transition(instance, post_state, exogenous)
        return following, reward, terminal & False


class MildPenalty(TSP):
    def worst_completion(self, instance, state):
        return 0 * super().worst_completion(instance, state)


class NumpyOnly(TSP):
    """Partial integer indexing is outside the array API standard."""

    def post_decision(self, instance, state, action):
        xp = array_namespace(instance.coordinates)
        rows = xp.arange(action.shape[0])
        there = instance.coordinates[rows, action]
        return super().post_decision(instance, state, action)[0], -there[:, 0]


class WrongKernel(LotSizing):
    def compiled(self):
        twin = CompiledLotSizing(self)
        twin.allow_invalid = True
        twin.horizon = self.horizon
        original = twin.transition

        def transition(instance, post_state, exogenous):
            following, reward, terminal = original(instance, post_state, exogenous)
            return following, reward * 1.001, terminal

        twin.transition = transition
        return twin


class DetachedGradient(LotSizing):
    """The reward of the outcome loses its gradient on torch."""

    def transition(self, instance, post_state, exogenous):
        free = LotSizingState(
            post_state.inventory.detach()
            if hasattr(post_state.inventory, "detach")
            else post_state.inventory,
            post_state.setup,
            post_state.period,
        )
        return super().transition(instance, free, exogenous)


class SecretState(TSP):
    """The outcome depends on something that the post-decision state does not hold."""

    def post_decision(self, instance, state, action):
        following, reward = super().post_decision(instance, state, action)
        self._secret = getattr(self, "_secret", 0) + 1
        return following, reward

    def transition(self, instance, post_state, exogenous):
        following, reward, terminal = super().transition(instance, post_state, exogenous)
        return following, reward + self._secret, terminal


class OddMask(TSP):
    def action_mask(self, instance, state):
        return np.ones((state.num, 3), dtype=bool)


LAWS = [
    (OneGeneratorForAll, 6, r"row b must use rngs\[b\] only"),
    (Unrepeatable, 6, "equal generators must give equal instances"),
    (WritesToItsState, "VI-A", "post_decision: must not change its arguments"),
    (Remembers, "VI-A", "transition: equal arguments must give equal results"),
    (RowsInteract, 6, "rows must not interact"),
    (OutsideTheSpace, 6, "is not in the space"),
    (SharedObservation, 6, "shares memory"),
    (EmptyMask, 6, "all false"),
    (OddMask, 6, "action_mask: shape"),
    (NeverEnds, 6, "goes on after max_steps"),
    (MildPenalty, 6, "worst_completion"),
    (WrongKernel, "VI-A", "compiled kernels differ"),
    (DetachedGradient, "VI-A", "gradients"),
    (SecretState, 6, "batch rows must not interact|equal post-decision state"),
]


@pytest.mark.parametrize(("broken", "argument", "message"), LAWS, ids=lambda x: str(x)[:40])
def test_a_broken_law_is_found(broken, argument, message):
    with pytest.raises(ProblemError, match=message):
        check_problem(broken(argument))


def test_array_api_violation_is_found():
    pytest.importorskip("array_api_strict")
    with pytest.raises((IndexError, ProblemError)):
        check_problem(NumpyOnly(6))


class StopsEarly(TSP):
    """Episodes of unequal length."""

    def transition(self, instance, post_state, exogenous):
        following, reward, terminal = super().transition(instance, post_state, exogenous)
        return following, reward, terminal | (instance.coordinates[:, 1, 0] < 0.3)


class PaysAfterTheEnd(StopsEarly):
    """simulate sees a longer batch, single environments a shorter one."""

    def post_decision(self, instance, state, action):
        following, reward = super().post_decision(instance, state, action)
        return following, reward * (1 + (reward.shape[0] > 1))


def test_episodes_of_unequal_length():
    check_problem(StopsEarly(6))
    with pytest.raises(ProblemError, match="VectorEnv and Env: reward"):
        check_problem(PaysAfterTheEnd(6))
