"""Exhaustive search and random play on the environments of routing and knapsack."""

import numpy as np

from or_envs.core import simulate


def best_reward(problem, instance):
    """Largest total reward that any legal sequence of actions has, by trying all of them."""

    def search(state, so_far):
        mask = problem.action_mask(instance, state)[0]
        assert mask.any(), "no action is allowed before the end"
        best = -np.inf
        for action in np.flatnonzero(mask):
            post, reward = problem.post_decision(instance, state, np.array([action]))
            following, outcome, over = problem.transition(instance, post, None)
            total = so_far + reward[0] + outcome[0]
            best = max(best, total if over[0] else search(following, total))
        return best

    return search(problem.initial(instance), 0.0)


def play_random(problem, instance, seed):
    """A roll-out of random legal actions; masks are never empty before the end."""
    rng = np.random.default_rng(seed)

    def rule(instance, state):
        mask = problem.action_mask(instance, state)
        luck = rng.random(mask.shape)
        return np.where(mask, luck, -1.0).argmax(axis=1)

    return simulate(problem, rule, instance)
