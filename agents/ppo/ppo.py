"""Proximal policy optimisation, with and without action masks."""

from __future__ import annotations

from typing import ClassVar

import sb3_contrib
import stable_baselines3
from stable_baselines3.common.policies import BasePolicy

from agents.common.safe_files import SafeFiles
from agents.gnn_ppo.maskable import MaskableFleetPolicy


class PPO(SafeFiles, stable_baselines3.PPO):
    """Stable-Baselines3's PPO (arXiv 1707.06347) with files that never execute code."""


class MaskablePPO(SafeFiles, sb3_contrib.MaskablePPO):
    """sb3-contrib's PPO with masks on illegal actions (arXiv 2006.14171), same files.

    Policy "FleetGraph" has the network that GNN-PPO has for the fleet.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        **sb3_contrib.MaskablePPO.policy_aliases,
        "FleetGraph": MaskableFleetPolicy,
    }
