"""How many operations a network takes, and how many the device can do: from both, what share of its peak is used."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks import card


def operations(model: nn.Module, image: Tensor) -> tuple[int, int]:
    """Additions and multiplications for one image (1, 3, h, w): of its forward pass, and with the backward pass, too.

    Convolutions and products of matrices are counted, the backward pass as far as something learns. `model` is left in
    evaluation mode, without gradients.
    """
    model.eval()
    with FlopCounterMode(display=False) as counter:
        logits = model(image)
        forward = counter.get_total_flops()
        logits.sum().backward()
    model.zero_grad()
    return forward, counter.get_total_flops()


def fastest_product(device: torch.device, dtype: torch.dtype, n: int) -> float:
    """Operations per second of a product of two n x n matrices, the fastest of five runs: the device's peak."""
    times = 10
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(times):
            torch.mm(a, b, out=out)

    run()
    return 2 * n**3 * times / min(card.timed(device, run)[0] for _ in range(5))
