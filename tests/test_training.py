import copy
import functools
import math

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers import anatomy, features, networks, training
from helpers.inference import evaluate
from helpers.preprocess import Preprocess
from helpers.training import fit, training_mode

PLAIN = Preprocess((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), padding=2)


@pytest.fixture(scope="module")
def points():
    """Two clouds of points on either side of a line: training and validation data for a linear layer."""
    generator = torch.Generator().manual_seed(0)

    def cloud(count: int) -> TensorDataset:
        labels = torch.arange(2).repeat(count // 2)
        return TensorDataset(torch.randn(count, 4, generator=generator) + 4.0 * labels[:, None] - 2, labels)

    return cloud(200), cloud(100)


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(4, 2)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


# --- fit ---------------------------------------------------------------------------------------------------------

def test_a_separable_problem_is_learnt(points):
    model = linear()
    history = fit(model, *points, lr=0.05, epochs=8)
    assert history.best_accuracy > 0.98 and history.column("train_loss")[-1] < 0.5 * history.column("train_loss")[0]
    assert all(set(epoch) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds",
                              "memory"}
               for epoch in history.epochs)
    assert history.column("lr")[-1] < 0.001 < max(history.column("lr")) <= 0.05  # the schedule ends near zero


def test_images_are_learnt_by_a_network_with_augmentation(slim, tiny):
    model = slim("pocket_vgg")
    history = fit(model, tiny(40), tiny(20, seed=1), lr=1e-3, epochs=10, preprocess=PLAIN, batch_size=20)
    assert history.best_accuracy > 0.9
    assert evaluate(model, tiny(20, seed=2), PLAIN).accuracy > 0.9


def test_the_best_epoch_is_restored_and_not_the_last(points):
    train, val = points
    opposite = TensorDataset(train.tensors[0], 1 - train.tensors[1])
    model = linear()
    fit(model, train, val, lr=0.05, epochs=5)  # it starts out right, and the wrong labels make it worse every epoch
    history = fit(model, opposite, val, lr=0.02, epochs=6)
    accuracies = history.column("val_accuracy")
    assert history.best_epoch < 5 and accuracies[-1] < 0.5 < history.best_accuracy == max(accuracies)
    assert evaluate(model, val).accuracy == history.best_accuracy


def test_patience_ends_training(points):
    train, val = points
    history = fit(linear(), train, val, lr=0.05, epochs=30, patience=3)
    assert len(history.epochs) == history.best_epoch + 1 + 3 < 30


def test_on_epoch_sees_every_epoch_and_may_end_training(points):
    seen = []
    plain = fit(linear(), *points, lr=0.05, epochs=5)
    watched = fit(linear(), *points, lr=0.05, epochs=5, on_epoch=lambda history: seen.append(len(history.epochs)))
    assert seen == [1, 2, 3, 4, 5] and watched.column("train_loss") == plain.column("train_loss")
    ended = fit(linear(), *points, lr=0.05, epochs=5, on_epoch=lambda history: len(history.epochs) == 2)
    assert ended.column("train_loss") == plain.column("train_loss")[:2]  # nothing else has changed


def test_training_that_was_ended_keeps_the_best_epoch(points):
    train, val = points
    opposite = TensorDataset(train.tensors[0], 1 - train.tensors[1])
    model = linear()
    fit(model, train, val, lr=0.05, epochs=5)  # it starts out right, and the wrong labels make it worse every epoch
    history = fit(model, opposite, val, lr=0.02, epochs=9, on_epoch=lambda history: history.waited == 4)
    assert len(history.epochs) == history.best_epoch + 5 < 9
    assert evaluate(model, val).accuracy == history.best_accuracy > history.column("val_accuracy")[-1]


def test_on_epoch_and_patience_end_training_whichever_comes_first(points):
    settings = {"lr": 0.05, "epochs": 30, "patience": 3}
    patient = len(fit(linear(), *points, **settings).epochs)
    assert len(fit(linear(), *points, **settings, on_epoch=lambda history: False).epochs) == patient
    assert len(fit(linear(), *points, **settings, on_epoch=lambda history: len(history.epochs) == 2).epochs) == 2


def test_training_that_was_ended_goes_on_from_its_checkpoint(points, tmp_path, capsys):
    settings = {"lr": 0.05, "epochs": 6, "checkpoint": tmp_path / "run.pt"}
    whole, resumed, seen = linear(), linear(), []
    expected = fit(whole, *points, **settings | {"checkpoint": None})
    fit(resumed, *points, **settings, on_epoch=lambda history: len(history.epochs) == 2)
    history = fit(resumed, *points, **settings, on_epoch=lambda history: seen.append(len(history.epochs)))
    assert seen == [3, 4, 5, 6] and "resumed after epoch 2 of 6" in capsys.readouterr().out
    assert history.column("train_loss") == expected.column("train_loss") and same(whole, resumed)


def test_the_seed_decides_every_bit(slim, tiny):
    train, val = tiny(12), tiny(6, seed=1)
    runs = []
    for seed in (0, 0, 1):
        model = slim("pocket_vgg")
        torch.rand(runs and 3 or 1)  # whatever happened before must not matter
        history = fit(model, train, val, lr=1e-3, epochs=2, preprocess=PLAIN, batch_size=12, seed=seed)
        runs.append((model, history.column("train_loss")))
    assert same(runs[0][0], runs[1][0]) and runs[0][1] == runs[1][1]
    assert not same(runs[0][0], runs[2][0])


def test_frozen_layers_are_one_fixed_function_while_the_head_learns(slim, tiny):
    model = slim("vgg11_bn")
    networks.unfreeze(networks.head(networks.freeze(model)))
    before, seen = copy.deepcopy(model), []
    model.classifier[6].register_forward_hook(lambda layer, inputs, output: seen.append(
        (layer.training, any(part.training for part in [*model.features, *model.classifier[:6]]))) or None)
    fit(model, tiny(8), tiny(4, seed=1), lr=0.01, epochs=2, preprocess=PLAIN, batch_size=12)
    assert (True, False) in seen and not any(below for _, below in seen)
    assert same(model.features, before.features) and same(model.classifier[:6], before.classifier[:6])
    assert not same(model.classifier[6], before.classifier[6])


def test_training_mode_starts_at_the_first_trainable_layer(slim):
    model = slim("vgg11_bn")
    assert all(layer.training for layer in training_mode(model).modules())
    networks.freeze(model.features)
    training_mode(model)
    assert not any(layer.training for layer in model.features) and model.classifier[2].training


def test_each_group_moves_at_its_own_rate(slim, tiny):
    model = slim("pocket_vgg")
    before = copy.deepcopy(model)
    groups = networks.parameter_groups(model, backbone_lr=0.01, head_lr=0.01)
    groups[0]["lr"] = 0.0
    fit(model, tiny(8), tiny(4, seed=1), groups=groups, epochs=2, preprocess=PLAIN, batch_size=12)
    assert same(model.features, before.features) and same(model.classifier[:6], before.classifier[:6])
    assert not same(model.classifier[6], before.classifier[6])


def test_label_smoothing_enters_the_loss(points):
    losses = [fit(linear(), *points, lr=1e-9, epochs=1, label_smoothing=share).column("train_loss")[0]
              for share in (0.0, 0.2)]
    logits, labels = linear()(points[0].tensors[0]), points[0].tensors[1]
    expected = [nn.functional.cross_entropy(logits, labels, label_smoothing=share).item() for share in (0.0, 0.2)]
    assert losses == pytest.approx(expected, abs=1e-4) and abs(expected[0] - expected[1]) > 0.01


def test_nothing_to_train_gets_one_sentence(points, slim):
    with pytest.raises(ValueError, match="Every parameter is frozen, so there is nothing to train; unfreeze the head"):
        fit(networks.freeze(linear()), *points)
    frozen = networks.freeze(slim("pocket_vgg"))
    with pytest.raises(ValueError, match="Every parameter is frozen"):
        fit(frozen, *points, groups=networks.parameter_groups(frozen, 0.1, 0.1))


def test_no_data_gets_one_sentence(points):
    nothing = TensorDataset(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least one image and one epoch, not 0 and 2"):
        fit(linear(), nothing, points[1], epochs=2)


def test_a_loss_that_is_no_number_gets_one_sentence(points):
    broken = TensorDataset(points[0].tensors[0] * math.inf, points[0].tensors[1])
    with pytest.raises(FloatingPointError, match="The loss is no longer a number; try a smaller learning rate"):
        fit(linear(), broken, points[1], epochs=1)


# --- a GPU's memory and number formats, played on a CPU -----------------------------------------------------------

class Crowded(nn.Module):
    """A network whose memory is too small for more than `room` images at a time."""

    def __init__(self, network: nn.Module, room: int):
        super().__init__()
        self.network, self.room, self.sizes = network, room, []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.network(inputs)


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15 * 15, 3))


def test_a_batch_too_large_for_the_memory_is_computed_in_parts_with_the_same_gradient(tiny, monkeypatch, capsys):
    monkeypatch.setattr(training, "short_format", lambda device: None)
    settings = {"lr": 1e-3, "epochs": 2, "preprocess": PLAIN, "batch_size": 20, "label_smoothing": 0.1}
    free, crowded = Crowded(convolutions(), 999), Crowded(convolutions(), 7)
    one, other = (fit(model, tiny(11), tiny(5, seed=1), **settings) for model in (free, crowded))
    assert capsys.readouterr().out.splitlines() == [
        "Out of GPU memory with 20 images at a time; going on with 10, their gradients added up for 20.",
        "Out of GPU memory with 10 images at a time; going on with 5, their gradients added up for 20.",
        "Out of GPU memory with 15 images at a time; going on with 7."]  # validation, in the first epoch only
    assert free.sizes[:2] == [20, 13] and crowded.sizes[:9] == [20, 10, 5, 5, 5, 5, 5, 5, 3]
    for name, weight in free.state_dict().items():  # Adam divides by the gradient's size, so differences grow
        assert torch.allclose(weight, crowded.state_dict()[name], rtol=1e-3, atol=2e-5), name
    for column in ("train_loss", "val_loss", "train_accuracy", "lr"):  # the same augmentation and the same steps
        assert one.column(column) == pytest.approx(other.column(column), rel=1e-4)


def test_parts_add_up_to_the_gradient_of_the_whole_batch(tiny):
    model, split = convolutions(), tiny(4)
    gradients = []
    for part in (12, 5):
        loss, right = training.backward(model, PLAIN(split.images), split.labels, part).tolist()
        gradients.append([p.grad.clone() for p in model.parameters()])
    logits = model(PLAIN(split.images))
    model.zero_grad()
    nn.functional.cross_entropy(logits, split.labels).backward()
    for whole, parts, plain in zip(*gradients, model.parameters(), strict=True):
        assert torch.equal(whole, plain.grad) and torch.allclose(parts, whole, rtol=1e-4, atol=1e-6)
    assert loss / 12 == pytest.approx(nn.functional.cross_entropy(logits, split.labels).item(), rel=1e-5)
    assert right == (logits.argmax(1) == split.labels).sum()


def test_a_memory_too_small_for_one_image_gets_one_sentence(tiny, capsys):
    model = Crowded(convolutions(), 0)
    for use in (lambda: fit(model, tiny(2), tiny(2), preprocess=PLAIN), lambda: evaluate(model, tiny(2), PLAIN)):
        with pytest.raises(RuntimeError, match="memory is too small, even with one image at a time: close") as error:
            use()
        assert error.value.__suppress_context__
        assert capsys.readouterr().out.count("Out of GPU memory") == 2  # 6, 3, 1


def test_evaluation_in_parts_gives_the_same_logits(tiny):
    free, crowded = (evaluate(Crowded(convolutions(), room), tiny(4), PLAIN) for room in (999, 5))
    assert torch.allclose(free.logits, crowded.logits, atol=1e-5) and (free.batch_size, crowded.batch_size) == (12, 3)


@pytest.mark.parametrize("able, expected", [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_without_bfloat16_computes_in_float16(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert training.short_format(torch.device("cuda")) is expected


def test_float16_scales_the_loss_so_that_small_gradients_survive(tiny, monkeypatch):
    """A network with gradients below float16's smallest number: without a scale they are zero."""
    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = convolutions()

        def forward(self, inputs):
            return self.network(inputs) * 1e-7 * 1.0

    seen = []
    for enabled in (True, False):
        model, split = Faint(), tiny(4)
        scaler = torch.amp.GradScaler("cpu", enabled=enabled)
        training.backward(model, PLAIN(split.images), split.labels, 12, compute_in=torch.float16, scaler=scaler)
        seen.append(model.network[0].weight.grad.count_nonzero().item())
    assert seen[0] > 10 * seen[1]


def test_training_in_float16_learns_and_skips_a_step_whose_scale_was_too_large(tiny, monkeypatch):
    monkeypatch.setattr(training, "short_format", lambda device: torch.float16)
    scales, update = [], torch.amp.GradScaler.update
    monkeypatch.setattr(torch.amp.GradScaler, "update",
                        lambda scaler: (scales.append(scaler.get_scale()), update(scaler)))
    monkeypatch.setattr(torch.amp.GradScaler, "__init__", functools.partialmethod(
        torch.amp.GradScaler.__init__, init_scale=2.0**40))
    model = convolutions()
    history = fit(model, tiny(20), tiny(10, seed=1), lr=3e-3, epochs=10, preprocess=PLAIN, batch_size=10)
    assert scales[0] == 2.0**40 and scales[-1] < 2.0**30  # halved until nothing overflowed
    assert history.best_accuracy > 0.9 and all(torch.isfinite(p).all() for p in model.parameters())


def test_ten_steps_are_as_good_as_any_number(points):
    """torch's schedule divides by zero where a tenth of the steps is exactly one."""
    assert len(fit(linear(), *points, epochs=10, batch_size=500).epochs) == 10


def test_there_is_no_gpu_memory_to_report_on_a_cpu(points):
    history = fit(linear(), *points, epochs=2)
    assert history.column("memory") == [None, None] and history.peak_memory is None
    history.epochs[0]["memory"], history.epochs[1]["memory"] = 5, 3
    assert history.peak_memory == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_images_stay_there_and_the_memory_is_measured(slim, tiny, tmp_path):
    model, train, val = slim("pocket_vgg").cuda(), tiny(40), tiny(20, seed=1)
    settings = {"lr": 1e-3, "epochs": 10, "preprocess": PLAIN, "batch_size": 20, "checkpoint": tmp_path / "run.pt"}
    history = fit(model, train, val, **settings)
    weights = sum(p.nbytes for p in model.parameters())
    assert history.best_accuracy > 0.9 and 4 * weights < history.peak_memory < torch.cuda.max_memory_allocated() * 2
    assert model.features[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert training.resident(train, torch.device("cuda")).tensors[0].is_cuda
    assert fit(model, train, val, **settings).epochs == history.epochs


# --- features, computed once -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["pocket_vgg", "vgg16_bn"])
def test_cached_features_equal_a_forward_pass(slim, tiny, name):
    model, split = slim(name).train(), tiny(4)
    cached = features.extract(model, split, PLAIN, batch_size=5)
    assert model.training
    with torch.no_grad():
        model.eval()
        logits = model(PLAIN(split.images))
        assert torch.allclose(model.classifier[6](cached.tensors[0]), logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(cached.tensors[1], split.labels) and not cached.tensors[0].requires_grad


def test_views_are_augmented_copies_and_one_view_is_the_plain_image(slim, tiny):
    model, split = slim("pocket_vgg"), tiny(4)
    plain, one = (features.extract(model, split, PLAIN, **more).tensors for more in ({}, {"views": 1, "seed": 5}))
    assert torch.equal(plain[0], one[0]) and torch.equal(plain[1], one[1])
    three, again, other = (features.extract(model, split, PLAIN, views=3, seed=seed).tensors for seed in (0, 0, 1))
    assert three[0].shape == (36, plain[0].shape[1]) and torch.equal(three[1], split.labels.repeat(3))
    assert torch.equal(three[0], again[0]) and not torch.equal(three[0], other[0])
    first, second, third = three[0].split(12)
    assert not torch.equal(first, second) and not torch.equal(second, third) and not torch.equal(first, plain[0])
    still = Preprocess(PLAIN.mean, PLAIN.std, padding=0, flip=0)  # changes nothing
    copies = features.extract(model, split, still, views=2).tensors[0]
    assert torch.equal(copies, features.extract(model, split, still).tensors[0].repeat(2, 1))
    with pytest.raises(ValueError, match="At least one view of each image is needed, not 0"):
        features.extract(model, split, PLAIN, views=0)


def test_pooled_features_are_means_then_maxima(slim, tiny):
    model, split = slim("pocket_vgg"), tiny(2)
    pooled, _ = features.extract(model, split, PLAIN, compute=features.pooled_features).tensors
    with torch.no_grad():
        maps = model.features(PLAIN(split.images)).flatten(2)
    assert torch.allclose(pooled, torch.cat([maps.mean(2), maps.max(2).values], 1), atol=1e-5)


def test_a_head_on_cached_features_learns_what_it_learns_in_the_network(slim, tiny, monkeypatch):
    monkeypatch.setattr(training, "short_format", lambda device: None)  # the same digits in both
    model, train, val = slim("pocket_vgg"), tiny(16), tiny(8, seed=1)
    networks.unfreeze(networks.head(networks.freeze(model)))
    head = copy.deepcopy(networks.head(model))
    settings = {"lr": 0.01, "epochs": 3, "batch_size": 12, "seed": 4}
    whole = fit(model, train, val, preprocess=PLAIN, augment=False, **settings)
    alone = fit(head, *(features.extract(model, split, PLAIN) for split in (train, val)), **settings)
    assert torch.allclose(head.weight, networks.head(model).weight, rtol=1e-4, atol=1e-5)
    assert alone.column("train_loss") == pytest.approx(whole.column("train_loss"), rel=1e-4)


# --- memory ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("frozen", [True, False])
def test_the_memory_of_a_step_is_the_same_on_the_meta_device(slim, frozen):
    model = slim("pocket_vgg")
    if frozen:
        networks.unfreeze(networks.head(networks.freeze(model)))
    inputs, labels = torch.randn(4, 3, 96, 96), torch.tensor([0, 1, 2, 0])
    real = anatomy.memory_of_step(training_mode(model), inputs, labels)
    assert anatomy.memory_of_step(model.to("meta"), inputs.to("meta"), labels.to("meta")) == real
    assert real["weights"] > 0 and (real["gradients"] < 1e-2 * real["weights"]) == frozen


# --- evaluate ----------------------------------------------------------------------------------------------------

def test_evaluate_counts_by_true_and_predicted_class():
    fixed = nn.Linear(3, 3)
    fixed.weight.data, fixed.bias.data = torch.eye(3), torch.zeros(3)  # the largest input names the class
    labels = torch.tensor([0, 0, 1, 2, 2])
    guesses = torch.tensor([0, 1, 1, 2, 0])
    result = evaluate(fixed, TensorDataset(torch.eye(3)[guesses] * 5, labels), batch_size=2)
    assert result.confusion().tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert result.accuracy == pytest.approx(0.6) and result.predictions.tolist() == guesses.tolist()
    assert result.loss == pytest.approx(nn.functional.cross_entropy(torch.eye(3)[guesses] * 5, labels).item())


def test_evaluate_does_not_augment_and_puts_the_mode_back(slim, tiny):
    model, split = slim("vgg11_bn").train(), tiny(4)
    model.features[1].eval()
    before, modes = copy.deepcopy(model.state_dict()), [layer.training for layer in model.modules()]
    one, other = evaluate(model, split, PLAIN, batch_size=5), evaluate(model, split, PLAIN, batch_size=12)
    assert torch.allclose(one.logits, other.logits, rtol=1e-4, atol=1e-5)
    assert modes == [layer.training for layer in model.modules()]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
