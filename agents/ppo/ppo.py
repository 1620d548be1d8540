"""Proximal policy optimisation, with and without action masks."""

from __future__ import annotations

import sb3_contrib
import stable_baselines3

from agents.common.safe_files import SafeFiles


class PPO(SafeFiles, stable_baselines3.PPO):
    """Stable-Baselines3's PPO (arXiv 1707.06347) with files that never execute code."""


class MaskablePPO(SafeFiles, sb3_contrib.MaskablePPO):
    """sb3-contrib's PPO with masks on illegal actions (arXiv 2006.14171), same files."""
