"""Networks of the published PDPPO code, with its defect (arXiv 2504.05150, leokan92/pdppo)."""

from __future__ import annotations

from typing import Any, Literal

from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents.pdppo.policies import PostDecisionActorCriticPolicy


class ReferencePolicy(PostDecisionActorCriticPolicy):
    """Two hidden layers of 128: ReLU in the actor, tanh in the critics, as published.

    The published optimiser is given the output layer of the actor only: its hidden layers stay as
    they were drawn. The output layer is drawn by He's rule, the critics by Glorot's, both uniform
    with zero biases; the hidden layers of the actor as torch draws them.

    Parameters
    ----------
    *args, **kwargs
        Those of SB3's policy, without ``net_arch``, ``activation_fn`` and ``ortho_init``.
    frozen_trunk
        Never train the hidden layers of the actor, as published.
    head_gain
        Non-linearity that the output layer's gain is meant for: "relu" in the published PDPPO,
        "tanh" in its PPO.

    Raises
    ------
    ValueError
        If ``head_gain`` is neither.
    """

    def __init__(
        self,
        *args: Any,
        frozen_trunk: bool = True,
        head_gain: Literal["relu", "tanh"] = "relu",
        **kwargs: Any,
    ) -> None:
        if head_gain not in ("relu", "tanh"):
            raise ValueError(f"head_gain: expected 'relu' or 'tanh', got {head_gain!r}")
        self.frozen_trunk = frozen_trunk
        self.head_gain = head_gain
        kwargs |= {"net_arch": [128, 128], "activation_fn": nn.Tanh, "ortho_init": False}
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        assert isinstance(self.action_net, nn.Linear)
        nn.init.kaiming_uniform_(self.action_net.weight, nonlinearity=self.head_gain)
        nn.init.zeros_(self.action_net.bias)
        for part in (self.mlp_extractor.value_net, self.value_net, self.post_value_net):
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)
        self.mlp_extractor.policy_net.requires_grad_(not self.frozen_trunk)

    def _build_mlp_extractor(self) -> None:
        super()._build_mlp_extractor()
        trunk = self.mlp_extractor.policy_net
        for place, layer in enumerate(trunk):
            if isinstance(layer, nn.Tanh):
                trunk[place] = nn.ReLU()
