"""BQ-NCO: policy gradients after imitation."""

import pytest
import torch

import or_envs
from agents.bq_nco.reinforce import descend, draw_steps
from agents.bq_nco.search import construct
from agents.bq_nco.tails import candidates
from tests.agents.bq_nco_cases import (
    every_problem,
    model_of,
    problem_of,
)


def test_weights_are_chosen_where_policy_gradients_begin_and_while_they_last(tmp_path, monkeypatch):
    model = model_of("TSP", tmp_path, reinforce=0.5, groups=2, group_size=2, dev_every=200)
    seen = []
    monkeypatch.setattr(model, "_select", lambda *_: seen.append(model._reinforcing))
    model.learn(400)
    assert seen[0] is False
    # Two updates by reward are as much work as 200 others.
    assert seen[1:] == [True] * len(seen[1:])
    assert len(seen) > 3


@every_problem
def test_drawn_steps_are_those_of_the_solutions(name, tmp_path):
    model = model_of(name, tmp_path)
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 0, 3)
    data = instance.to_torch("cpu", torch.float64)
    torch.manual_seed(0)
    steps, advantages, num = draw_steps(model.policy, problem, data, 4)
    torch.manual_seed(0)
    every = torch.arange(3).repeat_interleave(4)
    played = [[] for _ in range(12)]
    free = 0

    def visit(rows, some, state, actions, chance):
        nonlocal free
        choice = candidates(name, some, state).any(dim=1)
        scores, outputs = model.policy.scores(some, state)
        log = scores.log_softmax(dim=1).masked_fill(outputs != actions[:, None], -torch.inf)
        expected = torch.where(choice, log.amax(dim=1).exp(), 1.0)
        torch.testing.assert_close(chance, expected.float(), rtol=1e-4, atol=1e-5)
        for row, action, some_choice, likely in zip(
            rows.tolist(), actions.tolist(), choice.tolist(), chance.tolist(), strict=True
        ):
            free += some_choice
            # A stop without another choice teaches nothing, and certain steps next to nothing.
            if some_choice and (likely < 0.99 or len(played[row]) == 0):
                played[row].append(action)

    drawn = construct(model.policy, problem, data.rows(every), deterministic=False, visit=visit)
    found = [[] for _ in range(12)]
    for step in steps:
        for row, action in zip(step.rows.tolist(), step.actions.tolist(), strict=True):
            found[row].append(action)
    assert found == played
    assert num == free > 0
    rewards = drawn.total_reward.reshape(3, 4)
    mean = rewards.mean(dim=1, keepdim=True)
    torch.testing.assert_close(advantages.reshape(3, 4), (rewards - mean) / mean.abs())


def test_certain_steps_are_left_out(tmp_path):
    """Scores times 1,000 leave no doubt: the first step of each solution is kept all the same."""
    model = model_of("TSP", tmp_path)
    with torch.no_grad():
        model.policy.network.score.weight.mul_(1e5)
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 0, 3)
    data = instance.to_torch("cpu", torch.float32)
    steps, _, num = draw_steps(model.policy, problem, data, 2)
    assert sum(len(step.rows) for step in steps) < 2 + 6 < num == 6 * 5
    assert len(steps[0].rows) == 6


def test_the_gradient_makes_better_solutions_likelier(tmp_path):
    """The surrogate's gradient is the advantage-weighted one of the log-probabilities."""
    model = model_of("TSP", tmp_path)
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 0, 2)
    data = instance.to_torch("cpu", torch.float32)
    steps, advantages, total = draw_steps(model.policy, problem, data, 6)
    advantages = advantages.float()

    def likelihood():
        terms = []
        for step in steps:
            scores, actions = model.policy.scores(step.instance, step.state)
            place = (actions == step.actions[:, None]) & torch.isfinite(scores)
            terms.append((advantages[step.rows] * scores.log_softmax(dim=1)[place]).sum())
        return torch.stack(terms).sum()

    model.policy.zero_grad()
    descend(model.policy, steps, advantages, total)
    found = [p.grad.clone() for p in model.policy.parameters() if p.grad is not None]
    model.policy.zero_grad()
    (-likelihood() / total).backward()
    expected = [p.grad for p in model.policy.parameters() if p.grad is not None]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["TSP", "CVRP", "Orienteering"])
def test_reinforcement_needs_no_labels(name, tmp_path):
    settings = {"reinforce": 1.0, "groups": 16, "reinforce_rate": 3e-3, "max_grad_norm": 10.0}
    model = model_of(name, tmp_path, **settings)
    model.labels = ()
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 70, 200)
    data = instance.to_torch("cpu", torch.float32)
    before = construct(model.policy, problem, data).total_reward.mean()
    model.learn(20_000)
    assert construct(model.policy, problem, data).total_reward.mean() > before
    twin = model_of(name, tmp_path, **settings)
    twin.labels = ()
    twin.learn(20_000)
    for one, other in zip(model.policy.parameters(), twin.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_reinforcement_follows_imitation(tmp_path):
    model = model_of("TSP", tmp_path, reinforce=0.5, groups=4)
    kinds, moments = [], []
    by_reward, by_label = model.update_by_reward, model.update

    def reinforce(number):
        kinds.append("reward")
        moments.append(len(model.policy.optimizer.state))
        return by_reward(number)

    model.update_by_reward = reinforce
    model.update = lambda draw: kinds.append("label") or by_label(draw)
    model.learn(2000)
    switch = kinds.index("reward")
    assert 0 < switch < len(kinds)
    assert set(kinds[switch:]) == {"reward"}
    assert moments[0] == 0
    assert all(moments[1:])


def test_rates_of_both_phases(tmp_path):
    model = model_of("TSP", tmp_path, reinforce=0.4, reinforce_rate=3e-4, learning_rate=1e-3)
    assert model.lr_schedule(1.0) == pytest.approx(1e-3)
    assert model.lr_schedule(0.7) == pytest.approx(5e-4)  # half of the imitation
    assert model.lr_schedule(0.4 + 1e-6) < 1e-8
    assert model.lr_schedule(0.4) == pytest.approx(3e-4)
    assert model.lr_schedule(0.1) == pytest.approx(7.5e-5)
    assert model.lr_schedule(0.0) == 0
