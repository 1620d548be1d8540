"""A run that is killed and resumed ends, bit by bit, as an undisturbed one."""

# ruff: noqa: NPY002  (SB3 draws from the global generator)

import os
import subprocess
import sys

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecMonitor

from agents.common.checkpoint import ExactCheckpoint, learn_resumable, resume, write_checkpoint
from agents.pdppo.pdppo import PDPPO
from agents.ppo.ppo import PPO, MaskablePPO
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import TSP, build, equal_parameters, lot_sizing

ROLLOUT = 80
TOTAL = 6 * ROLLOUT
#: Both schedules depend on the progress of the whole run.
SETTINGS = {
    "learning_rate": LinearSchedule(1e-2, 1e-4, 1.0),
    "clip_range": LinearSchedule(0.3, 0.1, 1.0),
}


class Kill(BaseCallback):
    """Ends the process, or as good as, in the middle of a roll-out."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def _on_step(self):
        if self.num_timesteps >= self.at:
            raise KeyboardInterrupt
        return True


def make(cls, problem):
    if problem == "tsp":
        env = make_sb3_vec_env(TSP, 4, 0, num_cities=6)
        extra = {"advantage": "ppo"} if cls is PDPPO else {}
        return build(cls, env, "MultiInputPolicy", **SETTINGS, **extra)
    return build(cls, lot_sizing(allow_invalid=cls is PPO), **SETTINGS)


def final_state(model):
    return torch.rand(3), np.random.random(3), model.env.get_state(), model._last_obs


def assert_equal_runs(a, b, state_a, state_b):
    assert equal_parameters(a, b)
    moments_a, moments_b = (model.policy.optimizer.state_dict()["state"] for model in (a, b))
    assert moments_a.keys() == moments_b.keys()
    for index in moments_a:
        for key, value in moments_a[index].items():
            assert torch.equal(value, moments_b[index][key])
    assert (a.num_timesteps, a._n_updates) == (b.num_timesteps, b._n_updates)
    assert [e["r"] for e in a.ep_info_buffer] == [e["r"] for e in b.ep_info_buffer]
    assert torch.equal(state_a[0], state_b[0])
    np.testing.assert_array_equal(state_a[1], state_b[1])
    assert state_a[2][1] == state_b[2][1]
    for name, array in state_a[2][0].items():
        np.testing.assert_array_equal(array, state_b[2][0][name])
    seen_a, seen_b = (s[3] if isinstance(s[3], dict) else {"": s[3]} for s in (state_a, state_b))
    for name, array in seen_a.items():
        np.testing.assert_array_equal(array, seen_b[name])


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (PPO, "lot_sizing"),
        (MaskablePPO, "lot_sizing"),
        (PDPPO, "lot_sizing"),
        (MaskablePPO, "tsp"),
        (PDPPO, "tsp"),
    ],
)
def test_killed_and_resumed(cls, problem, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    undisturbed = make(cls, problem).learn(TOTAL)
    expected = final_state(undisturbed)

    with pytest.raises(KeyboardInterrupt):
        learn_resumable(make(cls, problem), TOTAL, path, every=2, callback=Kill(4.5 * ROLLOUT))
    torch.manual_seed(99)
    np.random.seed(99)
    resumed = make(cls, problem)
    started = []

    class Start(BaseCallback):
        def _on_training_start(self):
            started.append(self.model.num_timesteps)

        def _on_step(self):
            return True

    learn_resumable(resumed, TOTAL, path, every=2, callback=Start())
    assert started == [4 * ROLLOUT]
    assert_equal_runs(undisturbed, resumed, expected, final_state(resumed))


def test_a_finished_run_is_left_alone(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    first = make(PDPPO, "lot_sizing")
    learn_resumable(first, 2 * ROLLOUT, path)
    again = make(PDPPO, "lot_sizing")
    learn_resumable(again, 2 * ROLLOUT, path)
    assert again.num_timesteps == 2 * ROLLOUT
    assert not first._last_episode_starts.any()  # in the middle of their episodes
    np.testing.assert_array_equal(again._last_episode_starts, first._last_episode_starts)
    assert equal_parameters(first, again)


def test_how_often(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    written = []

    class Watch(ExactCheckpoint):
        def _on_rollout_start(self):
            path.unlink(missing_ok=True)
            super()._on_rollout_start()
            if path.exists():
                written.append(self.num_timesteps // ROLLOUT)

    make(PDPPO, "lot_sizing").learn(7 * ROLLOUT, callback=Watch(path, every=3))
    assert written == [3, 6]
    assert path.exists()  # that of the end
    with pytest.raises(ValueError, match="every"):
        ExactCheckpoint(path, every=0)


def test_writing_does_not_disturb(tmp_path):
    a = make(PDPPO, "lot_sizing").learn(3 * ROLLOUT)
    b = make(PDPPO, "lot_sizing")
    b.learn(3 * ROLLOUT, callback=ExactCheckpoint(tmp_path / "c.safetensors", every=1))
    assert equal_parameters(a, b)


def test_wrong_checkpoints_are_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    learn_resumable(make(PDPPO, "lot_sizing"), ROLLOUT, path)
    with pytest.raises(ValueError, match="holds a PDPPO checkpoint, expected MaskablePPO"):
        resume(make(MaskablePPO, "lot_sizing"), path)
    with pytest.raises(ValueError, match="holds a PDPPO checkpoint, expected PDPPO model"):
        PDPPO.load(path)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors: written by a model with"):
        resume(build(PDPPO, lot_sizing(), gamma=0.5, **SETTINGS), path)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors: state: holds 4"):
        resume(build(PDPPO, lot_sizing(num=2), **SETTINGS), path)
    with pytest.raises(ValueError, match="reward_scale"):
        resume(build(PDPPO, lot_sizing(scale=0.1), **SETTINGS), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut short"):
        resume(make(PDPPO, "lot_sizing"), path)


def test_what_cannot_be_checkpointed(tmp_path):
    wrapped = build(PPO, VecMonitor(lot_sizing(allow_invalid=True))).learn(ROLLOUT)
    with pytest.raises(ValueError, match="needs an SB3VecEnv, got VecMonitor"):
        write_checkpoint(wrapped, tmp_path / "c")
    foreign = build(stable_baselines3.PPO, lot_sizing(allow_invalid=True)).learn(ROLLOUT)
    with pytest.raises(ValueError, match="not an agent of this package"):
        write_checkpoint(foreign, tmp_path / "c")


SCRIPT = """
import os, sys, torch
torch.set_num_threads(1)
from agents.common.checkpoint import learn_resumable
from tests.agents.test_checkpoint import Kill, PDPPO, ROLLOUT, TOTAL, make
class Die(Kill):
    def _on_step(self):
        if self.num_timesteps >= self.at:
            os._exit(9)
        return True
model = make(PDPPO, "lot_sizing")
learn_resumable(model, TOTAL, sys.argv[1], every=1, callback=Die(float(sys.argv[2])))
model.save(sys.argv[1] + ".model")
"""


@pytest.mark.slow
def test_killed_process(tmp_path):
    path = str(tmp_path / "c")
    for at, code in ((2.5 * ROLLOUT, 9), (4.5 * ROLLOUT, 9), (np.inf, 0)):
        done = subprocess.run([sys.executable, "-c", SCRIPT, path, str(at)], cwd=os.getcwd())
        assert done.returncode == code
    undisturbed = make(PDPPO, "lot_sizing").learn(TOTAL)
    assert equal_parameters(undisturbed, PDPPO.load(path + ".model"))
