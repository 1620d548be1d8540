"""The one table of agents."""

from __future__ import annotations

import importlib
from typing import Any

from or_envs.extras import MissingExtraError

#: name -> class of the algorithm. An agent is added by one line here.
TABLE: dict[str, str] = {
    "adp": "agents.adp.adp:ADP",
    "bq_nco": "agents.bq_nco.bq_nco:BQNCO",
    "expo": "agents.expo.expo:EXPO",
    "gnn_ppo": "agents.gnn_ppo.gnn_ppo:GNNPPO",
    "hdpo": "agents.hdpo.hdpo:HDPO",
    "ppo": "agents.ppo.ppo:PPO",
    "ppo_mask": "agents.ppo.ppo:MaskablePPO",
    "pmoe_ppo": "agents.pmoe.pmoe_ppo:PMOEPPO",
    "pmoe_sac": "agents.pmoe.pmoe_sac:PMOESAC",
    "props": "agents.props.props:PROPS",
    "pdppo": "agents.pdppo.pdppo:PDPPO",
    "rlpd": "agents.rlpd.rlpd:RLPD",
}


def agent_class(name: str) -> Any:
    """Return the algorithm class of a name: an SB3 algorithm with learn, predict, save and load.

    Raises
    ------
    ValueError
        If no agent has the name; the message lists those that there are.
    ModuleNotFoundError
        If the extra "agents" is not installed.
    """
    if name not in TABLE:
        raise ValueError(f"agent: expected one of {', '.join(TABLE)}, got {name!r}")
    module, _, attribute = TABLE[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"agent {name!r}", error.name or module) from None
