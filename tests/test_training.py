import copy
import functools
import math
import re

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers import anatomy, checkpoints, features, hardware, networks, training
from helpers.hardware import Arithmetic
from helpers.images import ImageSplit
from helpers.inference import evaluate
from helpers.preprocess import Preprocess
from helpers.training import fit, rise_and_fall, training_mode, training_step

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
    history = fit(model, tiny(40), tiny(20, seed=1), lr=1e-3, epochs=16, preprocess=PLAIN, batch_size=20)
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


def test_on_epoch_sees_every_epoch_and_may_end_training(points):
    seen = []
    plain = fit(linear(), *points, lr=0.05, epochs=5)
    watched = fit(linear(), *points, lr=0.05, epochs=5, on_epoch=lambda history: seen.append(len(history.epochs)))
    assert seen == [1, 2, 3, 4, 5] and watched.column("train_loss") == plain.column("train_loss")
    ended = fit(linear(), *points, lr=0.05, epochs=5, on_epoch=lambda history: len(history.epochs) == 2)
    assert ended.column("train_loss") == plain.column("train_loss")[:2]  # nothing else has changed


def test_without_validation_data_the_last_epoch_counts(points, tmp_path):
    """The same training, epoch by epoch; only nobody looks, and so nothing is chosen. A checkpoint resumes it, too."""
    def stop(history):
        if len(history.epochs) == 2:
            raise KeyboardInterrupt

    watched, unwatched = linear(), linear()
    weights, call = [], {"lr": 1.0, "epochs": 5}
    seen = fit(watched, *points, on_epoch=lambda _: weights.append(watched.weight.detach().clone()), **call)
    with pytest.raises(KeyboardInterrupt):
        fit(unwatched, points[0], checkpoint=tmp_path / "run.pt", on_epoch=stop, **call)
    assert torch.equal(unwatched.weight, weights[1])
    history = fit(unwatched, points[0], checkpoint=tmp_path / "run.pt", **call)
    assert torch.equal(unwatched.weight, weights[-1]) and history.column("train_loss") == seen.column("train_loss")
    assert not any("val_loss" in epoch or "val_accuracy" in epoch for epoch in history.epochs)


def test_training_that_was_ended_keeps_the_best_epoch(points):
    train, val = points
    opposite = TensorDataset(train.tensors[0], 1 - train.tensors[1])
    model = linear()
    fit(model, train, val, lr=0.05, epochs=5)  # it starts out right, and the wrong labels make it worse every epoch
    history = fit(model, opposite, val, lr=0.02, epochs=9,
                  on_epoch=lambda history: len(history.epochs) == history.best_epoch + 5)
    assert len(history.epochs) == history.best_epoch + 5 < 9
    assert evaluate(model, val).accuracy == history.best_accuracy > history.column("val_accuracy")[-1]


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


# --- the learning rate over time ---------------------------------------------------------------------------------

@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 11, 15, 20, 130])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_zero(steps):
    shares = [rise_and_fall(step, steps) for step in range(steps)]
    peak = shares.index(1.0)
    assert all(0 < share <= 1 for share in shares) and peak == max(1, steps // 10) - 1
    assert shares[:peak + 1] == sorted(shares[:peak + 1]) and shares[peak:] == sorted(shares[peak:], reverse=True)
    assert shares[-1] < 2 / steps or steps < 3
    assert rise_and_fall(steps, steps) == pytest.approx(0, abs=1e-12)  # behind the end: what the schedule asks for last


def test_a_run_of_one_step_learns(points):
    """OneCycleLR began with a 25th of the peak and ended one step later near zero: one step moved nothing."""
    model = linear()
    before = model.weight.detach().clone()
    history = fit(model, *points, lr=0.05, epochs=1, batch_size=500)
    assert (model.weight - before).abs().min() > 0.04  # Adam's first step is the learning rate
    assert history.column("lr") == [0.05]


def test_the_history_holds_the_rates_that_were_used(points):
    """The last epoch's is that of its last step, not of the step behind the end."""
    steps = 4 * 2
    history = fit(linear(), *points, lr=0.05, epochs=4, batch_size=100)
    assert history.column("lr") == pytest.approx([0.05 * rise_and_fall(step, steps) for step in (1, 3, 5, 7)])
    assert history.column("lr")[-1] > 0


def test_only_the_learning_rate_changes_over_time(points, monkeypatch):
    seen, step = set(), torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda optimiser, *rest: (
        seen.add(optimiser.param_groups[0]["betas"]), step(optimiser, *rest)))
    fit(linear(), *points, epochs=3)
    assert seen == {(0.9, 0.999)}


# --- nothing but the model is changed ----------------------------------------------------------------------------

def test_fit_leaves_the_groups_it_was_given_alone(slim, tiny):
    model = slim("pocket_vgg")
    groups = networks.parameter_groups(model, 1e-3, 1e-2)
    before = [dict(group) for group in groups]
    histories = [fit(model, tiny(8), tiny(4, seed=1), groups=groups, epochs=2, preprocess=PLAIN, batch_size=12)
                 for _ in range(2)]
    assert [set(group) for group in groups] == [set(group) for group in before]
    assert [group["lr"] for group in groups] == [1e-3, 1e-2]
    assert histories[0].column("lr") == histories[1].column("lr")


def test_no_global_generator_is_touched(slim, tiny):
    before, model = torch.get_rng_state(), slim("pocket_vgg")
    after_build = torch.get_rng_state()
    fit(model, tiny(8), tiny(4, seed=1), epochs=1, preprocess=PLAIN)
    features.extract(model, tiny(4), PLAIN, views=2)
    assert torch.equal(torch.get_rng_state(), after_build) and before is not None


def test_what_others_draw_meanwhile_changes_nothing(slim, tiny):
    """A panel that trains in the background, and cells that run meanwhile, must not disturb each other."""
    def others(history):
        torch.manual_seed(99), torch.rand(7)

    alone, disturbed = slim("pocket_vgg"), slim("pocket_vgg")
    settings = {"lr": 1e-3, "epochs": 2, "preprocess": PLAIN, "batch_size": 12}
    fit(alone, tiny(12), tiny(6, seed=1), **settings)
    handle = disturbed.features[0].register_forward_hook(lambda *_: others(None))
    fit(disturbed, tiny(12), tiny(6, seed=1), **settings, on_epoch=others)
    handle.remove()
    assert same(alone, disturbed)


def test_dropout_from_a_generator_is_dropout():
    layer, inputs = nn.Dropout(0.25), torch.ones(100, 1000)
    plain = layer.forward
    with training.dropout_from(torch.Generator().manual_seed(0), layer):
        first, second = layer(inputs), layer(inputs)
        assert torch.equal(layer.eval()(inputs), inputs)
    assert layer.forward == plain and not torch.equal(first, second)
    assert first.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (first == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_the_mode_of_every_layer_is_put_back(slim, tiny):
    model = slim("vgg11_bn").eval()
    model.classifier.train()
    modes = [layer.training for layer in model.modules()]
    fit(model, tiny(4), tiny(2, seed=1), epochs=1, preprocess=PLAIN)
    assert modes == [layer.training for layer in model.modules()]


@pytest.mark.parametrize("use", [
    lambda model, split: evaluate(model, split, PLAIN), lambda model, split: features.extract(model, split, PLAIN),
    lambda model, split: fit(model, split, split, epochs=1, preprocess=PLAIN)])
def test_an_interrupt_leaves_the_mode_as_it_was(slim, tiny, use):
    model = slim("vgg11_bn").train()
    model.features[1].eval()
    modes = [layer.training for layer in model.modules()]

    def interrupt(*_):
        raise KeyboardInterrupt

    model.features[3].register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        use(model, tiny(4))
    assert modes == [layer.training for layer in model.modules()]


# --- an end before the end ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("error", [FloatingPointError, KeyboardInterrupt])
def test_after_an_error_the_network_has_its_best_weights_so_far(points, error, monkeypatch):
    """Also where the weights themselves are no numbers any more."""
    epoch, kept, model = training.train_epoch, [], linear()

    def breaks(run, *rest):
        if len(run.history.epochs) == 2:
            run.model.weight.data.fill_(math.nan)
            raise error
        return epoch(run, *rest)

    monkeypatch.setattr(training, "train_epoch", breaks)
    with pytest.raises(error):
        fit(model, *points, lr=0.05, epochs=5, on_epoch=lambda history: kept.append(
            (history.best_epoch, model.weight.detach().clone())))
    best = kept[-1][0]
    assert torch.equal(model.weight, kept[best][1])


def test_after_an_error_in_the_first_epoch_the_network_is_as_it_came(points):
    broken = TensorDataset(points[0].tensors[0].clone(), points[0].tensors[1])
    broken.tensors[0][150:] = math.inf
    model, before = linear(), linear()
    with pytest.raises(FloatingPointError, match="The loss is no longer a number; try a smaller learning rate"):
        fit(model, broken, points[1], epochs=1)
    assert same(model, before)


# --- one sentence instead of a traceback -------------------------------------------------------------------------

NOTHING = TensorDataset(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def relabelled(data: TensorDataset, label: int) -> TensorDataset:
    return TensorDataset(data.tensors[0], data.tensors[1].clone().index_fill_(0, torch.tensor([3]), label))


@pytest.mark.parametrize("changes, sentence", [
    ({"lr": -1e-3}, "A learning rate must be a number above 0, such as 1e-3, not -0.001"),
    ({"lr": 0}, "A learning rate must be a number above 0"),
    ({"lr": math.nan}, "A learning rate must be a number above 0"),
    ({"lr": "1e-3"}, "A learning rate must be a number above 0, such as 1e-3, not 1e-3"),
    ({"batch_size": 0}, "The batch size must be a whole number from 1 to"),
    ({"batch_size": 2.5}, "The batch size must be a whole number"),
    ({"epochs": 0}, "The number of epochs must be a whole number from 1"),
    ({"seed": -1}, "The seed must be a whole number from 0"),
    ({"seed": 0.5}, "The seed must be a whole number"),
    ({"train": NOTHING}, "train is empty"),
    ({"val": NOTHING}, "val is empty"),
    ({"train": "label 2"}, "has 2 outputs, but the labels of train go up to 2: each class needs an output of its own"),
    ({"val": "label -1"}, "The labels of val must count the classes from 0 on; -1 is below"),
    ({"preprocess": PLAIN}, "`preprocess` is for stored images"),
])
def test_arguments_that_lead_to_nothing_get_one_sentence(points, changes, sentence):
    call = {"train": points[0], "val": points[1]} | {"epochs": 1} | changes
    for name in ("train", "val"):
        if isinstance(call[name], str):
            call[name] = relabelled(points[0], int(call[name].split()[1]))
    model, before = linear(), linear()
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        fit(model, call.pop("train"), call.pop("val"), **call)
    assert "\n" not in str(error.value) and same(model, before)


@pytest.mark.parametrize("use", [fit, evaluate])
def test_images_that_do_not_fit_get_one_sentence(slim, tiny, use):
    model, data = slim("vgg11"), tiny(4)
    exam = (data,) if use is fit else ()
    with pytest.raises(ValueError, match="as they are stored .uint8.: give `preprocess` as well"):
        use(model, data, *exam)
    small = ImageSplit(data.images[..., :16, :16], data.labels, data.classes)
    with pytest.raises(ValueError, match="can't take inputs of 3 x 16 x 16: they are too small for it"):
        use(model, small, *exam, preprocess=PLAIN)
    with pytest.raises(ValueError, match="has 2 outputs, but the labels of (train|data) go up to 2"):
        use(networks.replace_head(copy.deepcopy(model), 2), data, *exam, preprocess=PLAIN)
    with pytest.raises(ValueError, match="DataLoader"):
        use(model, torch.utils.data.DataLoader(data), *exam, preprocess=PLAIN)


def test_class_names_are_compared_where_both_sides_have_them(slim, tiny):
    model, train, val = slim("pocket_vgg"), tiny(4), tiny(4, seed=1)
    turned = ImageSplit(val.images, val.labels, val.classes[::-1])
    with pytest.raises(ValueError, match="same classes in the same order, but number 0 is"):
        fit(model, train, turned, epochs=1, preprocess=PLAIN)
    fit(model, train, val, epochs=1, preprocess=PLAIN)
    evaluate(model, val, PLAIN)
    for exam in (turned, features.extract(model, turned, PLAIN)):
        network, preprocess = (model, PLAIN) if exam is turned else (networks.head(model), None)
        with pytest.raises(ValueError, match="same classes in the same order, but number 0 is"):
            evaluate(network, exam, preprocess)
    evaluate(networks.replace_head(model, 3), turned, PLAIN)  # a new head has not learnt any names


def test_frozen_groups_get_one_sentence(points):
    model = linear()
    groups = [{"params": list(model.parameters()), "lr": 0.1}]
    networks.freeze(model)
    with pytest.raises(ValueError, match="Every parameter is frozen"):
        fit(model, *points, groups=groups)


def test_a_generator_that_is_used_up_gets_one_sentence(points):
    model = linear()
    groups = [{"params": model.parameters(), "lr": 0.1}]
    fit(model, *points, groups=groups, epochs=1)
    with pytest.raises(ValueError, match="came from a generator, which one run uses up: write `list"):
        fit(model, *points, groups=groups, epochs=1)


def test_gradients_that_were_switched_off_do_not_matter_to_fit(points):
    plain, off = linear(), linear()
    fit(plain, *points, epochs=2)
    with torch.no_grad():
        fit(off, *points, epochs=2)
    assert same(plain, off)
    with torch.inference_mode(), pytest.raises(ValueError, match="inside `torch.inference_mode"):
        fit(off, *points, epochs=2)


# --- a GPU's memory and number formats, played on a CPU -----------------------------------------------------------

class Crowded(nn.Module):
    """A network whose memory is too small for more than `room` images at a time."""

    def __init__(self, network: nn.Module, room: int, error: RuntimeError | None = None):
        super().__init__()
        self.network, self.room, self.sizes = network, room, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory.")

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.room:
            raise self.error
        return self.network(inputs)


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15 * 15, 3))


def test_a_batch_too_large_for_the_memory_is_computed_in_parts_with_the_same_gradient(tiny, monkeypatch, capsys):
    monkeypatch.setattr(hardware, "short_format", lambda device: None)
    settings = {"lr": 1e-3, "epochs": 2, "preprocess": PLAIN, "batch_size": 20, "label_smoothing": 0.1}
    free, crowded = Crowded(convolutions(), 999), Crowded(convolutions(), 7)
    one, other = (fit(model, tiny(11), tiny(5, seed=1), **settings) for model in (free, crowded))
    assert capsys.readouterr().out.splitlines() == [
        "Out of GPU memory with 20 images at a time; going on with 10, their gradients added up for 20.",
        "Out of GPU memory with 10 images at a time; going on with 5, their gradients added up for 20.",
        "Out of GPU memory with 15 images at a time; going on with 7."]  # validation, in the first epoch only
    look = [1, 1]  # at one image of either data set, before the first epoch
    assert free.sizes[:4] == look + [20, 13] and crowded.sizes[:11] == look + [20, 10, 5, 5, 5, 5, 5, 5, 3]
    for name, weight in free.state_dict().items():  # Adam divides by the gradient's size, so differences grow
        assert torch.allclose(weight, crowded.state_dict()[name], rtol=1e-3, atol=2e-5), name
    for column in ("train_loss", "val_loss", "train_accuracy", "lr"):  # the same augmentation and the same steps
        assert one.column(column) == pytest.approx(other.column(column), rel=1e-4)


def still(model: nn.Module) -> torch.optim.Optimizer:
    """An optimiser that leaves the weights where they are, so that only the gradients are looked at."""
    return torch.optim.SGD(model.parameters(), lr=0.0)


def test_parts_add_up_to_the_gradient_of_the_whole_batch(tiny):
    model, split = convolutions(), tiny(4)
    gradients = []
    for part in (12, 5):
        arithmetic = Arithmetic(torch.device("cpu"), short=False, part=part)
        loss, right = training_step(model, still(model), PLAIN(split.images), split.labels, arithmetic).tolist()
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
        assert capsys.readouterr().out == ""  # found out with one image, before anything was tried in vain


def test_evaluation_in_parts_gives_the_same_logits(tiny):
    free, crowded = (evaluate(Crowded(convolutions(), room), tiny(4), PLAIN) for room in (999, 5))
    assert torch.allclose(free.logits, crowded.logits, atol=1e-5) and (free.batch_size, crowded.batch_size) == (12, 3)


@pytest.mark.parametrize("words", ["CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                                   "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
                                   "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory"])
def test_cublas_and_cudnn_have_their_own_words_for_it(tiny, words, capsys):
    model = Crowded(convolutions(), 5, RuntimeError(words))
    assert evaluate(model, tiny(4), PLAIN).batch_size == 3
    assert "Out of GPU memory with 12 images at a time; going on with 6." in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="^another$"):
        hardware.within_memory(lambda size: Crowded(nn.Identity(), 0, RuntimeError("another"))(torch.zeros(size)), 4)


def test_sums_do_not_need_numbers_that_a_device_lacks(tiny, monkeypatch):
    """Apple's GPUs have no float64."""
    model, split = convolutions(), tiny(4)
    arithmetic = Arithmetic(torch.device("cpu"), short=False, part=12)
    assert training_step(model, still(model), PLAIN(split.images), split.labels, arithmetic).dtype is torch.float32


@pytest.mark.parametrize("able, expected", [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_without_bfloat16_computes_in_float16(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert hardware.short_format(torch.device("cuda")) is expected


def test_float16_scales_the_loss_so_that_small_gradients_survive(tiny, monkeypatch):
    """A network with gradients below float16's smallest number: without a scale they are zero."""
    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = convolutions()

        def forward(self, inputs):
            return self.network(inputs) * 1e-7 * 1.0

    monkeypatch.setattr(hardware, "short_format", lambda device: torch.float16)
    seen = []
    for enabled in (True, False):
        model, split, arithmetic = Faint(), tiny(4), Arithmetic(torch.device("cpu"), short=True, part=12)
        arithmetic.scaler = torch.amp.GradScaler("cpu", enabled=enabled)
        training_step(model, still(model), PLAIN(split.images), split.labels, arithmetic)
        seen.append(model.network[0].weight.grad.count_nonzero().item())
    assert seen[0] > 10 * seen[1]


def test_training_in_float16_learns_and_skips_a_step_whose_scale_was_too_large(tiny, monkeypatch):
    monkeypatch.setattr(hardware, "short_format", lambda device: torch.float16)
    scales, update = [], torch.amp.GradScaler.update
    monkeypatch.setattr(torch.amp.GradScaler, "update",
                        lambda scaler: (scales.append(scaler.get_scale()), update(scaler)))
    monkeypatch.setattr(torch.amp.GradScaler, "__init__", functools.partialmethod(
        torch.amp.GradScaler.__init__, init_scale=2.0**40))
    model = convolutions()
    history = fit(model, tiny(20), tiny(10, seed=1), lr=3e-3, epochs=10, preprocess=PLAIN, batch_size=10)
    assert scales[0] == 2.0**40 and scales[-1] < 2.0**30  # halved until nothing overflowed
    assert history.best_accuracy > 0.9 and all(torch.isfinite(p).all() for p in model.parameters())


def test_there_is_no_gpu_memory_to_report_on_a_cpu(points):
    history = fit(linear(), *points, epochs=2)
    assert history.column("memory") == [None, None] and history.peak_memory is None
    history.epochs[0]["memory"], history.epochs[1]["memory"] = 5, 3
    assert history.peak_memory == 5


def test_gpu_memory_is_counted_from_before_optimiser_and_gradients_are_there(points, tmp_path, monkeypatch):
    """What a run resumes with, and what the run before it left, is a step's own memory and not that of others."""
    seen = []

    class Watched(hardware.MemoryOfSteps):
        def __init__(self, model):
            seen.append(("others counted", [p.grad for p in model.parameters()]))
            super().__init__(model)

    restore = checkpoints.Run.restore
    monkeypatch.setattr(checkpoints.Run, "restore", lambda run, state: (seen.append("resumed"), restore(run, state)))
    monkeypatch.setattr(training, "MemoryOfSteps", Watched)
    model = linear()
    for _ in range(2):
        model(points[0].tensors[0]).sum().backward()
        fit(model, *points, epochs=1, checkpoint=tmp_path / "run.pt")
        assert all(p.grad is None for p in model.parameters())
    assert seen == [("others counted", [None, None])] * 2 + ["resumed"]


def test_the_memory_of_a_step_leaves_out_what_belongs_to_others(monkeypatch):
    model, allocated = linear(), {"now": 1000}
    own = sum(p.nbytes for p in model.parameters())
    monkeypatch.setattr(hardware, "device_of", lambda model: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5000)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: allocated.update(reset=True))
    memory = hardware.MemoryOfSteps(model)
    allocated["now"] = 4000
    memory.begin()
    assert memory.peak() == 5000 - (1000 - own) and allocated["reset"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_images_stay_there_and_the_memory_is_measured(slim, tiny, tmp_path):
    model, train, val = slim("pocket_vgg").cuda(), tiny(40), tiny(20, seed=1)
    settings = {"lr": 1e-3, "epochs": 10, "preprocess": PLAIN, "batch_size": 20, "checkpoint": tmp_path / "run.pt"}
    history = fit(model, train, val, **settings)
    weights = sum(p.nbytes for p in model.parameters())
    assert history.best_accuracy > 0.9 and 4 * weights < history.peak_memory < torch.cuda.max_memory_allocated() * 2
    assert model.features[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert hardware.resident(train, torch.device("cuda")).tensors[0].is_cuda
    assert fit(model, train, val, **settings).epochs == history.epochs


# --- features, computed once -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["pocket_vgg", "vgg16_bn"])
def test_cached_features_equal_a_forward_pass(slim, tiny, name, monkeypatch):
    model, split = slim(name).train(), tiny(4)
    monkeypatch.setattr(features, "AT_ONCE", 5)
    cached = features.extract(model, split, PLAIN)
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
    monkeypatch.setattr(hardware, "short_format", lambda device: None)  # the same digits in both
    model, train, val = slim("pocket_vgg"), tiny(16), tiny(8, seed=1)
    networks.unfreeze(networks.head(networks.freeze(model)))
    head = copy.deepcopy(networks.head(model))
    settings = {"lr": 0.01, "epochs": 3, "batch_size": 12, "seed": 4}
    whole = fit(model, train, val, preprocess=PLAIN, augment=False, **settings)
    alone = fit(head, *(features.extract(model, split, PLAIN) for split in (train, val)), **settings)
    assert torch.allclose(head.weight, networks.head(model).weight, rtol=1e-4, atol=1e-5)
    assert alone.column("train_loss") == pytest.approx(whole.column("train_loss"), rel=1e-4)


def test_views_do_not_depend_on_how_many_images_fit_into_memory(slim, tiny, monkeypatch):
    model, found = slim("pocket_vgg"), []
    for at_once in (128, 5):
        monkeypatch.setattr(features, "AT_ONCE", at_once)
        found.append(features.extract(model, tiny(4), PLAIN, views=2, seed=3).tensors[0])
    assert torch.allclose(*found, rtol=1e-4, atol=1e-5)


LAYERS = ("features.6", "avgpool", "classifier.1", "classifier.5")  # a convolution, no weights, in-place ReLU, dropout


def relative_error(found, expected) -> float:
    pairs = list(zip(found, expected, strict=True))
    return (sum((a - b).square().sum() for a, b in pairs) / sum(b.square().sum() for _, b in pairs)).sqrt().item()


@pytest.mark.parametrize("layer", LAYERS)
def test_training_on_kept_maps_is_training_the_whole_network(slim, tiny, monkeypatch, layer):
    monkeypatch.setattr(hardware, "short_format", lambda device: None)
    model, train, val = slim("pocket_vgg"), tiny(8), tiny(4, seed=1)
    for part in networks.in_two(model, layer)[0]:
        networks.freeze(part)
    start = [p.detach().clone() for p in model.parameters()]
    copied, settings = copy.deepcopy(model), {"lr": 1e-3, "epochs": 2, "batch_size": 12, "seed": 4}
    whole = fit(model, train, val, preprocess=PLAIN, augment=False, **settings)
    maps = [features.extract(copied, split, PLAIN, up_to=layer) for split in (train, val)]
    above = fit(networks.in_two(copied, layer)[1], *maps, **settings)
    assert above.column("train_loss") == pytest.approx(whole.column("train_loss"), rel=1e-4)
    # All in all: where a gradient is nearly zero, AdamW makes a whole step of the last digit's rounding.
    one, other = ([p.detach() - old for p, old in zip(net.parameters(), start, strict=True)] for net in (copied, model))
    assert relative_error(one, other) < 0.02 and any(change.any() for change in other)


@pytest.mark.parametrize("store, worst", [(torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("on_disk", [False, True])
def test_gradients_above_kept_maps_equal_those_of_the_whole_network(pocket, tmp_path, store, worst, on_disk):
    """To rounding: bfloat16 has an eighth of float16's digits."""
    model, few = networks.build("pocket_vgg", num_classes=10).eval(), pocket["train"].few(3)
    preprocess = Preprocess(*networks.normalisation("pocket_vgg"))
    below, above = networks.in_two(model, "features.8")
    networks.freeze(below)
    nn.functional.cross_entropy(model(preprocess(few.images)), few.labels).backward()
    expected = [p.grad.clone() for p in above.parameters()]
    model.zero_grad()
    folder = tmp_path if on_disk else None
    kept = features.extract(model, few, preprocess, up_to="features.8", store=store, disk=folder)
    assert kept.tensors[0].dtype is store and kept.tensors[0].shape == (30, model.features[8].out_channels, 24, 24)
    nn.functional.cross_entropy(above(kept.tensors[0].float()), few.labels).backward()
    assert relative_error([p.grad for p in above.parameters()], expected) < worst
    assert list(tmp_path.iterdir()) == []  # the file has no name, and can't be left behind


@pytest.mark.parametrize("changes, sentence", [
    ({"preprocess": None}, "Give `preprocess` as well"), ({"views": 0}, "At least one view"),
    ({"up_to": "features.99"}, "No layer is called 'features.99'"), ({"split": "photos"}, "datasets.folder"),
    ({"split": ImageSplit(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ("a",))},
     "is empty")])
def test_features_that_can_t_be_computed_get_one_sentence(slim, tiny, changes, sentence):
    call = {"split": tiny(4), "preprocess": PLAIN} | changes
    with pytest.raises(ValueError, match=sentence):
        features.extract(slim("pocket_vgg"), **call)


def test_numbers_too_large_for_float16_get_one_sentence(slim, tiny):
    model = slim("pocket_vgg")
    model.features[0].weight.data *= 1e6
    with pytest.raises(ValueError, match="too large for torch.float16: keep these features as torch.bfloat16"):
        features.extract(model, tiny(4), PLAIN, up_to="features.1", store=torch.float16)


def test_maps_are_trained_on_in_the_short_format_like_images(slim, tiny, monkeypatch):
    monkeypatch.setattr(hardware, "short_format", lambda device: torch.bfloat16)
    model, formats = slim("pocket_vgg"), []
    maps = [features.extract(model, tiny(4, seed=seed), PLAIN, up_to="features.6", store=torch.bfloat16)
            for seed in (0, 1)]
    above = networks.in_two(model, "features.6")[1]
    above[-1].register_forward_hook(lambda layer, inputs, output: formats.append((layer.training, output.dtype)))
    fit(above, *maps, epochs=1)
    assert (True, torch.bfloat16) in formats and (False, torch.float32) in formats


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
    assert result.accuracy == pytest.approx((1 / 2 + 1 + 1 / 2) / 3) and result.predictions.tolist() == guesses.tolist()
    assert result.loss == pytest.approx(nn.functional.cross_entropy(torch.eye(3)[guesses] * 5, labels).item())


def test_evaluate_does_not_augment_and_puts_the_mode_back(slim, tiny):
    model, split = slim("vgg11_bn").train(), tiny(4)
    model.features[1].eval()
    before, modes = copy.deepcopy(model.state_dict()), [layer.training for layer in model.modules()]
    one, other = evaluate(model, split, PLAIN, batch_size=5), evaluate(model, split, PLAIN, batch_size=12)
    assert torch.allclose(one.logits, other.logits, rtol=1e-4, atol=1e-5)
    assert modes == [layer.training for layer in model.modules()]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
