"""The optimiser for matrices beside those of torch."""

import copy

import pytest
import torch

from agents.common.muon import Muon, orthogonalized


def network():
    torch.manual_seed(0)
    layers = [
        torch.nn.Linear(*sizes) for sizes in ((3, 24), (24, 24), (24, 24), (24, 40), (40, 24))
    ]
    return torch.nn.Sequential(*layers, torch.nn.Linear(24, 1))


def descend(model, optimizers, number):
    torch.manual_seed(number)
    model(torch.randn(16, 3)).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_steps_are_those_of_torch(decay):
    ours, theirs = network(), network()
    matrices = [p for p in theirs.parameters() if p.ndim == 2 and min(p.shape) >= 16]
    others = [p for p in theirs.parameters() if not (p.ndim == 2 and min(p.shape) >= 16)]
    assert len(matrices) == 4
    settings = {"lr": 0.01, "weight_decay": decay, "adjust_lr_fn": "match_rms_adamw"}
    pair = [torch.optim.Muon(matrices, **settings), torch.optim.Adam(others, lr=0.01)]
    own = [Muon(ours.parameters(), lr=0.01, decay=decay)]
    for number in range(5):
        descend(ours, own, number)
        descend(theirs, pair, number)
    start = network()
    for one, other, first in zip(*(m.parameters() for m in (ours, theirs, start)), strict=True):
        # Sums in half precision depend on their order.
        moved = (other - first).norm()
        assert moved > 0
        assert (one - other).norm() < 0.02 * moved


@pytest.mark.parametrize("shape", [(3, 20, 20), (2, 16, 40), (2, 40, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    matrices = 1e-3 * torch.randn(shape)
    found = orthogonalized(matrices)
    assert found.shape == shape
    values = torch.linalg.svdvals(found.float())
    large = torch.linalg.svdvals(matrices)
    large = large > 0.05 * large[:, :1]
    assert ((values > 0.6) & (values < 1.3))[large].all()


def test_a_state_that_is_loaded_goes_on():
    one = network()
    optimizer = Muon(one.parameters(), lr=0.01)
    for number in range(3):
        descend(one, [optimizer], number)
    other = copy.deepcopy(one)
    restored = Muon(other.parameters(), lr=0.5)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for number in range(3, 6):
        descend(one, [optimizer], number)
        descend(other, [restored], number)
    for pair in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(*pair)


def test_parameters_without_gradients_stay():
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    Muon(model.parameters(), lr=0.01).step()
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
