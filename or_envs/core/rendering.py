"""The drawing base: records an episode and draws its last state with matplotlib."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from or_envs.core.problem import AnyProblem
from or_envs.extras import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from or_envs.core.batch import Step


@dataclasses.dataclass
class Episode:
    """What a drawing function sees; all batches have one row.

    Attributes
    ----------
    problem, instance, state
        The problem, the instance and the current state.
    actions
        The actions so far, each of the shape of the action space.
    decision_rewards, outcome_rewards
        The two parts of every reward so far.
    states
        The states in which the actions were taken.
    """

    problem: AnyProblem
    instance: Any
    state: Any
    actions: list[np.ndarray] = dataclasses.field(default_factory=list)
    decision_rewards: list[float] = dataclasses.field(default_factory=list)
    outcome_rewards: list[float] = dataclasses.field(default_factory=list)
    states: list[Any] = dataclasses.field(default_factory=list)


class Recorder:
    """Follows one environment and draws it.

    A problem's ``drawing`` names a function ``draw(figure, episode)`` that fills an empty
    matplotlib figure.

    Raises
    ------
    ValueError
        If the problem has no drawing, or the mode is unknown.
    ModuleNotFoundError
        If matplotlib is not installed.
    """

    def __init__(self, problem: AnyProblem, render_mode: str) -> None:
        if render_mode not in ("rgb_array", "human"):
            raise ValueError(
                f"render_mode: expected None, 'rgb_array' or 'human', got {render_mode!r}"
            )
        if problem.drawing is None:
            raise ValueError(f"render_mode: {type(problem).__name__} has no drawing")
        if importlib.util.find_spec("matplotlib") is None:
            raise MissingExtraError("rendering", "matplotlib")
        module, _, name = problem.drawing.partition(":")
        self._fill: Callable[[Figure, Episode], None] = getattr(
            importlib.import_module(module), name
        )
        self._problem = problem
        self._human = render_mode == "human"
        self._window: Figure | None = None
        self.episode: Episode | None = None

    def start(self, instance: Any, state: Any) -> None:
        """Begin a new episode."""
        self.episode = Episode(self._problem, instance, state)

    def add(self, action: np.ndarray, step: Step, state: Any) -> None:
        """Record one step."""
        assert self.episode is not None
        self.episode.states.append(self.episode.state)
        self.episode.state = state
        self.episode.actions.append(action)
        self.episode.decision_rewards.append(float(step.decision_reward[0]))
        self.episode.outcome_rewards.append(float(step.outcome_reward[0]))

    def draw(self) -> np.ndarray | None:
        """Draw the last state; returns an RGB array (height, width, 3) unless in a window."""
        if self.episode is None:
            raise ValueError("render: call reset first")
        if self._human:
            self._draw_window(self.episode)
            return None
        return draw(self._fill, self.episode)

    def _draw_window(self, episode: Episode) -> None:
        import matplotlib.pyplot as plt

        if self._window is None:
            plt.ion()
            self._window = plt.figure(figsize=(9, 6))
        self._window.clear()
        self._fill(self._window, episode)
        self._window.canvas.draw_idle()
        self._window.canvas.flush_events()

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            import matplotlib.pyplot as plt

            plt.close(self._window)
            self._window = None


def draw(fill: Callable[[Figure, Episode], None], episode: Episode) -> np.ndarray:
    """Draw an episode off screen; returns uint8 of shape (600, 900, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    fill(figure, episode)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
