"""Model files: the same model comes back, nothing is executed, errors say what is wrong."""

# ruff: noqa: NPY002  (SB3 draws from the global generator)

import contextlib
import errno
import json
import os
import pickle
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from stable_baselines3.common.utils import LinearSchedule

from agents.common import files
from agents.common.files import load_model, save_model
from agents.common.settings import setting_from_json, setting_to_json
from agents.common.spaces import space_from_json, space_to_json
from agents.pdppo.pdppo import PDPPO
from agents.ppo.ppo import PPO, MaskablePPO
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import TSP, build, equal_parameters, lot_sizing, observations, parameters

CLASSES = pytest.mark.parametrize("cls", [PPO, MaskablePPO, PDPPO])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "model.safetensors"


@contextlib.contextmanager
def no_unpickling():
    def refuse(*args, **kwargs):
        raise AssertionError("something was unpickled")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickle, "load", refuse)
        patch.setattr(pickle, "loads", refuse)
        patch.setattr(pickle, "Unpickler", refuse)
        patch.setattr(torch, "load", refuse)
        yield


def test_the_guard_itself(path):
    """Loading with SB3 does unpickle: the guard would notice."""
    env = lot_sizing(allow_invalid=True)
    build(stable_baselines3.PPO, env).save(path)
    with no_unpickling(), pytest.raises(AssertionError, match="unpickled"):
        stable_baselines3.PPO.load(path)


# ---- round trip -----------------------------------------------------------------------------


@CLASSES
def test_round_trip_on_boxes(cls, path):
    env = lot_sizing(allow_invalid=cls is PPO)
    model = build(cls, env, gamma=0.9).learn(80)
    model.save(path)
    with no_unpickling():
        loaded = cls.load(path)
    assert equal_parameters(model, loaded)
    obs = observations(model)
    for deterministic in (True, False):
        torch.manual_seed(0)
        expected, _ = model.predict(obs, deterministic=deterministic)
        torch.manual_seed(0)
        actual, _ = loaded.predict(obs, deterministic=deterministic)
        np.testing.assert_array_equal(actual, expected)
    assert loaded.gamma == 0.9
    assert loaded.num_timesteps == 80
    assert loaded.seed == 3


def test_round_trip_on_dicts_with_masks(path):
    model = build(MaskablePPO, make_sb3_vec_env(TSP, 4, 0, num_cities=5), "MultiInputPolicy")
    model.save(path)
    with no_unpickling():
        loaded = MaskablePPO.load(path)
    obs, masks = observations(model), np.tile([False, True, False, True, True], (50, 1))
    expected, _ = model.predict(obs, deterministic=True, action_masks=masks)
    actual, _ = loaded.predict(obs, deterministic=True, action_masks=masks)
    np.testing.assert_array_equal(actual, expected)
    assert not np.isin(actual, [0, 2]).any()


def test_settings_come_back(path):
    settings = {
        "learning_rate": LinearSchedule(1e-3, 1e-5, 0.8),
        "clip_range": 0.3,
        "advantage": "pd_max",
        "ratio": "per_component",
        "lambda_decision": 0.5,
        "mask": True,
        "target_kl": 0.01,
        "policy_kwargs": {
            "net_arch": {"pi": [8], "vf": [4, 4]},
            "activation_fn": torch.nn.ReLU,
            "optimizer_kwargs": {"eps": 1e-7},
        },
    }
    build(PDPPO, lot_sizing(), **settings).save(path)
    loaded = PDPPO.load(path)
    for progress in (1.0, 0.5, 0.1):
        assert loaded.lr_schedule(progress) == settings["learning_rate"](progress)
    assert loaded.clip_range(1.0) == 0.3
    for name in ("advantage", "ratio", "lambda_decision", "mask", "target_kl", "policy_kwargs"):
        assert getattr(loaded, name) == settings[name]
    assert isinstance(loaded.policy.post_value_net[1], torch.nn.ReLU)


@CLASSES
def test_training_goes_on_after_loading(cls, path):
    build(cls, lot_sizing(allow_invalid=True)).save(path)
    env = lot_sizing(num=2, allow_invalid=True)
    model = cls.load(path, env)
    before = parameters(model)
    model.learn(40)
    assert not torch.equal(before["action_net.weight"], parameters(model)["action_net.weight"])


def test_loading_leaves_the_random_generators(path):
    build(PDPPO, lot_sizing()).save(path)
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()
    PDPPO.load(path, lot_sizing())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1][1])
    assert np.random.get_state()[2:] == before[1][2:]


# ---- files that are refused -----------------------------------------------------------------


def test_other_algorithm(path):
    build(PDPPO, lot_sizing()).save(path)
    with pytest.raises(ValueError, match=r"model\.safetensors: holds a PDPPO model, expected PPO"):
        PPO.load(path)


@pytest.mark.parametrize("length", [0, 4, 100, -1000])
def test_cut_file(path, length):
    build(PPO, lot_sizing(allow_invalid=True)).save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"model\.safetensors: .*cut short"):
        PPO.load(path)


def test_pickles_of_sb3_are_refused_unread(tmp_path):
    zipped = tmp_path / "model.zip"
    env = lot_sizing(allow_invalid=True)
    build(stable_baselines3.PPO, env).save(zipped)
    message = r"model\.zip: expected a safetensors file"
    with no_unpickling(), pytest.raises(ValueError, match=message):
        PPO.load(zipped)


def test_a_pickle_bomb_does_not_explode(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    file = tmp_path / "bomb.safetensors"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="expected a safetensors file"):
        PPO.load(file)
    assert not (tmp_path / "exploded").exists()


def test_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        PPO.load(path)


def test_foreign_safetensors(tmp_path):
    save_file({"weight": np.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors.*no header"):
        PPO.load(tmp_path / "foreign.safetensors")


def test_other_format_version(path, monkeypatch):
    monkeypatch.setattr(files, "FORMAT_VERSION", 2)
    save_model(path, "PPO", {}, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format version 2, expected 1"):
        load_model(path, "PPO")


def test_other_spaces(path):
    build(PPO, lot_sizing(allow_invalid=True)).save(path)
    with pytest.raises(ValueError, match=r"observation_space .*95.*but the environment"):
        PPO.load(path, lot_sizing(instance="VI-A", allow_invalid=True))


def test_weights_that_do_not_fit(path):
    build(PPO, lot_sizing(allow_invalid=True)).save(path)
    tensors, settings = load_model(path, "PPO")
    del tensors["action_net.weight"]
    save_model(path, "PPO", tensors, settings)
    with pytest.raises(ValueError, match=r"model\.safetensors: the weights.*action_net"):
        PPO.load(path)


def test_functions_and_classes_are_refused_when_saving(path):
    env = lot_sizing(allow_invalid=True)
    with pytest.raises(ValueError, match="learning_rate: cannot be saved"):
        build(PPO, env, learning_rate=lambda left: left).save(path)
    with pytest.raises(ValueError, match=r"policy_kwargs\.optimizer_class: cannot be saved"):
        build(PPO, env, policy_kwargs={"optimizer_class": torch.optim.SGD}).save(path)

    class OwnPolicy(stable_baselines3.ppo.MlpPolicy):
        pass

    with pytest.raises(ValueError, match="OwnPolicy"):
        build(PPO, env, OwnPolicy).save(path)
    assert not path.exists()


def test_a_file_cannot_name_other_classes():
    with pytest.raises(ValueError, match=r"activation_fn: unknown .*'Module'"):
        setting_from_json("activation_fn", {"activation": "Module"})


# ---- the container --------------------------------------------------------------------------


def test_arrays_of_every_kind_come_back(path):
    tensors = {
        "scalar": np.array(3.0, dtype=np.float32),
        "bool": np.array([True, False]),
        "large": np.array([2**63 + 1], dtype=np.uint64),
        "transposed": np.arange(6).reshape(2, 3).T,
        "shared": np.broadcast_to(np.arange(2.0), (3, 2)),
        "empty": np.zeros((0, 2)),
    }
    save_model(path, "X", tensors, {"integer": 2**127 + 1})
    loaded, settings = load_model(path, "X")
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
    assert settings == {"integer": 2**127 + 1}


def test_header_says_what_wrote_it(path):
    save_model(path, "PPO", {"weight": np.ones(2)}, {"gamma": 0.9})
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["or-envs"])
    assert header["kind"] == "PPO model"
    assert header["packages"]["torch"] == torch.__version__


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    save_model(path, "X", {"weight": np.ones(2)}, {})

    def half(temporary, content):
        with temporary.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match=f"disk full: '{path}'"):
        save_model(path, "X", {"weight": np.zeros(2)}, {})
    np.testing.assert_array_equal(load_model(path, "X")[0]["weight"], np.ones(2))
    assert os.listdir(path.parent) == [path.name]


SPACES = [
    gym.spaces.Box(0, 1, (3, 2), np.float32),
    gym.spaces.Box(np.array([0.1, -np.inf]), np.array([np.inf, 7.3]), dtype=np.float64),
    gym.spaces.Box(0, 255, (4, 4, 1), np.uint8),
    gym.spaces.Discrete(5),
    gym.spaces.Discrete(5, start=-2),
    gym.spaces.MultiDiscrete([2, 3, 4]),
    gym.spaces.MultiBinary(6),
    gym.spaces.Dict({"b": gym.spaces.Discrete(2), "a": gym.spaces.Box(-1, 1, (2,))}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_spaces(space):
    again = space_from_json(json.loads(json.dumps(space_to_json(space))))
    assert again == space
    assert again.dtype == space.dtype


def test_other_spaces_are_refused():
    with pytest.raises(ValueError, match="got Text"):
        space_to_json(gym.spaces.Text(3))
    with pytest.raises(ValueError, match="'Tuple'"):
        space_from_json({"type": "Tuple"})


def test_settings_keep_their_types():
    value = {"a": (1, 2.5, None), "b": True, "c": np.float32(0.5), "d": [np.int64(3)], "e": "x"}
    again = setting_from_json("name", json.loads(json.dumps(setting_to_json("name", value))))
    assert again == {"a": [1, 2.5, None], "b": True, "c": 0.5, "d": [3], "e": "x"}
