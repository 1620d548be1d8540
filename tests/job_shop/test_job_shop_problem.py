"""Rewards, masks, options, padding and luck of the job shop."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import or_envs
from or_envs.core import generators, simulate
from or_envs.core.actions import ActionChecker
from or_envs.core.sb3 import SB3VecEnv
from or_envs.job_shop.dispatching import Dispatching, decide, play
from or_envs.job_shop.graph import edges
from or_envs.job_shop.instances import JobShopInstance, load
from or_envs.job_shop.observations import JOB_FEATURES
from or_envs.job_shop.problem import ISBJSSP, JobShop
from or_envs.job_shop.shutdowns import Shutdowns
from tests.core import test_every_id as laws
from tests.job_shop.helpers import BLOCKING, MODELS, hand, instance_of, problem_of, row

SMALL = {"num_jobs": (2, 5), "num_machines": (2, 4)}


def random_rule(problem, seed):
    """Uniform legal actions; anything at the end."""
    checker, rng = ActionChecker(problem), np.random.default_rng(seed)

    def rule(instance, state):
        mask = problem.action_mask(instance, state)
        return checker.sample(mask | ~mask.any(axis=1, keepdims=True), len(mask), rng)

    return rule


# ---- rewards --------------------------------------------------------------------------------


@pytest.mark.parametrize("blocking", ["none", "swap"])
@pytest.mark.parametrize("model", [None, *MODELS])
def test_what_rewards_add_up_to(blocking, model):
    kwargs = {**SMALL, "blocking": blocking, "shutdown": model or "hazard"}
    kwargs["p_down"] = 0.0 if model is None else 0.3
    totals = {}
    for reward in ("time", "sparse", "lb_delta", "waiting"):
        problem = JobShop(reward=reward, **kwargs)
        instance, luck = or_envs.sample(problem, 0, 50)
        played = simulate(problem, random_rule(problem, 1), instance, luck)
        totals[reward] = played.total_reward
        makespan = played.state.start + instance.duration
        if model != "preempt_resume":
            assert (
                played.state.clock == np.where(instance.exists, makespan, 0).max(axis=(1, 2))
            ).all()
    clock = played.state.clock
    bound = problem.lower_bound(instance, problem.initial(instance))
    np.testing.assert_array_equal(totals["time"], -clock)
    np.testing.assert_array_equal(totals["sparse"], -clock)
    np.testing.assert_array_equal(totals["lb_delta"], bound - clock)
    assert (totals["waiting"] <= 0).all()


def test_waiting_reward_by_hand():
    """T1: both jobs run until 2; job 1 blocks until 3; then nobody waits."""
    problem = problem_of(hand("T1"), blocking="swap", reward="waiting")
    played = play(problem, hand("T1"), None, Dispatching("SPT"), record=True)
    assert simulate(problem, played.actions, hand("T1")).total_reward[0] == -1


def test_lower_bound_by_hand():
    instance = hand("T1")
    problem = problem_of(instance, blocking="swap", p_down=0.5)
    state = problem.initial(instance)
    assert problem.lower_bound(instance, state)[0] == 7  # machine 0: 3 + 4
    luck = Shutdowns(np.zeros((1, 0, 0), dtype=np.int64), np.array([[[0, 0], [4, 0]]]))
    for action in (0, 1):
        post, _ = problem.post_decision(instance, state, np.array([action]))
        state, _, _ = problem.transition(instance, post, luck)
    assert state.clock[0] == 10  # nothing to decide: the circle turned at 6
    assert problem.lower_bound(instance, state)[0] == 10


def test_lower_bound_is_one():
    """Without shutdowns to come, no continuation ends before the bound of any state."""
    problem = JobShop(**SMALL, blocking="swap")
    instance, _ = or_envs.sample(problem, 3, 200)
    states = []
    rule = random_rule(problem, 0)

    def spy(instance, state):
        states.append(problem.lower_bound(instance, state))
        return rule(instance, state)

    played = simulate(problem, spy, instance)
    bounds = np.array(states)
    assert (bounds <= played.state.clock).all()
    assert (np.diff(bounds, axis=0) >= 0).all()
    assert (bounds[0] >= instance.duration.sum(axis=2).max(axis=1)).all()


# ---- ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_no_deadlock_with_swaps_in_many_episodes(model):
    """3,400 random episodes of each model; none ends before all jobs are done."""
    for seed, (jobs, machines) in enumerate(((8, 5), (5, 8), (3, 3), (10, 2))):
        problem = JobShop(
            num_jobs=(1, jobs),
            num_machines=(1, machines),
            blocking="swap",
            shutdown=model,
            p_down=0.2,
        )
        instance, luck = or_envs.sample(problem, 1000 * seed, 850)
        played = play(problem, instance, luck, Dispatching("RANDOM"), seeds=np.arange(850))
        assert not played.state.deadlock.any()
        assert (played.state.status == 3).all()
        assert (played.state.operation == instance.num_operations).all()


@pytest.mark.parametrize("model", MODELS)
def test_no_deadlock_with_swaps_and_waits(model):
    problem = JobShop(**SMALL, blocking="swap", shutdown=model, p_down=0.4)
    instance, luck = or_envs.sample(problem, 0, 150)
    played = simulate(problem, random_rule(problem, 0), instance, luck)
    assert not played.state.deadlock.any()
    assert (played.state.status == 3).all()


def test_plain_dispatching_without_swaps_deadlocks():
    problem = JobShop("LA01", blocking="no_swap", allow_wait=False)
    instance, _ = or_envs.sample(problem, 0, 200)
    played = play(problem, instance, None, Dispatching("RANDOM"), seeds=np.arange(200))
    assert played.state.deadlock.all()


def test_info_says_that_the_jobs_are_stuck():
    """Two jobs that hold the machine that the other needs next."""
    shop = JobShopInstance.of([[0, 1], [1, 0]], [[1, 1], [1, 1]])
    problem = JobShop(num_jobs=2, num_machines=2, blocking="no_swap", allow_wait=False)
    env = or_envs.Env(problem)
    env.reset(options={"instance": shop})
    assert env.step(0)[4] == {"deadlock": False}
    _, _, terminated, _, info = env.step(1)
    assert terminated
    assert info == {"deadlock": True}
    many = SB3VecEnv(or_envs.VectorEnv(problem, 2, autoreset_mode=AutoresetMode.SAME_STEP))
    many.set_options({"instance": shop})
    many.reset()
    many.step(np.array([0, 1]))
    _, _, dones, infos = many.step(np.array([1, 0]))
    assert dones.all()
    assert [info["deadlock"] for info in infos] == [True, True]


@pytest.mark.parametrize("reward", ["time", "lb_delta", "waiting", "sparse"])
def test_a_deadlock_is_worse_than_every_schedule_and_an_illegal_action_no_better(reward):
    problem = JobShop(num_jobs=3, num_machines=3, blocking="no_swap", reward=reward)
    instance, _ = or_envs.sample(problem, 0, 300)
    played = simulate(problem, random_rule(problem, 0), instance)
    stuck = played.state.deadlock
    assert 0 < stuck.sum() < 300
    for b in range(20):
        same = row(instance, b).repeat(200)
        many = simulate(problem, random_rule(problem, b), same)
        ends = many.state.deadlock
        if ends.any() and not ends.all():
            assert many.total_reward[ends].max() < many.total_reward[~ends].min()
    worst = problem.worst_completion(instance, problem.initial(instance))
    assert (played.total_reward >= worst).all()


def test_worst_completion_is_met_by_one_job_after_the_other():
    problem = problem_of(hand("T2"), blocking="swap")
    worst = problem.worst_completion(hand("T2"), problem.initial(hand("T2")))
    assert worst[0] == -hand("T2").duration.sum()


@pytest.mark.parametrize("blocking", ["none", "swap"])
def test_a_single_job_and_a_single_machine_take_the_sum(blocking):
    for jobs, machines in ((1, 4), (5, 1), (1, 1)):
        problem = JobShop(num_jobs=jobs, num_machines=machines, blocking=blocking)
        instance, _ = or_envs.sample(problem, 0, 20)
        played = simulate(problem, random_rule(problem, 0), instance)
        np.testing.assert_array_equal(-played.total_reward, instance.duration.sum(axis=(1, 2)))


def test_latin_square_all_jobs_rotate():
    size, length = 6, 7
    routes = (np.arange(size)[:, None] + np.arange(size)[None, :]) % size
    instance = JobShopInstance.of(routes, np.full((size, size), length))
    problem = problem_of(instance, blocking="swap", allow_wait=False)
    played = simulate(problem, random_rule(problem, 0), instance)
    assert played.total_reward[0] == -size * length
    assert played.num_steps[0] == size  # after the first loads all circles turn by themselves


def test_operations_of_no_length():
    problem = JobShop("ORB07", blocking="swap")
    instance, _ = or_envs.sample(problem, 0, 30)
    played = simulate(problem, random_rule(problem, 0), instance)
    assert (played.state.status == 3).all()
    nothing = JobShopInstance.of([[0, 1], [1, 0], [0, 1]], [[0, 0], [0, 0], [0, 0]])
    for blocking in ("none", "swap"):
        shop = problem_of(nothing, blocking=blocking)
        played = simulate(shop, random_rule(shop, 0), nothing)
        assert played.total_reward[0] == 0
        assert played.num_steps[0] <= 6


def test_steps_stay_within_the_limit_when_everybody_waits_as_long_as_possible():
    for model in (None, *MODELS):
        problem = JobShop(
            **SMALL,
            blocking="swap",
            shutdown=model or "hazard",
            p_down=0.0 if model is None else 0.8,
            max_downtime=5,
        )
        instance, luck = or_envs.sample(problem, 0, 60)
        lazy = simulate(problem, problem.passive_action, instance, luck)
        assert (lazy.state.status == 3).all()
        assert (lazy.num_steps <= problem.max_steps).all()
        if model is None:
            loads = instance.num_operations.sum(axis=1)
            assert (lazy.num_steps <= 2 * loads).all()


def test_skip_trivial_leaves_only_real_choices():
    plain = JobShop("LA01", blocking="swap", allow_wait=False)
    short = JobShop("LA01", blocking="swap", allow_wait=False, skip_trivial=True)
    instance, _ = or_envs.sample(plain, 0, 200)
    long = play(plain, instance, None, Dispatching("RANDOM"), seeds=np.arange(200))
    brief = play(short, instance, None, Dispatching("RANDOM"), seeds=np.arange(200))
    assert brief.num_actions.mean() < 0.7 * long.num_actions.mean()
    assert abs(long.makespan.mean() - brief.makespan.mean()) < 30
    choices = []

    def spy(instance, state):
        mask = short.action_mask(instance, state)
        choices.append(mask.sum(axis=1))
        return mask.argmax(axis=1)

    simulate(short, spy, instance.rows(slice(0, 1)))
    assert min(c[0] for c in choices[:-1]) >= 2
    first = Dispatching("SPT")
    spt = [play(p, instance, None, first).makespan[0] for p in (plain, short)]
    assert spt == [1175, 1175]


# ---- luck -----------------------------------------------------------------------------------


def test_laws_of_the_shutdowns():
    for model in MODELS:
        problem = JobShop(num_jobs=4, num_machines=3, shutdown=model, p_down=0.2, max_downtime=6)
        instance, luck = or_envs.sample(problem, 0, 3000)
        if model == "hazard":
            assert luck.downtime.shape == (3000, 3, 16)
            rate = 0.2 / instance.duration.mean(axis=(1, 2))
            scaled = luck.onset * rate[:, None, None]
            assert abs(scaled.mean() - 1) < 0.02  # geometric with this rate
            lengths = luck.downtime
        else:
            down = luck.downtime > 0
            long = instance.duration > 1
            here = long if model == "preempt_resume" else np.ones_like(long)
            assert abs(down[here].mean() - 0.2) < 0.01
            lengths = luck.downtime[down]
        assert (lengths.min(), lengths.max()) == (1, 6)
        assert abs(lengths.mean() - 3.5) < 0.05
        if model == "preempt_resume":
            assert not down[~long].any()
            share = luck.onset[down] / instance.duration[down]
            assert (luck.onset[down] >= 1).all()
            assert (share < 1).all()
            assert abs(share.mean() - 0.5) < 0.02


def test_downtimes_as_in_the_published_table():
    """First all coins, then all lengths, from one generator [spec 8.4]."""
    problem = JobShop("LA01", p_down=0.1, max_downtime=99)
    for instance in (load("LA01"), load("LA01").padded(12, 7)):  # padding moves no draw
        luck = problem.sample_exogenous(instance, [np.random.default_rng(1000)])
        rng = np.random.default_rng(1000)
        down = rng.random((10, 5)) < 0.1
        expected = np.where(down, rng.integers(1, 100, (10, 5)), 0)
        np.testing.assert_array_equal(luck.downtime[0, :10, :5], expected)
        assert luck.downtime.sum() == expected.sum()


def test_every_policy_meets_the_same_luck():
    """Downtimes belong to operations, whatever their order."""
    problem = JobShop(num_jobs=6, num_machines=4, blocking="swap", p_down=0.3)
    instance, luck = or_envs.sample(problem, 0, 30)
    for dispatching in (Dispatching("SPT"), Dispatching("LIFO")):
        played = play(problem, instance, luck, dispatching)
        np.testing.assert_array_equal(played.state.down_for, luck.downtime)


def test_without_shutdowns_nothing_is_random_but_the_instance():
    problem = JobShop("FT06", blocking="swap", shutdown="hazard")
    assert problem.sample_exogenous(load("FT06"), generators(0, 1)) is None
    env = gym.make("or_envs/JobShop-v0", instance="FT06", blocking="swap")
    totals = []
    for seed in (1, 2):
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action = int(env.unwrapped.action_masks().argmax())
            _, reward, over, _, info = env.step(action)
            total += reward
            assert info == {}
        totals.append(total)
    assert totals[0] == totals[1] < 0


def test_several_probabilities_are_drawn_per_episode():
    problem = JobShop(num_jobs=9, num_machines=8, p_down=(0.0, 0.5))
    _, luck = or_envs.sample(problem, 0, 400)
    share = (luck.downtime > 0).mean(axis=(1, 2))
    assert 120 < (share == 0).sum() < 280
    assert abs(share[share > 0].mean() - 0.5) < 0.02


@pytest.mark.parametrize("model", MODELS)
def test_futures_agree_with_the_present(model):
    """Episodes whose luck is redrawn half way have the law of whole ones."""
    problem = JobShop(
        num_jobs=6, num_machines=3, blocking="swap", shutdown=model, p_down=0.6, max_downtime=40
    )
    one, _ = or_envs.sample(problem, 0, 1)
    num = 6000
    instance = one.repeat(num)
    rngs = generators(0, num)
    luck = problem.sample_exogenous(instance, rngs)
    spt = Dispatching("SPT")
    whole = play(problem, instance, luck, spt).makespan
    state = problem.initial(instance)
    for _ in range(6):
        post, _ = problem.post_decision(instance, state, decide(problem, instance, state, spt))
        state, _, _ = problem.transition(instance, post, luck)
    future = problem.sample_future(instance, state, generators(num, num))
    mixed = play(problem, instance, future, spt, state=state).makespan
    assert (mixed != whole).mean() > 0.2
    error = np.sqrt((whole.var() + mixed.var()) / num)
    assert abs(mixed.mean() - whole.mean()) < 4.5 * error


def after(problem, instance, actions, luck=None):
    """State after some actions."""
    state = problem.initial(instance)
    for action in actions:
        assert problem.action_mask(instance, state)[:, action].all()
        post, _ = problem.post_decision(instance, state, np.full(state.num, action))
        state, _, _ = problem.transition(instance, post, luck)
    return state


def test_the_future_of_a_running_operation():
    """Half of an operation of 11 units is over: were it to be interrupted, it might have been."""
    num = 4000
    instance = instance_of([[(0, 11)], [(1, 5), (2, 1)]])
    problem = problem_of(instance, shutdown="preempt_resume", p_down=0.9)
    many = instance.padded(2, problem.num_operations).repeat(num)
    none = Shutdowns(*(np.zeros(many.duration.shape, dtype=np.int64) for _ in range(2)))
    state = after(problem, many, [0, 1], none)
    assert (state.clock == 5).all()
    future = problem.sample_future(many, state, generators(0, num))
    hit = future.downtime[:, 0, 0] > 0
    expected = 0.9 * 0.5 / (1 - 0.9 * 0.5)  # Bayes: half of the interruptions come later
    assert abs(hit.mean() - expected) < 5 * np.sqrt(0.25 / num)
    assert set(future.onset[hit, 0, 0]) == {6, 7, 8, 9, 10}
    assert future.downtime.max() <= 11


# ---- faces ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{"shutdown": "hazard"}, {"observation": "graph"}])
def test_seeds_and_vectors(kwargs):
    """Episodes end at different steps, and others begin there."""
    case = ("or_envs/ISBJSSP-v0", {"num_jobs": 3, "num_machines": 3, "p_down": 0.3, **kwargs})
    laws.test_same_seed_same_episodes(*case)
    laws.test_64_vectorised_copies_equal_64_single_environments(*case)


# ---- what is seen ---------------------------------------------------------------------------

#: At time 2: 0 runs on machine 0 until 4; 1 and 2 have finished on machines 1 and 2 and want
#: machine 0; machine 2 is down until 5; 3 and 4 are outside, and 3 may be loaded.
SCENE = [[(0, 4), (1, 2)], [(1, 2), (0, 3)], [(2, 1), (0, 5)], [(3, 6), (2, 1)], [(2, 2)]]


def scene(observation):
    instance = instance_of(SCENE)
    problem = JobShop(
        num_jobs=5, num_machines=4, blocking="swap", p_down=0.5, observation=observation
    )
    instance = instance.padded(5, 4)
    downtime = np.zeros((1, 5, 4), dtype=np.int64)
    downtime[0, 2, 0] = 4
    luck = Shutdowns(np.zeros((1, 0, 0), dtype=np.int64), downtime)
    state = after(problem, instance, [0, 1, 2, 5, 5], luck)
    assert state.clock[0] == 2
    return problem.observation(instance, state)


def test_job_features_by_hand():
    seen = scene("jobs")
    assert seen["action_mask"].tolist() == [[0, 0, 0, 1, 0, 1]]
    long, most = 6, 2
    expected = np.zeros((5, len(JOB_FEATURES)))
    expected[:, 19] = 3 / 4
    expected[0, [1, 4, 5, 6]] = 1, 2 / long, (2 + 2) * 2 / (long * most), 1
    expected[0, [8, 9, 10, 13]] = 2 / 5, 2 / long, 0, 1
    expected[0, 21] = 1  # to machine 1, whose job goes to machine 0
    expected[1, [2, 5, 6, 7]] = 1, 3 * 2 / (long * most), 1 / 2, 0
    expected[1, [9, 10, 12, 20]] = 3 / long, 2 / 5, 2 / long, 1 / 4
    expected[2, [2, 5, 6, 7]] = 1, 5 * 2 / (long * most), 1 / 2, 1 / long
    expected[2, [8, 9, 10, 12, 20]] = 1 / 5, 5 / long, 2 / 5, 2 / long, 1 / 4
    expected[3, [3, 5, 6, 7]] = 1, 7 * 2 / (long * most), 1, 2 / long
    expected[3, [9, 10, 11]] = 6 / long, 1 / 5, 1
    expected[3, [15, 16, 17, 18]] = 1 / 5, 0, 0, 1 / long
    expected[4, [3, 5, 6, 7]] = 1, 2 * 2 / (long * most), 1 / 2, 2 / long
    expected[4, [9, 10, 13, 14, 20]] = 2 / long, 1 / 5, 1, 3 / long, 2 / 4
    # Left are 10, 2, 3 and 6 on the machines; every way leads to machine 0, where 2 are left.
    load = np.array([10, 2, 3, 6]) * 2 / (long * 5)
    expected[:3, 22] = load[:3]
    expected[:, 23] = load[[1, 0, 0, 3, 2]]
    expected[[0, 1, 2, 4], 25] = 2 / long
    expected[3, [24, 26, 27, 28]] = load[2], 2 / long, 2 / 4, 1
    np.testing.assert_allclose(seen["jobs"][0], expected, rtol=1e-6)


def test_features_of_the_third_operation_by_hand():
    """Job 0 is to go over machines 0, 1 and 2; job 1 runs on machine 2."""
    problem = JobShop(num_jobs=2, num_machines=3, blocking="swap")
    instance = instance_of([[(0, 2), (1, 3), (2, 4)], [(2, 5)]]).padded(2, 3)
    state = after(problem, instance, [1])
    token = problem.observation(instance, state)["jobs"][0, 0]
    names = (
        "duration of the third operation",
        "work left on the third machine",
        "time until the chain ahead of the third machine moves",
        "third machine is empty",
    )
    seen = [token[JOB_FEATURES.index(name)] for name in names]
    np.testing.assert_allclose(seen, [4 / 5, (4 + 5) * 2 / (5 * 2), 5 / 5, 0], rtol=1e-6)


def test_nodes_and_edges_by_hand():
    seen = scene("graph")
    nodes = seen["nodes"][0]
    assert seen["machine"][0, :, :2].tolist() == [[0, 1], [1, 0], [2, 0], [3, 2], [2, -1]]
    assert (seen["machine"][0, :, 2:] == -1).all()
    assert seen["action_mask"].tolist() == [[0, 0, 0, 1, 0, 1]]
    expected = {
        (0, 0): [0, 0, 1, 0, 4 / 6, 4 / 6, 1, 0, 2 / 6, 0, 0, 0, 1],
        (0, 1): [1, 0, 0, 0, 2 / 6, 1, 1 / 2, 0, -1, 0, 0, 0, 0],
        (1, 1): [0, 1, 0, 0, 3 / 6, 1, 1 / 2, 0, -1, 0, 0, 0, 0],
        (2, 0): [0, 0, 0, 1, 1 / 6, 1 / 6, 1, 0, -1, 1, 3 / 6, 0, 1],
        (3, 0): [0, 1, 0, 0, 1, 6 / 7, 1, 2 / 6, -1, 0, 0, 1, 0],
        (4, 0): [0, 1, 0, 0, 2 / 6, 1, 1 / 2, 2 / 6, -1, 1, 3 / 6, 0, 0],
        (4, 1): [0] * 13,
    }
    for place, values in expected.items():
        np.testing.assert_allclose(nodes[place], values, rtol=1e-6, err_msg=str(place))
    made = edges(seen["nodes"], seen["machine"])

    def pairs(matrix):
        """Edges between operations (job, position)."""
        return {(divmod(u, 4), divmod(v, 4)) for u, v in np.argwhere(matrix[0]).tolist()}

    a, b, c, d = ([(j, 0), (j, 1)] for j in range(4))
    e = (4, 0)
    assert pairs(made["successor"]) == {(x[0], x[1]) for x in (a, b, c, d)}
    cliques = [(a[0], b[1], c[1]), (a[1], b[0]), (c[0], d[1], e)]
    both = {(u, v) for clique in cliques for u in clique for v in clique if u != v}
    assert pairs(made["same_machine"]) == both
    assert pairs(made["hold"]) == {(a[0], b[1]), (a[0], c[1]), (c[0], e)}
    assert pairs(made["want"]) == {(b[0], a[0]), (c[0], a[0])}
    kept = pairs(edges(seen["nodes"], seen["machine"], drop_down=True)["same_machine"])
    assert kept == {(u, v) for u, v in both if u not in cliques[2]}


def test_edges_are_the_same_on_torch():
    torch = pytest.importorskip("torch")
    seen = scene("graph")
    tensors = edges(torch.tensor(seen["nodes"]), torch.tensor(seen["machine"]))
    for name, matrix in edges(seen["nodes"], seen["machine"]).items():
        np.testing.assert_array_equal(tensors[name].numpy(), matrix)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("observation", ["jobs", "graph"])
def test_padding_changes_nothing(model, observation):
    kwargs = {"blocking": "swap", "shutdown": model, "p_down": 0.3, "observation": observation}
    tight = JobShop(num_jobs=4, num_machines=3, **kwargs)
    wide = JobShop(num_jobs=7, num_machines=5, **kwargs)
    small, luck = or_envs.sample(tight, 0, 20)
    large = small.padded(7, 5)
    large.machine[large.duration == 0] = 4  # whatever it is
    more = wide.sample_exogenous(large, generators(0, 20))
    # The same generators have drawn the instances before.
    rngs = generators(0, 20)
    tight.sample_instances(rngs)
    more = wide.sample_exogenous(large, rngs)
    states = tight.initial(small), wide.initial(large)
    rng, over = np.random.default_rng(0), np.zeros(20, dtype=bool)
    for _ in range(40):
        seen = tight.observation(small, states[0]), wide.observation(large, states[1])
        masks = tight.action_mask(small, states[0]), wide.action_mask(large, states[1])
        np.testing.assert_array_equal(masks[0][:, :4], masks[1][:, :4])
        np.testing.assert_array_equal(masks[0][:, -1], masks[1][:, -1])
        assert not masks[1][:, 4:-1].any()
        if observation == "jobs":
            np.testing.assert_array_equal(seen[0]["jobs"], seen[1]["jobs"][:, :4])
            assert (seen[1]["jobs"][:, 4:, 0] == 1).all()
            assert (seen[1]["jobs"][:, 4:, 1:] == 0).all()
        else:
            np.testing.assert_array_equal(seen[0]["nodes"], seen[1]["nodes"][:, :4, :3])
            assert (seen[1]["machine"][:, 4:] == -1).all()
        if over.all():
            break
        legal = masks[0] | over[:, None]
        action = ActionChecker(tight).sample(legal, 20, rng)
        moved = np.where(action == 4, 7, action)
        posts = (
            tight.post_decision(small, states[0], action)[0],
            wide.post_decision(large, states[1], moved)[0],
        )
        first = tight.transition(small, posts[0], luck)
        second = wide.transition(large, posts[1], more)
        np.testing.assert_array_equal(first[1], second[1])
        np.testing.assert_array_equal(first[2], second[2])
        states, over = (first[0], second[0]), first[2]
    assert over.all()
    np.testing.assert_array_equal(states[0].start, states[1].start[:, :4, :3])


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.parametrize("model", [None, *MODELS])
def test_every_mode_is_drawn(blocking, model):
    env = gym.make(
        "or_envs/JobShop-v0",
        render_mode="rgb_array",
        num_jobs=4,
        num_machines=3,
        blocking=blocking,
        shutdown=model or "hazard",
        p_down=0.0 if model is None else 0.9,
    ).unwrapped
    env.reset(seed=0)
    pictures, over, steps = [env.render()], False, 0
    while not over:
        over = env.step(int(env.action_masks().argmax()))[2]
        steps += 1
        if over or steps == 2:
            pictures.append(env.render())
    assert len(pictures) == 3
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()


# ---- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"blocking": "buffer"},
            "blocking: expected one of 'none', 'swap', 'no_swap', got 'buffer'",
        ),
        ({"shutdown": "never"}, "shutdown: expected one of 'post_operation', 'hazard'"),
        ({"reward": "makespan"}, "reward: expected one of 'time', 'lb_delta'"),
        ({"observation": "pixels"}, "observation: expected one of 'jobs', 'graph'"),
        ({"num_jobs": 0}, r"num_jobs: expected an integer >= 1, or a pair .*, got 0"),
        ({"num_machines": (3, 2)}, r"num_machines: expected an integer >= 1, or a pair .*\(3, 2\)"),
        ({"num_jobs": (1, 2, 3)}, "num_jobs: expected"),
        ({"num_jobs": 2.5}, "num_jobs: expected"),
        ({"p_down": 1.5}, r"p_down: expected numbers in \[0, 1\], got 1.5"),
        ({"p_down": ()}, "p_down: expected"),
        ({"max_downtime": 0}, "max_downtime: expected an integer >= 1, got 0"),
        ({"skip_trivial": True}, "skip_trivial: expected False where allow_wait is True"),
        ({"instance": "LA77"}, "instance: expected 'random', a name"),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        JobShop(**kwargs)


def test_the_preset():
    problem = ISBJSSP("LA01", shutdown="hazard")
    assert (problem.blocking, problem.p_down, problem.allow_wait) == ("swap", (0.1,), True)
    with pytest.raises(TypeError, match="blocking"):
        ISBJSSP(blocking="none")


T1_ROUTES, T1_TIMES = [[0, 1], [1, 0]], [[3, 2], [2, 4]]


def test_data_by_options():
    env = gym.make("or_envs/JobShop-v0", num_jobs=2, num_machines=2, blocking="swap")
    env.reset(seed=0, options={"machine": T1_ROUTES, "duration": T1_TIMES})
    total = sum(env.step(action)[1] for action in (0, 1))
    assert total == -7
    env.reset(seed=0, options={"instance": hand("T1")})
    total = sum(env.step(action)[1] for action in (0, 1))
    assert total == -7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": [[0, 1]]}, r"'machine': expected shape \(2, 2\) or \(1, 2, 2\), got \(1, 2\)"),
        ({"machine": [[0, 2], [1, 0]]}, r"'machine': expected whole numbers in \[0, 1\], got 2"),
        ({"duration": [[1, -1], [1, 1]]}, "'duration': expected whole numbers >= 0, got -1"),
        ({"duration": [[1, 1.5], [1, 1]]}, "'duration': expected whole numbers >= 0, got 1.5"),
        ({"duration": [[1, np.nan], [1, 1]]}, "'duration': expected whole numbers >= 0, got nan"),
        ({"instance": hand("T3")}, r"num_operations must have shape \(2,\) a row"),
        (
            {"instance": JobShopInstance.of([[0, 5], [1]], [[1, 1], [1]])},
            r"machine: expected whole numbers in \[0, 1\], got 5",
        ),
        (
            {"instance": JobShopInstance(*(np.zeros((1, 2, 2), int),) * 2, np.zeros((1, 2), int))},
            "num_operations: every row needs an operation",
        ),
        (
            {"exogenous": Shutdowns(np.zeros((1, 0, 0), int), np.zeros((1, 2, 3), int))},
            r"'exogenous': downtime: expected shape \(2, 2\)",
        ),
        (
            {"exogenous": Shutdowns(np.zeros((1, 0, 0), int), np.full((1, 2, 2), 99))},
            r"'exogenous': downtime: expected whole numbers in \[0, 9\], got 99",
        ),
    ],
)
def test_wrong_options_are_named(options, message):
    kwargs = {"num_jobs": 2, "num_machines": 2, "max_downtime": 9}
    for model in MODELS[: 1 if "exogenous" in options else 3]:
        env = gym.make("or_envs/ISBJSSP-v0", shutdown=model, **kwargs)
        with pytest.raises(ValueError, match=message):
            env.reset(seed=0, options=options)


def test_forced_data_may_be_of_any_kind_of_number():
    env = gym.make("or_envs/ISBJSSP-v0", num_jobs=2, num_machines=2, p_down=0.9).unwrapped
    narrow = hand("T1").map(lambda x: x.astype(np.int16))
    env.reset(seed=0, options={"instance": narrow})
    assert env.instance.duration.dtype == np.int64
    env.step(0)
    env.reset(seed=0, options={"duration": np.array([[1.0, 2.0], [2.0, 1.0]])})
    # The downtimes were drawn for other durations, but keep to the limit of these.
    assert env.batch.exogenous.downtime.max() <= 2


def test_illegal_actions_are_explained():
    env = gym.make("or_envs/JobShop-v0", instance="FT06", invalid_action="raise")
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(
        gym.error.InvalidAction, match="job 0 is done or running, or its next machine"
    ):
        env.step(0)
    env = gym.make("or_envs/JobShop-v0", instance="FT06", allow_wait=False)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(6)
    assert terminated
    assert reward == -load("FT06").duration.sum()
    assert info["invalid_action"] == "this environment was built with allow_wait=False"
    env = gym.make("or_envs/JobShop-v0", instance="FT06")
    env.reset(seed=0)
    assert "waiting is allowed only where" in env.step(6)[4]["invalid_action"]


@pytest.mark.parametrize("blocking", BLOCKING)
def test_waiting_needs_a_load_and_an_event(blocking):
    problem = problem_of(hand("T6"), blocking=blocking)
    state = problem.initial(hand("T6"))
    assert problem.action_mask(hand("T6"), state).tolist() == [[True, True, True, False]]
    state = after(problem, hand("T6"), [0])
    assert problem.action_mask(hand("T6"), state).tolist() == [[False, True, True, True]]
    assert state.clock[0] == 0
    state = after(problem, hand("T6"), [0, 3])
    assert state.clock[0] == 1


def test_a_shutdown_ends_a_wait():
    """Model "hazard": the agent may think again when a machine fails."""
    instance = instance_of([[(0, 9)], [(1, 2)], [(2, 2)]])
    problem = JobShop(num_jobs=3, num_machines=3, shutdown="hazard", p_down=0.5)
    instance = instance.padded(3, 3)
    onset = np.full((1, 3, 12), 100)
    onset[0, 1, 0] = 4
    luck = Shutdowns(onset, np.full((1, 3, 12), 3))
    state = after(problem, instance, [0, 3], luck)
    assert state.clock[0] == 4
    assert problem.action_mask(instance, state).tolist() == [[False, False, True, True]]
    state = after(problem, instance, [0, 3, 3], luck)
    assert state.clock[0] == 7
    assert problem.action_mask(instance, state).tolist() == [[False, True, True, True]]
