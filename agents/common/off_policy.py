"""What agents with a replay buffer share: files and checkpoints that hold all they learn with."""

from __future__ import annotations

import io
import json
import os
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.common.files import read, write
from agents.common.safe_files import SafeFiles

_FIELDS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_KIND = "replay buffer"


class SafeOffPolicy(SafeFiles, OffPolicyAlgorithm):
    """Mixin, named before the SB3 algorithm: :class:`SafeFiles` with optimisers and buffers."""

    keeps_optimizers: ClassVar[bool] = True

    def run_state(self) -> dict[str, np.ndarray]:
        """Replay buffer, and the generator of the random actions before learning starts."""
        assert self.replay_buffer is not None
        generator = json.dumps(self.action_space.np_random.bit_generator.state)
        return {
            **{f"replay.{name}": x for name, x in replay_arrays(self.replay_buffer).items()},
            "action_generator": np.frombuffer(generator.encode(), dtype=np.uint8),
        }

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from what :meth:`run_state` returned."""
        assert self.replay_buffer is not None
        generator = json.loads(arrays["action_generator"].tobytes())
        self.action_space.np_random.bit_generator.state = generator
        start = "replay."
        set_replay_arrays(
            self.replay_buffer,
            {name.removeprefix(start): x for name, x in arrays.items() if name.startswith(start)},
        )

    def save_replay_buffer(  # type: ignore[override]
        self, path: str | os.PathLike[str]
    ) -> None:
        """Write the replay buffer to exactly this file, without pickling."""
        assert self.replay_buffer is not None
        write(path, _KIND, replay_arrays(self.replay_buffer), {})

    def load_replay_buffer(
        self, path: str | os.PathLike[str] | io.BufferedIOBase, truncate_last_traj: bool = True
    ) -> None:
        """Fill the replay buffer from a file that :meth:`save_replay_buffer` wrote.

        Parameters
        ----------
        path
            The file.
        truncate_last_traj
            Not used; part of SB3's interface.

        Raises
        ------
        ValueError
            If the file is another one, or its buffer does not fit this algorithm's.
        """
        assert self.replay_buffer is not None
        set_replay_arrays(self.replay_buffer, read(path, _KIND)[0])  # type: ignore[arg-type]


def replay_arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Contents of a replay buffer; rows that were never filled are left out."""
    arrays = {"position": np.array(buffer.pos), "full": np.array(buffer.full)}
    return arrays | {name: part[: buffer.size()] for name, part in _parts(buffer).items()}


def set_replay_arrays(buffer: ReplayBuffer, arrays: dict[str, np.ndarray]) -> None:
    """Fill a replay buffer with what :func:`replay_arrays` returned.

    Raises
    ------
    ValueError
        If the buffer has other arrays, or they do not fit.
    """
    parts = _parts(buffer)
    if arrays.keys() != parts.keys() | {"position", "full"}:
        raise ValueError(
            f"replay buffer: expected arrays {', '.join(parts)}, got {', '.join(arrays)}"
        )
    for name, part in parts.items():
        rows, found = len(arrays[name]), arrays[name]
        if rows > len(part) or found.shape[1:] != part.shape[1:] or found.dtype != part.dtype:
            raise ValueError(
                f"replay buffer: {name}: expected {part.dtype}{part.shape} or fewer rows,"
                f" got {found.dtype}{found.shape}"
            )
        part[:rows] = found
    buffer.pos, buffer.full = int(arrays["position"]), bool(arrays["full"])


def _parts(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Arrays of a replay buffer by name, those of a Dict observation by key."""
    parts: dict[str, Any] = {}
    for name in _FIELDS:
        value: Any = getattr(buffer, name)
        if isinstance(value, dict):
            parts |= {f"{name}.{key}": part for key, part in value.items()}
        else:
            parts[name] = value
    return parts
