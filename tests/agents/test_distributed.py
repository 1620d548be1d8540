"""Two processes train as one does."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from agents.common.distributed import add_gradients, processes, share
from or_envs.core.sb3 import make_sb3_vec_env


def chances(labels):
    """Of the nodes, by a trained network; weights that make no difference to them may differ."""
    env = make_sb3_vec_env("or_envs/TSP-v0", 1, 0, num_cities=6)
    architecture = {"dim": 16, "heads": 2, "layers": 1, "feed_forward": 16}
    settings = {"dev_every": 5, "dev_instances": 8, "tokens": 75, "warm_up": 2, "seed": 0}
    model = BQNCO(
        "BQPolicy",
        env,
        labels=[str(labels)],
        device="cpu",
        policy_kwargs=architecture,
        **settings,
    )
    model.learn(250)
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 100, 40)
    data = instance.to_torch("cpu", torch.float32)
    with torch.no_grad():
        return model.policy.scores(data, problem.initial(data))[0].softmax(dim=1).numpy()


def worker(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    np.save(folder / f"{rank}.npy", chances(folder / "labels.npz"))
    dist.destroy_process_group()


def test_two_processes_train_as_one(tmp_path):
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 0, 40)
    tours = np.stack([1 + np.random.default_rng(k).permutation(5) for k in range(40)])
    Labels(instance, tours).save(tmp_path / "labels.npz")
    alone = chances(tmp_path / "labels.npz")
    torch.multiprocessing.spawn(worker, (tmp_path,), nprocs=2)
    for rank in range(2):
        together = np.load(tmp_path / f"{rank}.npy")
        np.testing.assert_allclose(together, alone, atol=1e-5)


def adder(rank, folder):
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in ((2, 3), (), (4,))]
    parameters[0].grad = torch.arange(6.0).reshape(2, 3) + rank
    parameters[2].grad = torch.full((4,), 10.0**rank)
    add_gradients(parameters)
    assert parameters[0].grad.tolist() == [[1, 3, 5], [7, 9, 11]]
    assert parameters[1].grad is None
    assert parameters[2].grad.tolist() == [11] * 4
    dist.destroy_process_group()


def test_gradients_of_all_shapes_are_added(tmp_path):
    torch.multiprocessing.spawn(adder, (tmp_path,), nprocs=2)


def test_alone_there_is_nothing_to_share():
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    add_gradients([parameter])
    assert processes() == 1
    assert share(5, "cpu") is None
    assert parameter.grad.tolist() == [1, 1]


def test_too_few_rows_are_refused(monkeypatch):
    monkeypatch.setattr("agents.common.distributed.processes", lambda: 4)
    with pytest.raises(ValueError, match="at least 4 rows, one per process, got 3"):
        share(3, "cpu")
