"""What a search with a trained policy is to whoever calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: From a batch of instances (numpy) to the actions of their episodes, (B, T), -1 after the end.
Search = Callable[[Any], np.ndarray]
