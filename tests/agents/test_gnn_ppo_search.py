"""GNN-PPO: decoders."""

import itertools

import numpy as np
import pytest
import torch

import or_envs
from agents.gnn_ppo.search import CompleteByPolicy, Pilot, best_of, decoder, greedy, pilot
from or_envs.job_shop.instances import JobShopInstance
from or_envs.job_shop.pilot import look_ahead
from tests.agents.gnn_ppo_helpers import POLICIES, model_of, problem_of

DECODERS = ("greedy", "samples:8", "samples:8:2.5", "pilot:3")


def optimum(problem, instance, state=None):
    """Largest total reward by trying everything."""
    state = problem.initial(instance) if state is None else state
    best = -np.inf
    for action in np.flatnonzero(problem.action_mask(instance, state)[0]):
        post, reward = problem.post_decision(instance, state, np.array([action]))
        following, outcome, over = problem.transition(instance, post, None)
        value = reward[0] + outcome[0]
        if not over[0]:
            value += optimum(problem, instance, following)
        best = max(best, value)
    return best


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("policy", POLICIES)
def test_decoders_return_episodes_with_their_makespans(policy, name):
    model = model_of(policy)
    problem = problem_of(num_jobs=5, observation=POLICIES[policy])
    instance, _ = or_envs.sample(problem, 0, 4)
    torch.manual_seed(0)
    found = decoder(name, model.policy, problem)(instance)
    again = or_envs.simulate(problem, np.maximum(found.actions, 0), instance)
    np.testing.assert_array_equal(again.total_reward, found.total_reward)
    np.testing.assert_array_equal(again.num_steps, found.num_steps)
    np.testing.assert_array_equal(again.total_reward, -again.state.clock)
    assert ((found.actions >= 0).sum(axis=1) == found.num_steps).all()
    plain = greedy(model.policy, problem, instance)
    assert (found.total_reward >= plain.total_reward).all()


def test_more_search_is_better_in_the_mean():
    model = model_of()
    problem = problem_of(num_jobs=6)
    instance, _ = or_envs.sample(problem, 0, 12)
    torch.manual_seed(0)
    means = [decoder(name, model.policy, problem)(instance).total_reward.mean()
             for name in ("greedy", "samples:3", "samples:12", "pilot:4")]  # fmt: skip
    assert all(one < other for one, other in itertools.pairwise(means))


def test_searches_find_optima_of_tiny_shops():
    model = model_of()
    problem = problem_of(num_jobs=2, num_machines=3)
    instance, _ = or_envs.sample(problem, 0, 12)
    best = [optimum(problem, instance.rows(np.array([row]))) for row in range(12)]
    torch.manual_seed(0)
    np.testing.assert_array_equal(best_of(model.policy, problem, instance, 400).total_reward, best)
    np.testing.assert_array_equal(pilot(model.policy, problem, instance, 40).total_reward, best)


def test_waiting_is_found():
    """T5: schedules that never wait take 10, the best takes 8."""
    shop = JobShopInstance.of([[1, 0, 2], [2, 0, 1]], [[3, 1, 4], [2, 3, 1]])
    problem = problem_of(num_jobs=2)
    torch.manual_seed(0)
    assert pilot(model_of().policy, problem, shop, 30).total_reward.tolist() == [-8]


def test_completions_by_hand():
    """The greedy completion comes first."""
    model = model_of()
    problem = problem_of()
    instance, _ = or_envs.sample(problem, 3, 1)
    state = problem.initial(instance)
    torch.manual_seed(0)
    complete = CompleteByPolicy(model.policy, problem, 3)
    outlook = look_ahead(problem, instance, state, complete, np.random.default_rng(0))
    assert outlook.makespan.shape == (3, len(outlook.actions), 1)
    for action in range(len(outlook.actions)):
        for number in range(3):
            plan = outlook.plan(number, action)
            assert plan[0] == outlook.actions[action]
            played = or_envs.simulate(problem, np.array([plan]), instance)
            assert -played.total_reward[0] == outlook.makespan[number, action, 0]
    plain = greedy(model.policy, problem, instance)
    first = np.flatnonzero(outlook.actions == plain.actions[0, 0])[0]
    assert outlook.plan(0, first) == plain.actions[0, : plain.num_steps[0]].tolist()


@pytest.mark.parametrize("p_down", [0.0, 0.3])
def test_the_pilot_rule_plays_any_shop(p_down):
    model = model_of(env={"p_down": p_down})
    problem = problem_of(num_jobs=5, p_down=p_down)
    instance, exogenous = or_envs.sample(problem, 0, 8)
    rule = Pilot(model.policy, problem, completions=3, scenarios=4)
    torch.manual_seed(0)
    found = or_envs.simulate(problem, rule, instance, exogenous)
    plain = or_envs.simulate(problem, or_envs.policy_rule(problem, model), instance, exogenous)
    assert found.total_reward.mean() > plain.total_reward.mean()


def test_bad_input_is_named():
    model = model_of()
    problem = problem_of()
    instance, _ = or_envs.sample(problem, 0, 1)
    for name in ("samples", "samples:0", "samples:4:", "greedy:3", "beam:4", "pilot:x"):
        with pytest.raises(ValueError, match=f"decoder: expected greedy, .* got '{name}'"):
            decoder(name, model.policy, problem)
    with pytest.raises(ValueError, match="decoder: searches need a deterministic problem"):
        decoder("greedy", model.policy, problem_of(p_down=0.1))
    with pytest.raises(ValueError, match="episodes: expected an integer >= 1, got 0"):
        best_of(model.policy, problem, instance, 0)
    with pytest.raises(ValueError, match="temperature: expected a number > 0, got 0"):
        best_of(model.policy, problem, instance, 2, temperature=0.0)
    with pytest.raises(ValueError, match="completions: expected an integer >= 1, got 0"):
        pilot(model.policy, problem, instance, 0)
    with pytest.raises(ValueError, match="scenarios: expected an integer >= 1, got 0"):
        Pilot(model.policy, problem, scenarios=0)
    with pytest.raises(ValueError, match="problem: expected JobShop, got TSP"):
        Pilot(model.policy, or_envs.make_problem("or_envs/TSP-v0", num_cities=5))
