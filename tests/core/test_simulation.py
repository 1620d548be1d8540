"""Roll-outs: rules, given actions, policies, torch."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

import or_envs
from or_envs import RulePolicy, policy_rule, sample, simulate
from or_envs.core.arrays import concatenate, gather
from tests.cases import few_cases


def first_allowed(problem):
    def rule(instance, state):
        return problem.action_mask(instance, state).argmax(axis=1)

    return rule


def test_rule_and_its_actions_give_the_same_rollout():
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = sample(problem, 0, 4)
    by_rule = simulate(problem, first_allowed(problem), instance)
    np.testing.assert_array_equal(by_rule.actions, np.tile(np.arange(1, 6), (4, 1)))
    replayed = simulate(problem, by_rule.actions, instance)
    np.testing.assert_array_equal(by_rule.total_reward, replayed.total_reward)
    np.testing.assert_array_equal(replayed.num_steps, 5)


def test_rule_policy_plays_like_its_rule():
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    rule = first_allowed(problem)
    instance, _ = sample(problem, 7, 3)
    expected = simulate(problem, rule, instance).total_reward
    env = gym.make("or_envs/TSP-v0", num_cities=6)
    for row in range(3):
        observation, _ = env.reset(seed=7 + row)
        policy, total, over = RulePolicy(rule, env), 0.0, False
        while not over:
            action, _ = policy.predict(observation)
            observation, reward, over, _, _ = env.step(action)
            total += reward
        assert total == pytest.approx(expected[row])
    vector = gym.make_vec(
        "or_envs/TSP-v0", 3, vectorization_mode="vector_entry_point", num_cities=6
    )
    observation, _ = vector.reset(seed=7)
    assert RulePolicy(rule, vector).predict(observation)[0].shape == (3,)


class MaskedPolicy:
    """Takes the last allowed action, and notes what it was shown."""

    def predict(
        self, observation, state=None, episode_start=None, deterministic=True, action_masks=None
    ):
        self.seen = observation
        return action_masks.shape[1] - 1 - action_masks[:, ::-1].argmax(axis=1), None


def test_policies_see_observations_and_masks():
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=5)
    instance, _ = sample(problem, 0, 2)
    policy = MaskedPolicy()
    rollout = simulate(problem, policy_rule(problem, policy), instance)
    np.testing.assert_array_equal(rollout.actions, [[4, 3, 2, 1]] * 2)
    assert policy.seen["coordinates"].dtype == np.float32


class RuleMaker:
    """Decides by more than observations: to be asked for a rule, and for nothing else."""

    def decision_rule(self, problem, deterministic):
        self.asked = problem, deterministic
        return first_allowed(problem)


@pytest.mark.parametrize("deterministic", [True, False])
def test_policies_with_a_rule_are_asked_for_it(deterministic):
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=5)
    instance, _ = sample(problem, 0, 2)
    policy = RuleMaker()
    rollout = simulate(problem, policy_rule(problem, policy, deterministic), instance)
    np.testing.assert_array_equal(rollout.actions, [[1, 2, 3, 4]] * 2)
    assert policy.asked == (problem, deterministic)


def test_torch_rollout_equals_numpy_and_gives_gradients():
    problem = or_envs.make_problem("or_envs/LotSizing-v0", instance="VI-B", horizon=8)
    instance, demand = sample(problem, 0, 5)
    actions = np.random.default_rng(0).integers(0, 3, size=(5, 8, 1))
    expected = simulate(problem, actions, instance, demand)
    data = instance.to_torch(dtype=torch.float64)
    data.holding_cost.requires_grad_()
    rollout = simulate(problem, torch.tensor(actions), data, demand.to_torch(dtype=torch.float64))
    np.testing.assert_allclose(rollout.total_reward.detach(), expected.total_reward, atol=1e-12)
    rollout.total_reward.sum().backward()
    # The derivative with respect to the holding cost is the stock held.
    held = []
    state = problem.initial(instance)
    for step in range(8):
        post, _ = problem.post_decision(instance, state, actions[:, step])
        now = problem.exogenous_at(demand, np.full(5, step))
        state, _, _ = problem.transition(instance, post, now)
        held.append(state.inventory.sum(axis=0))
    np.testing.assert_allclose(data.holding_cost.grad[0], -np.sum(held, axis=0))


def test_shared_fields_stay_shared():
    problem = or_envs.make_problem("or_envs/LotSizing-v0", instance="VI-A")
    instance, _ = sample(problem, 0, 4)
    other, _ = sample(problem, 9, 2)
    assert instance.production.shape[0] == 1
    assert instance.num == 4
    both = concatenate([instance, other])
    assert both.num == 6
    assert both.production.shape[0] == 1
    np.testing.assert_array_equal(
        both.rows(np.array([4, 5])).initial_inventory, other.initial_inventory
    )
    merged = instance.replace_rows(np.array([1, 3]), other)
    assert merged.production.shape[0] == 1
    np.testing.assert_array_equal(merged.initial_inventory[[1, 3]], other.initial_inventory)
    np.testing.assert_array_equal(
        merged.initial_inventory[[0, 2]], instance.initial_inventory[[0, 2]]
    )
    dearer = dataclasses.replace(
        instance.rows(np.array([0])), holding_cost=10 * instance.holding_cost
    )
    mixed = instance.replace_rows(np.array([0]), dearer)
    np.testing.assert_array_equal(mixed.holding_cost[:, 0], [1.0, 0.1, 0.1, 0.1])
    assert instance.repeat(3).num == 12
    with pytest.raises(ValueError, match="at least one batch"):
        concatenate([])


@pytest.mark.parametrize("rows", [1, 4])
def test_gather(rows):
    rng = np.random.default_rng(0)
    x = rng.random((rows, 5, 2))
    index = rng.integers(0, 5, size=4)
    expected = np.stack([x[b if rows > 1 else 0, index[b]] for b in range(4)])
    np.testing.assert_array_equal(gather(np, x, index), expected)
    pairs = rng.integers(0, 5, size=(4, 3))
    expected = np.stack([x[b if rows > 1 else 0, pairs[b]] for b in range(4)])
    np.testing.assert_array_equal(gather(np, x, pairs), expected)


@few_cases
def test_dynamics_stay_on_their_device(id, kwargs):
    """Torch refuses to mix its "meta" device with the CPU, as it refuses to mix in a GPU."""
    problem = or_envs.make_problem(id, **kwargs)
    instance, exogenous = (
        None if data is None else data.to_torch("meta") for data in sample(problem, 0, 3)
    )
    shape = (3, problem.max_steps, *problem.action_space.shape)
    actions = torch.zeros(shape, dtype=torch.int64, device="meta")
    rollout = simulate(problem, actions, instance, exogenous)
    assert rollout.total_reward.device.type == "meta"
    seen = problem.observation(instance, rollout.state)
    for value in seen.values() if isinstance(seen, dict) else [seen]:
        assert value.device.type == "meta"
    if (mask := problem.action_mask(instance, rollout.state)) is not None:
        assert mask.device.type == "meta"
        assert problem.worst_completion(instance, rollout.state).device.type == "meta"
