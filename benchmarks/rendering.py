"""Plays one episode and draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.errors import UserError
from benchmarks.evaluation import is_solver
from benchmarks.files import replacing
from or_envs.core import Env

#: What :func:`render_episode` can write.
FORMATS = (".gif", ".mp4", ".png")


def render_episode(env: Env, player: Any, seed: int, sees_future: bool, path: Path) -> float:
    """Play one episode, write a film of all its states or a PNG of the last, return the cost.

    Parameters
    ----------
    env
        Environment with ``render_mode="rgb_array"``.
    player
        A rule or a solver.
    seed
        Seed of the episode.
    sees_future
        Whether a solver is given the trace.
    path
        The file to write, one of :data:`FORMATS`.

    Raises
    ------
    UserError
        If a solver has no plan, or the package that writes MP4 is missing.
    """
    movie = path.suffix != ".png"
    if path.suffix == ".mp4":
        _video_writer()  # before the episode is played
    env.reset(seed=seed)
    plan = None
    if is_solver(player):
        exogenous = env.batch.exogenous if sees_future else None
        plan = player.solve(env.instance, exogenous).actions
        if plan is None:
            raise UserError("contestant: the solver has no plan to draw")
    frames = [env.render()] if movie else []
    cost, step, over = 0.0, 0, False
    while not over:
        action = player(env.instance, env.state)[0] if plan is None else plan[step]
        _, reward, terminated, truncated, _ = env.step(np.asarray(action))
        cost -= reward
        step += 1
        over = terminated or truncated
        if movie or over:
            frames.append(env.render())
    _write([frame for frame in frames if frame is not None], path)
    return cost


def make_env(env_id: str, env_kwargs: dict[str, Any]) -> Env:
    """The environment that :func:`render_episode` needs; an illegal action raises."""
    env = gym.make(env_id, render_mode="rgb_array", invalid_action="raise", **env_kwargs).unwrapped
    assert isinstance(env, Env)
    return env


def _video_writer() -> Any:
    """``imageio``'s function that writes a film, with the ffmpeg that it brings along."""
    try:
        import imageio_ffmpeg  # noqa: F401
        from imageio.v3 import imwrite
    except ModuleNotFoundError as error:
        raise UserError(
            f"output: MP4 needs {error.name}: pip install 'or-envs[video]'; GIF needs nothing"
        ) from None
    return imwrite


def _write(frames: list[np.ndarray], path: Path) -> None:
    from PIL import Image

    fps = int(Env.metadata["render_fps"])
    with replacing(path) as part:
        if path.suffix == ".mp4":
            # The codec wants even sides; ours are.
            _video_writer()(part, np.stack(frames), plugin="FFMPEG", fps=fps, macro_block_size=2)
            return
        images = [Image.fromarray(frame) for frame in frames]
        if path.suffix == ".gif":
            images[0].save(
                part, save_all=True, append_images=images[1:], duration=1000 // fps, loop=0
            )
        else:
            images[-1].save(part)
