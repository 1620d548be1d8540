"""The networks of the published code: what is trained, and how it starts."""

import numpy as np
import pytest
import torch

from agents.pdppo.pdppo import PDPPO
from tests.agents.helpers import build, equal_parameters, lot_sizing, observations, parameters

TRUNK = "mlp_extractor.policy_net"


def reference(**policy_kwargs):
    """Published settings, beside the networks."""
    env = lot_sizing(
        scale=1.0,
        observation_mode="inventory_only",
        allow_invalid=True,
        finite_horizon=True,
    )
    return build(
        PDPPO,
        env,
        "ReferencePolicy",
        advantage="pd_max",
        ratio="per_component",
        normalize_advantage=False,
        reuse_rollouts=6,
        learning_rate=5.5e-4,
        critic_learning_rate=1e-3,
        gamma=0.9,
        batch_size=2400,
        max_grad_norm=1e9,
        policy_kwargs=policy_kwargs,
    )


@pytest.mark.parametrize("frozen_trunk", [True, False])
def test_the_hidden_layers_of_the_actor_are_not_trained(frozen_trunk):
    model = reference(frozen_trunk=frozen_trunk)
    before = parameters(model)
    after = parameters(model.learn(240))
    for name, value in after.items():
        assert torch.equal(value, before[name]) == (frozen_trunk and name.startswith(TRUNK)), name


@pytest.mark.parametrize(("head_gain", "gain"), [("relu", np.sqrt(2)), ("tanh", 5 / 3)])
def test_start(head_gain, gain):
    """Uniform within gain sqrt(3 / fan_in) (He), or sqrt(6 / (fan_in + fan_out)) (Glorot)."""
    first = parameters(reference(head_gain=head_gain))

    def assert_uniform(name, bound):
        assert first[f"{name}.weight"].abs().max() == pytest.approx(bound, rel=0.05)
        assert first[f"{name}.weight"].abs().mean() == pytest.approx(bound / 2, rel=0.15)
        assert not first[f"{name}.bias"].any()

    assert_uniform("action_net", gain * np.sqrt(3 / 128))
    for critic in ("mlp_extractor.value_net", "post_value_net"):
        assert_uniform(f"{critic}.0", np.sqrt(6 / (15 + 128)))
        assert_uniform(f"{critic}.2", np.sqrt(6 / (128 + 128)))
    assert first[f"{TRUNK}.0.bias"].any()  # torch's own


def test_layers():
    """The logits, layer by layer."""
    model = reference()
    p = parameters(model)
    obs = torch.as_tensor(observations(model))
    hidden = obs
    for layer in (f"{TRUNK}.0", f"{TRUNK}.2"):
        hidden = (hidden @ p[f"{layer}.weight"].T + p[f"{layer}.bias"]).clamp(min=0)
    logits = hidden @ p["action_net.weight"].T + p["action_net.bias"]
    distribution = model.policy.get_distribution(obs)
    for part, expected in zip(distribution.distribution, logits.split(16, 1), strict=True):
        torch.testing.assert_close(part.logits, torch.log_softmax(expected, dim=1))
    values = obs
    for layer in ("post_value_net.0", "post_value_net.2"):
        values = torch.tanh(values @ p[f"{layer}.weight"].T + p[f"{layer}.bias"])
    values = values @ p["post_value_net.4.weight"].T + p["post_value_net.4.bias"]
    with torch.no_grad():
        torch.testing.assert_close(model.policy.predict_post_values(obs), values)


def test_bad_gain():
    with pytest.raises(ValueError, match="head_gain: expected 'relu' or 'tanh', got 'selu'"):
        reference(head_gain="selu")


def test_save_and_load(tmp_path):
    model = reference(head_gain="tanh").learn(80)
    model.save(tmp_path / "model")
    again = PDPPO.load(tmp_path / "model")
    assert again.settings() == model.settings()
    assert equal_parameters(model, again)
    assert again.policy.frozen_trunk
