"""Training and examining on other devices than a CPU: on an Apple GPU that is none, and on one that is there."""
import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers import drift, features, hardware, inference, networks, plans, training
from helpers.gradcam import grad_cam
from helpers.images import ImageSplit
from helpers.preprocess import Preprocess
from tests.pretend import Ghost, PretendMPS, lacking

PLAIN = Preprocess((0.5,) * 3, (0.25,) * 3)
NETWORKS = ("pocket_vgg", "pocket_vgg_bn", "pocket_resnet")


def photographs(per_class: int, size: int = 96) -> ImageSplit:
    labels = torch.arange(3).repeat(per_class)
    images = torch.randint(0, 256, (len(labels), 3, size, size), generator=torch.Generator().manual_seed(0))
    return ImageSplit(images.to(torch.uint8), labels, tuple("abc"))


# --- the pretended GPU -------------------------------------------------------------------------------------------

def test_what_an_apple_gpu_cannot_do_the_pretended_one_refuses():
    with PretendMPS():
        ghost = torch.ones(2, 3, 3, 3).to("mps")
        assert isinstance(ghost * 2, Ghost) and (ghost * 2).device.type == "mps" and ghost.cpu().device.type == "cpu"
        with pytest.raises(TypeError, match="float64"):
            ghost.double()
        with pytest.raises(TypeError, match="float64"):
            torch.zeros(2, dtype=torch.float64, device="mps")
        with pytest.raises(RuntimeError, match="same device"):
            ghost + torch.ones(3)
        with pytest.raises(TypeError, match="numpy"):
            ghost.numpy()
        with pytest.raises(RuntimeError, match="^Adaptive pool MPS"):
            nn.AdaptiveAvgPool2d(7)(ghost)


def test_pytorchs_list_tells_what_there_is_for_apples_gpu():
    with PretendMPS() as gpu:
        functional.adaptive_max_pool3d(torch.ones(1, 1, 2, 2, 2), 1)
        torch.relu(torch.ones(1))
    assert lacking(gpu.used) == ["adaptive_max_pool3d"]
    assert lacking({"no_such_operation", "relu"}) == ["no_such_operation"]


# --- what the course does on it ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_on_apples_gpu_needs_nothing_that_it_lacks(name):
    split = photographs(1)
    alone = networks.build(name, None, 3)
    with PretendMPS() as gpu:
        model = copy.deepcopy(alone).to("mps")
        assert PLAIN(split.images.to("mps")).is_contiguous()
        history = training.fit(model, split, split, epochs=1, batch_size=2, preprocess=PLAIN)
        seen = features.extract(model, split, PLAIN)
        training.fit(networks.head(model), seen, seen, epochs=1)
        logits = inference.evaluate(model, split, PLAIN).logits
        assert grad_cam(model, PLAIN(split.images.to("mps")), split.labels).device.type == "cpu"
        assert all(0 <= moved < 1 for moved in drift.weight_drift(alone, model).values())
        maps = model(PLAIN(split.images.to("mps")))
        assert drift.linear_cka(maps, maps) == pytest.approx(1)
    assert {"convolution_backward", "_fused_adamw_"} <= gpu.used and lacking(gpu.used) == []
    assert history.column("memory") == [None] and logits.isfinite().all()


@pytest.mark.parametrize("height, width", [(3, 3), (2, 5), (7, 7), (9, 9)])
def test_the_last_pooling_of_a_vgg_is_pytorchs_own_on_every_device(height, width):
    pool = plans.torchvisions("vgg11", seed=None).avgpool
    maps = torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = functional.adaptive_avg_pool2d(maps, 7)
    weights = torch.randn(expected.shape)
    gradient, = torch.autograd.grad((expected * weights).sum(), maps)
    assert torch.equal(pool(maps), expected) and repr(pool) == "AdaptiveAvgPool2d(output_size=(7, 7))"
    with PretendMPS():
        ghost = maps.detach().to("mps").requires_grad_()
        found = pool(ghost)
        slope, = torch.autograd.grad((found * weights.to("mps")).sum(), ghost)
        found, slope = found.detach().cpu(), slope.cpu()
    assert torch.allclose(found, expected, atol=1e-6) and torch.allclose(slope, gradient, atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "pocket_vgg"])
def test_no_pooling_is_left_that_apples_gpu_lacks(name):
    model = networks.build(name, None, 3, device="meta")
    assert isinstance(model.avgpool, plans.AdaptiveAvgPool2d)


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_the_number_format_of_a_gpu_is_not_that_of_the_processor_beside_it(device, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert hardware.short_format(torch.device(device)) is None
    assert hardware.short_format(torch.device("cpu")) is torch.bfloat16


def test_memory_is_given_back_on_whichever_gpu_there_is(monkeypatch):
    released = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("cuda", "mps", "xpu"):
        monkeypatch.setattr(getattr(torch, name), "empty_cache", lambda name=name: released.append(name))

    def compute(size):
        if size > 1:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)")
        return size

    assert hardware.within_memory(compute, 2) == (1, 1) and sorted(released) == ["cuda", "mps", "xpu"]


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs a GPU by Apple")
@pytest.mark.parametrize("name", NETWORKS)
def test_on_apples_gpu_a_network_answers_as_on_the_cpu_and_learns(name):
    split = photographs(4)
    model = networks.build(name, None, 3)
    expected = inference.evaluate(model, split, PLAIN).logits
    model.to("mps")
    assert torch.allclose(inference.evaluate(model, split, PLAIN).logits, expected, rtol=1e-2, atol=1e-3)
    history = training.fit(model, split, lr=3e-3, epochs=8, batch_size=4, preprocess=PLAIN, augment=False)
    assert history.column("train_loss")[-1] < history.column("train_loss")[0]
