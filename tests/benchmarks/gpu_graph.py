"""A training step whose forward and backward passes are recorded once as a CUDA graph, and then played back.

A step of a small batch is hundreds of short kernels, and the processor may take longer to launch them than the GPU to
compute them. A graph launches all of them at once. It has the same shapes and the same memory every time, so a batch is
copied into the place that the recorded kernels read.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from helpers.hardware import Arithmetic

WARM_UP = 3  # passes beside the graph's stream, in which libraries choose kernels and allocate what they keep


def recorded_step(model: nn.Module, optimiser: Optimizer, inputs: Tensor, labels: Tensor,
                  arithmetic: Arithmetic) -> Callable[[Tensor, Tensor], None]:
    """`training.training_step` for batches of this one shape, as a function of a batch (its inputs, its labels).

    Moving the weights is left outside of the graph: in it, AdamW could not follow a learning rate that changes.
    """
    place, answers = inputs.clone(), labels.clone()

    def gradients() -> None:
        optimiser.zero_grad()
        with torch.autocast(inputs.device.type, arithmetic.format, enabled=arithmetic.format is not None,
                            cache_enabled=False):  # a weight that was cast before the recording would never change
            logits = model(place)
        arithmetic.backward(cross_entropy(logits.float(), answers))

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            gradients()
    torch.cuda.current_stream().wait_stream(side)
    optimiser.zero_grad()  # the gradients must come to lie in the graph's own memory
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients()

    def step(inputs: Tensor, labels: Tensor) -> None:
        place.copy_(inputs)
        answers.copy_(labels)
        graph.replay()
        arithmetic.step(optimiser)

    return step
