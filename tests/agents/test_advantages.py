"""The estimators against worked figures and slow direct definitions."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from agents.pdppo.advantages import minimum_value, partial_returns, temporal_difference

T, B, GAMMA = 12, 3, 0.9


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=(T, B))
        for name in ("post_rewards", "exogenous_rewards", "values", "post_values")
    }
    dones = rng.random((T, B)) < 0.25
    dones[-1] = [True, False, False]
    assert dones[:-1].any(axis=0).all()
    return {**arrays, "dones": dones}


def column(*numbers):
    return np.array(numbers, dtype=float)[:, None]


#: gamma = 0.9, two periods, the episode ends; everything below is by hand.
EXAMPLE = {
    "post_rewards": column(-20, 0),
    "exogenous_rewards": column(-5, -3),
    "dones": np.array([[False], [True]]),
    "values": column(-6, -2),
    "post_values": column(-15, -1),
    "gamma": 0.9,
}


@pytest.mark.parametrize(
    ("combine", "expected"), [(np.maximum, (-1.7, 1)), (np.add, (-6.7, 0))], ids=["max", "sum"]
)
def test_partial_returns_worked_example(combine, expected):
    advantages, returns, post_returns = partial_returns(**EXAMPLE, combine=combine)
    np.testing.assert_allclose(returns, column(-7.7, -3))
    np.testing.assert_allclose(post_returns, column(-20, 0))
    np.testing.assert_allclose(advantages, column(*expected), atol=1e-12)


def test_minimum_value_worked_example():
    advantages, returns, post_returns = minimum_value(**EXAMPLE)
    np.testing.assert_allclose(returns, column(-27.7, -3))
    np.testing.assert_array_equal(returns, post_returns)
    np.testing.assert_allclose(advantages, column(-12.7, -1))


def test_sum_is_the_monte_carlo_advantage_of_the_summed_critics(data):
    whole = partial_returns(**data, gamma=GAMMA, combine=np.add)
    one = temporal_difference(
        **{**data, "values": data["values"] + data["post_values"], "dones": _cut(data["dones"])},
        last_values=np.zeros(B),
        gamma=GAMMA,
        lambda_decision=1,
        lambda_outcome=1,
    )
    np.testing.assert_allclose(whole[0], one[0], atol=1e-12)


def test_minimum_value_is_the_larger_advantage_of_two_critics_of_the_whole(data):
    advantages, returns, _ = minimum_value(**data, gamma=GAMMA)
    parts = [
        temporal_difference(
            **{**data, "values": values, "dones": _cut(data["dones"])},
            last_values=np.zeros(B),
            gamma=GAMMA,
            lambda_decision=1,
            lambda_outcome=1,
        )
        for values in (data["values"], data["post_values"])
    ]
    np.testing.assert_allclose(advantages, np.maximum(parts[0][0], parts[1][0]), atol=1e-12)
    np.testing.assert_allclose(returns, parts[0][1], atol=1e-12)


def _cut(dones):
    """The published returns end with the buffer."""
    return np.vstack([dones[:-1], np.ones((1, B), bool)])


def test_partial_returns_are_their_definition(data):
    advantages, returns, post_returns = partial_returns(**data, gamma=GAMMA, combine=np.maximum)
    for b in range(B):
        for t in range(T):
            end = t
            while end < T - 1 and not data["dones"][end, b]:
                end += 1
            discount = GAMMA ** np.arange(end - t + 1)
            first = discount @ data["exogenous_rewards"][t : end + 1, b]
            second = discount @ data["post_rewards"][t : end + 1, b]
            assert returns[t, b] == pytest.approx(first)
            assert post_returns[t, b] == pytest.approx(second)
            assert advantages[t, b] == pytest.approx(
                max(first - data["values"][t, b], second - data["post_values"][t, b])
            )


def test_the_maximum_is_biased_upwards_and_the_sum_is_not():
    # E max of two independent N(0, sigma^2) is sigma / sqrt(pi) = 0.564 sigma, though both
    # critics are exact (their errors have mean zero).
    sigma, num = 3.0, 200_000
    noise = np.random.default_rng(0).normal(scale=sigma, size=(2, 1, num))
    zero = np.zeros((1, num))
    dones = np.ones((1, num), bool)
    means = [
        partial_returns(*noise, dones, zero, zero, 0.99, combine)[0].mean() / sigma
        for combine in (np.maximum, np.add)
    ]
    assert means == pytest.approx([1 / np.sqrt(np.pi), 0], abs=0.01)


def test_temporal_difference_is_its_definition(data):
    """A as the explicit sum over half-steps, weighted by products of the decays."""
    one, two = 0.7, 0.6
    last = np.array([0.3, -0.4, 0.5])
    advantages, returns, post_returns = temporal_difference(
        **data, last_values=last, gamma=GAMMA, lambda_decision=one, lambda_outcome=two
    )
    for b in range(B):
        for t in range(T):
            decisions, outcomes = [], []
            for k in range(t, T):
                done = data["dones"][k, b]
                following = data["values"][k + 1, b] if k + 1 < T else last[b]
                decisions.append(
                    data["post_rewards"][k, b] + data["post_values"][k, b] - data["values"][k, b]
                )
                outcomes.append(
                    data["exogenous_rewards"][k, b]
                    + (0 if done else GAMMA * following)
                    - data["post_values"][k, b]
                )
                if done:
                    break
            decay = GAMMA * one * two
            expected = sum(
                decay**k * (x + one * w)
                for k, (x, w) in enumerate(zip(decisions, outcomes, strict=True))
            )
            # After the decision: the outcome now, then later half-steps.
            later = outcomes[0] + sum(
                GAMMA * two * decay ** (k - 1) * (decisions[k] + one * outcomes[k])
                for k in range(1, len(decisions))
            )
            assert advantages[t, b] == pytest.approx(expected)
            assert returns[t, b] == pytest.approx(expected + data["values"][t, b])
            assert post_returns[t, b] == pytest.approx(later + data["post_values"][t, b])


def test_temporal_difference_with_lambda_one_is_monte_carlo_ppo(data):
    buffer = RolloutBuffer(
        T, spaces.Box(0, 1, (1,)), spaces.Discrete(2), gamma=GAMMA, gae_lambda=1.0, n_envs=B
    )
    buffer.rewards = data["post_rewards"] + data["exogenous_rewards"]
    buffer.values = data["values"]
    buffer.episode_starts = np.vstack([np.ones((1, B)), data["dones"][:-1]])
    last = np.array([0.3, -0.4, 0.5])
    buffer.advantages = np.zeros((T, B))
    buffer.compute_returns_and_advantage(torch.tensor(last), data["dones"][-1])
    advantages, returns, _ = temporal_difference(
        **data, last_values=last, gamma=GAMMA, lambda_decision=1, lambda_outcome=1
    )
    np.testing.assert_allclose(advantages, buffer.advantages, atol=1e-12)
    np.testing.assert_allclose(returns, buffer.returns, atol=1e-12)


def test_lambda_decision_zero_takes_the_outcome_out(data):
    def advantages(exogenous):
        changed = {**data, "exogenous_rewards": exogenous}
        return temporal_difference(
            **changed, last_values=np.zeros(B), gamma=GAMMA, lambda_decision=0, lambda_outcome=0.9
        )[0]

    np.testing.assert_array_equal(
        advantages(data["exogenous_rewards"]), advantages(data["exogenous_rewards"] + 5)
    )


def test_deterministic_limit(data):
    """With r^x = r, r^w = 0 and no trace, the target of V^x is gamma V(s')."""
    data["exogenous_rewards"] = np.zeros((T, B))
    last = np.ones(B)
    _, _, post_returns = temporal_difference(
        **data, last_values=last, gamma=GAMMA, lambda_decision=0, lambda_outcome=0
    )
    following = np.vstack([data["values"][1:], last[None]])
    np.testing.assert_allclose(post_returns, GAMMA * following * ~data["dones"])


def test_inputs_are_not_changed(data):
    before = {name: array.copy() for name, array in data.items()}
    partial_returns(**data, gamma=GAMMA, combine=np.maximum)
    minimum_value(**data, gamma=GAMMA)
    temporal_difference(
        **data, last_values=np.zeros(B), gamma=GAMMA, lambda_decision=0.5, lambda_outcome=0.5
    )
    for name, array in data.items():
        np.testing.assert_array_equal(array, before[name])
