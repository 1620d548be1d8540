"""The kernel for short sequences beside plain attention in double precision; needs a GPU."""

import pytest
import torch

if not torch.cuda.is_available():
    pytest.skip("the kernel needs a GPU", allow_module_level=True)

from agents.bq_nco.network import Block
from agents.bq_nco.short_attention import LONGEST, short_attention

HEADS, DIM = 4, 24


def plain(packed, places, weight, scale):
    num, tokens, _ = packed.shape
    query, key, value = (
        part.reshape(num, tokens, HEADS, DIM).transpose(1, 2) for part in packed.chunk(3, dim=2)
    )
    far = (places[:, :, None] - places[:, None]).square().sum(dim=3)
    scores = query @ key.transpose(2, 3) * scale - weight[:, None, None] * far[:, None]
    return (scores.softmax(dim=3) @ value).transpose(1, 2).reshape(num, tokens, HEADS * DIM)


def error(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("tokens", [4, 16, 17, 52, 101, LONGEST])
def test_it_is_attention(tokens):
    torch.manual_seed(0)
    packed = torch.randn(7, tokens, 3 * HEADS * DIM, device="cuda").bfloat16()
    places = torch.rand(7, tokens, 2, device="cuda")
    weight = torch.linspace(0, 60, HEADS, device="cuda")
    upstream = torch.randn(7, tokens, HEADS * DIM, device="cuda").bfloat16()
    exact = [packed.double().requires_grad_(), weight.double().requires_grad_()]
    expected = plain(exact[0], places.double(), exact[1], 0.2)
    expected.backward(upstream.double())
    packed.requires_grad_()
    weight.requires_grad_()
    found, _ = short_attention(packed, places, weight, HEADS, 0.2)
    found.backward(upstream)
    assert error(found, expected) < 0.01
    assert error(packed.grad, exact[0].grad) < 0.01
    assert error(weight.grad, exact[1].grad) < 0.02


def test_blocks_take_it_where_they_can(monkeypatch):
    torch.manual_seed(0)
    block = Block(HEADS * DIM, HEADS, 32, True, "layer", 0, False, True).cuda()
    x = torch.randn(5, 30, HEADS * DIM, device="cuda")
    places = torch.rand(5, 30, 2, device="cuda")

    def run():
        with torch.autocast("cuda", torch.bfloat16):
            return block(x, None, None, places)

    short = run()
    monkeypatch.setattr("agents.bq_nco.network.LONGEST", 0)
    longer = run()
    assert not torch.equal(short, longer)
    torch.testing.assert_close(short, longer, atol=0.05, rtol=0.05)
