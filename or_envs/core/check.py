"""A checker that every problem of the project, and every user's own, must pass."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import numpy as np

from or_envs.core.actions import ActionChecker
from or_envs.core.arrays import Arrays
from or_envs.core.batch import Batch, cast, pick
from or_envs.core.env import Env
from or_envs.core.problem import AnyProblem
from or_envs.core.simulation import sample, simulate
from or_envs.core.vector_env import VectorEnv

#: Batch size and step limit of the checks.
BATCH, STEPS = 6, 60


class ProblemError(AssertionError):
    """A problem breaks the contract; the message says which law, where and by how much."""


def check_problem(problem: AnyProblem, seed: int = 0) -> None:
    """Check a problem against the contract of :class:`or_envs.core.problem.Problem`.

    The laws, each on random legal episodes: data of batch row b depend on generator b only; spaces,
    shapes and masks fit; functions are pure and rows independent; equal post-decision state and
    equal exogenous information give equal outcomes; compiled kernels, torch and (if installed)
    array-api-strict agree with the numpy definition; Env, VectorEnv and simulate give the same
    episodes; a masked action costs no less than the episode could; gradients in float64 equal
    finite differences.

    Parameters
    ----------
    problem
        The problem.
    seed
        Seed of instances, traces and actions.

    Raises
    ------
    ProblemError
        If a law is broken.
    """
    instance, exogenous = sample(problem, seed, BATCH)
    _check_data(problem, instance, exogenous, seed)
    actions = _check_dynamics(problem, instance, exogenous, seed)
    _check_backends(problem, instance, exogenous, actions)
    _check_faces(problem, seed)
    _check_invalid_actions(problem, seed)
    if problem.differentiable:
        _check_gradients(problem, instance, exogenous, actions, seed)


def _require(holds: Any, law: str) -> None:
    if not holds:
        raise ProblemError(law)


def _same(a: Any, b: Any, law: str, tolerance: float = 0.0) -> None:
    """Require equal arrays, Arrays or dicts of arrays."""
    if isinstance(a, Arrays):
        for name in a.names():
            _same(getattr(a, name), getattr(b, name), f"{law}: field {name}", tolerance)
    elif isinstance(a, dict):
        _require(set(a) == set(b), f"{law}: keys {sorted(a)} and {sorted(b)}")
        for key in a:
            _same(a[key], b[key], f"{law}: key {key}", tolerance)
    elif a is None or b is None:
        _require(a is b, f"{law}: {a} and {b}")
    else:
        x, y = np.asarray(a), np.asarray(b)
        _require(x.shape == y.shape, f"{law}: shapes {x.shape} and {y.shape}")
        same = np.allclose(x.astype(float), y.astype(float), tolerance, tolerance, equal_nan=True)
        if not same:
            worst = np.abs(x.astype(float) - y.astype(float)).max()
            raise ProblemError(f"{law}: values differ by up to {worst:g}")


def _expand(tree: Arrays, num: int) -> Arrays:
    return tree.map(lambda x: np.array(np.broadcast_to(x, (num, *x.shape[1:]))))


def _check_data(problem: AnyProblem, instance: Any, exogenous: Any, seed: int) -> None:
    _require(instance.num == BATCH, f"sample_instances: {instance.num} rows, expected {BATCH}")
    again, trace = sample(problem, seed, BATCH)
    _same(instance, again, "sample_instances: equal generators must give equal instances")
    _same(exogenous, trace, "sample_exogenous: equal generators must give equal traces")
    row = 2
    one, one_trace = sample(problem, seed + row, 1)
    full = _expand(instance, BATCH)
    _same(full.rows(slice(row, row + 1)), one, "sample_instances: row b must use rngs[b] only")
    if exogenous is not None:
        _same(
            exogenous.rows(slice(row, row + 1)),
            one_trace,
            "sample_exogenous: row b must use rngs[b] only",
        )
    for name, value in zip(instance.names(), instance.leaves(), strict=True):
        _require(
            value.shape[0] in (1, BATCH),
            f"instance field {name}: leading axis {value.shape[0]}, expected 1 or {BATCH}",
        )


def _in_space(problem: AnyProblem, observation: Any, law: str) -> None:
    seen = cast(problem.observation_space, observation)
    for row in range(BATCH):
        one = pick(seen, row)
        _require(problem.observation_space.contains(one), f"{law}: {one} is not in the space")


def _check_dynamics(problem: AnyProblem, instance: Any, exogenous: Any, seed: int) -> np.ndarray:
    """Walk random legal episodes law by law; returns the actions, (B, T, ...)."""
    checker = ActionChecker(problem)
    rng = np.random.default_rng(seed)
    columns = int(checker.sizes.sum())
    outcomes: dict[bytes, Any] = {}

    def pure(name: str, *arguments: Any) -> Any:
        before = copy.deepcopy(arguments)
        result = getattr(problem, name)(*arguments)
        for given, copied in zip(arguments, before, strict=True):
            _same(given, copied, f"{name}: must not change its arguments")
        repeated = getattr(problem, name)(*copy.deepcopy(arguments))
        for first, second in zip(_parts(result), _parts(repeated), strict=True):
            _same(first, second, f"{name}: equal arguments must give equal results")
        return result

    state = pure("initial", instance)
    running: np.ndarray = np.ones(BATCH, dtype=np.bool_)
    actions = []
    for step in range(problem.max_steps):
        _require(state.num == BATCH, f"step {step}: state has {state.num} rows")
        observation = pure("observation", instance, state)
        _in_space(problem, observation, f"observation at step {step}")
        _check_no_alias(observation, instance, state)
        mask = pure("action_mask", instance, state)
        if mask is not None:
            _require(mask.dtype == np.bool_, f"action_mask: dtype {mask.dtype}, expected bool")
            _require(
                mask.shape in ((BATCH, columns), (1, columns)),
                f"action_mask: shape {mask.shape}, expected ({BATCH}, {columns})",
            )
            full = np.broadcast_to(mask, (BATCH, columns))
            for part in np.split(full, checker.offsets[1:].tolist(), axis=1):
                _require(part[running].any(axis=1).all(), f"action_mask at step {step}: all false")
            mask = full | ~running[:, None]
        action = checker.sample(mask, BATCH, rng)
        actions.append(action)
        post, decision = pure("post_decision", instance, state, action)
        _require(decision.shape == (BATCH,), f"post_decision: reward has shape {decision.shape}")
        now = None if exogenous is None else problem.exogenous_at(exogenous, np.full(BATCH, step))
        following, outcome, terminal = pure("transition", instance, post, now)
        _require(outcome.shape == (BATCH,), f"transition: reward has shape {outcome.shape}")
        _require(terminal.dtype == np.bool_, f"transition: terminal has dtype {terminal.dtype}")
        _check_rows(problem, instance, state, action, now, (post, decision, following, outcome))
        for row in range(BATCH):
            one = slice(row, row + 1)
            given = (_expand(instance, BATCH).rows(one), post.rows(one)) + (
                () if now is None else (now.rows(one),)
            )
            key = b"|".join(np.asarray(x).tobytes() for tree in given for x in tree.leaves())
            result = (following.rows(one), outcome[one])
            for a, b in zip(outcomes.setdefault(key, result), result, strict=True):
                _same(a, b, "transition: equal post-decision state and exogenous information")
        state = following
        running &= ~terminal
        if not running.any():
            break
    if problem.ends == "terminated":
        _require(not running.any(), f"an episode goes on after max_steps = {problem.max_steps}")
    return np.stack(actions, axis=1)


def _parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _check_no_alias(observation: Any, instance: Arrays, state: Arrays) -> None:
    seen = observation if isinstance(observation, dict) else {"": observation}
    for key, value in seen.items():
        for leaf in (*instance.leaves(), *state.leaves()):
            _require(
                not np.shares_memory(value, leaf),
                f"observation {key}: shares memory with the data; return a new array",
            )


def _check_rows(
    problem: AnyProblem, instance: Any, state: Any, action: Any, now: Any, results: Any
) -> None:
    """Rows in another order give the same results in that order."""
    order = np.arange(BATCH)[::-1]
    moved = _expand(instance, BATCH).rows(order)
    post, decision = problem.post_decision(moved, state.rows(order), action[order])
    later = None if now is None else now.rows(order)
    following, outcome, _ = problem.transition(moved, post, later)
    for value, expected in zip((post, decision, following, outcome), results, strict=True):
        ordered = expected.rows(order) if isinstance(expected, Arrays) else expected[order]
        _same(value, ordered, "batch rows must not interact", 1e-12)


def _check_backends(problem: AnyProblem, instance: Any, exogenous: Any, actions: Any) -> None:
    """Torch, array-api-strict and compiled kernels play the same episodes."""
    steps = min(STEPS, actions.shape[1])
    reference = _trajectory(problem, instance, exogenous, actions, steps)
    _agree(
        reference,
        _trajectory(problem.compiled(), instance, exogenous, actions, steps),
        "compiled kernels",
    )
    if "torch" in problem.backends and importlib.util.find_spec("torch") is not None:
        import torch

        def tensors(tree: Any) -> Any:
            return None if tree is None else tree.to_torch(dtype=torch.float64)

        played = _trajectory(
            problem, tensors(instance), tensors(exogenous), torch.tensor(actions), steps
        )
        _agree(reference, played, "torch")
    if (
        "array_api_strict" in problem.backends
        and importlib.util.find_spec("array_api_strict") is not None
    ):
        import array_api_strict as strict

        def strictly(tree: Any) -> Any:
            return None if tree is None else tree.map(strict.asarray)

        played = _trajectory(
            problem, strictly(instance), strictly(exogenous), strict.asarray(actions), steps
        )
        _agree(reference, played, "array-api-strict")


def _trajectory(
    problem: AnyProblem, instance: Any, exogenous: Any, actions: Any, steps: int
) -> list[Any]:
    """Everything that the functions return along an episode."""
    from array_api_compat import array_namespace

    xp = array_namespace(actions)
    state = problem.initial(instance)
    results: list[Any] = [state]
    for step in range(steps):
        results.append(problem.observation(instance, state))
        results.append(problem.action_mask(instance, state))
        post, decision = problem.post_decision(instance, state, actions[:, step, ...])
        now = None
        if exogenous is not None:
            now = problem.exogenous_at(exogenous, xp.full(BATCH, step, dtype=xp.int64))
        state, outcome, terminal = problem.transition(instance, post, now)
        results += [post, decision, state, outcome, terminal, problem.observation(instance, post)]
    return results


def _agree(reference: list[Any], played: list[Any], backend: str) -> None:
    for place, (expected, value) in enumerate(zip(reference, played, strict=True)):
        # Compiled observations may already be float32.
        tolerance = 1e-6 if isinstance(expected, dict | np.ndarray) else 1e-9
        _same(expected, value, f"{backend} differs from numpy (result {place})", tolerance)


def _check_faces(problem: AnyProblem, seed: int) -> None:
    """Env, VectorEnv and simulate give the same episodes for the same seeds and actions."""
    vector = VectorEnv(problem, BATCH, autoreset_mode="Disabled")
    singles = [Env(problem) for _ in range(BATCH)]
    observation, _ = vector.reset(seed=seed)
    for row, env in enumerate(singles):
        one, _ = env.reset(seed=seed + row)
        _same(pick(observation, row), one, "VectorEnv and Env: first observation")
    instance, exogenous = sample(problem, seed, BATCH)
    rng = np.random.default_rng(seed + 1)
    played, rewards = [], []
    over = np.zeros(BATCH, dtype=np.bool_)
    for _ in range(problem.max_steps):
        mask = vector.batch.mask()
        action = vector.batch.actions.sample(mask, BATCH, rng)
        observation, reward, terminated, truncated, infos = vector.step(action)
        for row, env in enumerate(singles):
            one, r, end, cut, info = env.step(action[row])
            _same(pick(observation, row), one, "VectorEnv and Env: observation")
            _same(reward[row], r, "VectorEnv and Env: reward")
            _require(
                (end, cut) == (terminated[row], truncated[row]), "VectorEnv and Env: end of episode"
            )
            if exogenous is not None:
                parts = info["post_decision_reward"] + info["exogenous_reward"]
                _same(parts, r, "the two parts of the reward must add up", 1e-9)
                _same(
                    pick(infos["post_decision_obs"], row),
                    info["post_decision_obs"],
                    "VectorEnv and Env: post-decision observation",
                )
        played.append(action)
        rewards.append(reward)
        over = terminated | truncated
        if over.any():
            break
    while not over.all():  # the single environments play on, for simulate to follow
        action, reward = played[-1].copy(), np.zeros(BATCH)
        for place in np.flatnonzero(~over):
            row = int(place)
            batch = singles[row].batch
            action[row] = batch.actions.sample(batch.mask(), 1, rng)[0]
            _, reward[row], end, cut, _ = singles[row].step(action[row])
            over[row] = end or cut
        played.append(action)
        rewards.append(reward)
    rollout = simulate(problem, np.stack(played, axis=1), instance, exogenous)
    _same(rollout.rewards, np.stack(rewards, axis=1), "simulate and Env: rewards", 1e-9)


def _check_invalid_actions(problem: AnyProblem, seed: int) -> None:
    """A masked action ends the episode with a penalty that no legal episode undercuts."""
    batch = Batch(problem, 1)
    batch.rngs = [np.random.default_rng(seed)]
    batch.reset()
    mask = batch.mask()
    if mask is None or mask.all():
        return
    sizes = batch.actions.sizes
    action = batch.actions.best(mask)
    flat = action.reshape(-1)
    for place, (size, offset) in enumerate(zip(sizes, batch.actions.offsets, strict=True)):
        forbidden = np.flatnonzero(~mask[0, offset : offset + size])
        if len(forbidden):
            flat[place] = forbidden[0]
            break
    step = batch.step(flat.reshape(action.shape))
    _require(
        step.terminated[0] and step.invalid is not None, "a masked action must end the episode"
    )
    rng = np.random.default_rng(seed)
    instance, exogenous = sample(problem, seed, 1)
    checker = ActionChecker(problem)

    def legal(data: Any, state: Any) -> np.ndarray:
        allowed = problem.action_mask(data, state)
        assert allowed is not None
        final = ~allowed.any(axis=1, keepdims=True)
        return checker.sample(allowed | final, 1, rng)

    for _ in range(5):
        total = simulate(problem, legal, instance, exogenous).total_reward[0]
        _require(
            step.reward[0] <= total + 1e-9,
            f"worst_completion: penalty {step.reward[0]:g}, but a legal episode got {total:g}",
        )


def _check_gradients(
    problem: AnyProblem, instance: Any, exogenous: Any, actions: Any, seed: int
) -> None:
    """Directional derivatives of the total reward in float64 equal central differences."""
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    rng = np.random.default_rng(seed)

    def floating(tree: Any) -> list[str]:
        return [] if tree is None else [n for n in tree.names() if _is_float(getattr(tree, n))]

    def jitter(tree: Any) -> Any:
        # Data that are whole numbers sit on the kinks of max and min.
        return tree.map(lambda x: x + 1e-2 * rng.random(x.shape) if _is_float(x) else x)

    data = [jitter(instance)] + ([] if exogenous is None else [jitter(exogenous)])
    directions = [
        {name: rng.standard_normal(getattr(tree, name).shape) for name in floating(tree)}
        for tree in data
    ]

    def moved(length: float) -> list[Any]:
        return [
            type(tree)(
                **{
                    name: getattr(tree, name) + length * direction[name]
                    if name in direction
                    else getattr(tree, name)
                    for name in tree.names()
                }
            )
            for tree, direction in zip(data, directions, strict=True)
        ]

    def total(trees: list[Any]) -> Any:
        steps = simulate(problem, torch.tensor(actions), *trees)
        return steps.total_reward.sum()

    def tensors(trees: list[Any]) -> list[Any]:
        return [tree.to_torch(dtype=torch.float64) for tree in trees]

    leaves = tensors(data)
    for tree in leaves:
        for leaf in tree.leaves():
            leaf.requires_grad_(leaf.is_floating_point())
    value = total(leaves)
    _require(value.requires_grad, "differentiable: the reward has no gradient in any data")
    value.backward()
    slope = sum(
        float((getattr(tree, name).grad * torch.tensor(d)).sum())
        for tree, direction in zip(leaves, directions, strict=True)
        for name, d in direction.items()
        if getattr(tree, name).grad is not None
    )
    h = 1e-6
    with torch.no_grad():
        difference = float(total(tensors(moved(h))) - total(tensors(moved(-h)))) / (2 * h)
    scale = max(1.0, abs(difference))
    _require(
        abs(slope - difference) <= 1e-4 * scale,
        f"gradients: {slope:.8g} along a random direction, finite difference {difference:.8g}",
    )


def _is_float(x: Any) -> bool:
    return bool(np.issubdtype(np.asarray(x).dtype, np.floating))
