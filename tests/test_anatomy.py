"""Layer tables, receptive fields and feature maps: against published facts and against the network's behaviour."""
import random
from hashlib import sha256

import pytest
import torch
from torch import nn
from torchvision import models

from helpers import anatomy, first_layer, networks
from helpers.preprocess import Preprocess

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@pytest.fixture(scope="module")
def vgg16_table():
    return anatomy.layer_table(networks.build("vgg16", device="meta"), 224)


@pytest.mark.parametrize("name", ["vgg11", "vgg16", "vgg16_bn", "vgg19"])
def test_totals_agree_with_torchvision(name):
    published = models.get_model_weights(name).IMAGENET1K_V1.meta
    total = anatomy.totals(anatomy.layer_table(networks.build(name, device="meta"), 224))
    assert total["parameters"] == published["num_params"]
    assert round(total["multiply_adds"] / 1e9, 2) == pytest.approx(published["_ops"], abs=0.011)


def test_vgg16_known_rows(vgg16_table):
    rows = {row.name: row for row in vgg16_table}
    assert (rows["features.28"].receptive_field, rows["features.30"].receptive_field) == (196, 212)
    assert rows["features.30"].shape == (512, 7, 7) and rows["features.30"].jump == 32
    assert rows["avgpool"].receptive_field == 212  # at 224 pixels it changes nothing
    assert rows["classifier.0"].parameters == 102_764_544
    assert [row.name for row in anatomy.last_of_blocks(vgg16_table)] == [f"features.{k}" for k in (3, 8, 15, 22, 29)]


def test_text_has_every_layer_with_weights_and_the_totals(vgg16_table):
    lines = anatomy.text(vgg16_table).splitlines()
    assert len(lines) == 1 + 1 + 22 + 1 + 1 and max(map(len, lines)) <= 100
    assert "138,357,544" in lines[-1] and "15,470,264,320" in lines[-1]
    assert "ReLU" not in anatomy.text(vgg16_table) and "ReLU" in anatomy.text(vgg16_table, everything=True)


# --- receptive fields, measured ----------------------------------------------------------------------------------

def reached(layers: nn.Sequential, size: int, y: int, x: int) -> tuple[int, int, int, int]:
    """The pixels that can change the unit (y, x), found by gradients: (left, top, right, bottom) as in `Layer.field`.

    All weights are positive, so no path cancels. A max pooling passes the gradient to the largest input alone: with
    values that rise to the right and downwards that is the last of its window, with falling ones the first.
    """
    ramp = torch.linspace(0.5, 1, size, dtype=torch.float64)
    found = []
    for rising in (ramp, ramp.flip(0)):
        image = (rising[:, None] + rising).expand(1, 3, size, size).clone().requires_grad_()
        layers(image)[0, 0, y, x].backward()
        rows, columns = image.grad[0, 0].nonzero().T
        found.append((int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1))
    one, other = found
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def positive(*layers: nn.Module) -> nn.Sequential:
    stack = nn.Sequential(*layers).double().eval()
    for parameter in stack.parameters():
        nn.init.constant_(parameter, 0.1)
    return stack


def check_fields(stack: nn.Sequential, size: int) -> int:
    """Compare the table with what is measured for a unit in the middle; returns for how many layers."""
    compared = 0
    for depth, row in enumerate(anatomy.layer_table(stack, size), start=1):
        y, x = row.shape[1] // 2, max(row.shape[2] // 2 - 1, 0)
        field = row.field(y, x)
        if min(field) >= 0 and max(field) <= size:  # at the border, zeros of the padding take part
            assert field == reached(stack[:depth], size, y, x), (row, stack)
            compared += 1
    return compared


POOLINGS = {
    "mean": nn.AvgPool2d(2), "mean with steps": nn.AvgPool2d(3, stride=2, padding=1), "norm": nn.LPPool2d(2, 3),
    "up to the edge": nn.AvgPool2d(2, ceil_mode=True), "max with gaps": nn.MaxPool2d(3, 2, padding=1, dilation=2),
    "to 16 x 16": nn.AdaptiveAvgPool2d(16), "max to 16 x 16": nn.AdaptiveMaxPool2d((16, 16)),
    "same": nn.Conv2d(3, 3, 4, padding="same", dilation=2), "valid": nn.Conv2d(3, 3, 5, padding="valid"),
    "grouped": nn.Conv2d(3, 3, 3, stride=2, groups=3), "frame": nn.ZeroPad2d(2), "mirror": nn.ReflectionPad2d(1),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_receptive_field_behind_each_kind_of_window(name):
    stack = positive(POOLINGS[name], nn.Conv2d(3, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 3, 3))
    assert check_fields(stack, 48) == 5


def test_a_pooling_by_means_counts():
    assert anatomy.layer_table(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 3, 3)), 96)[-1].receptive_field == 6


@pytest.mark.parametrize("seed", range(30))
def test_receptive_field_is_what_the_gradient_reaches(seed):
    """Random stacks of all windows that the table knows."""
    draw = random.Random(seed)
    layers, side = [], 96
    while len(layers) < 7:
        kernel, stride, dilation = draw.randint(1, 5), draw.choice((1, 1, 2, 3)), draw.choice((1, 1, 2))
        padding, ceil = draw.randint(0, kernel // 2), draw.random() < 0.5
        layers.append(draw.choice((
            nn.Conv2d(3, 3, kernel, stride, padding, dilation), nn.Conv2d(3, 3, kernel, 1, "same", dilation),
            nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), nn.LPPool2d(2, kernel, stride),
            nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil), nn.AvgPool2d(kernel), nn.ReLU())))
        try:
            side = anatomy.layer_table(positive(*layers), 96)[-1].shape[1]
        except ValueError:
            layers.pop()
        if side < 3:
            break
    assert check_fields(positive(*layers), 96) >= 2


def test_the_widest_window_stands_for_all_of_a_pooling_that_does_not_divide():
    stack = positive(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(4))  # 10 rows into 4: windows of 3 and 4 rows
    row = anatomy.layer_table(stack, 12)[-1]
    widths = {right - left for left, _, right, _ in (reached(stack, 12, y, y) for y in range(4))}
    assert row.receptive_field == max(widths) == 5


def test_a_fully_connected_layer_sees_what_arrives():
    stack = positive(nn.Conv2d(3, 2, 1, stride=2), nn.Flatten(), nn.Linear(2 * 48 * 48, 2), nn.ReLU())
    convolved, flat, linear, relu = anatomy.layer_table(stack, 96)  # the last row and column are skipped
    assert (linear.field(0, 1), relu.jump) == ((0, 0, 95, 95), 0)
    image = torch.ones(1, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    stack(image)[0, 1].backward()
    assert image.grad[0, 0].nonzero().amax(0).tolist() == [94, 94]
    assert flat.receptive_field == 1 and linear.multiply_adds == 2 * 2 * 48 * 48
    sees = [line.split()[-1] for line in anatomy.text([convolved, flat, linear, relu], everything=True).splitlines()]
    assert sees[2:6] == ["1", "1", "all", "all"]


def test_multiply_adds_are_the_products_of_every_position():
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3, groups=2, stride=2), nn.Conv2d(8, 8, 1, groups=8))
    rows = anatomy.layer_table(layers, 21)
    assert [row.multiply_adds for row in rows] == [19 * 19 * 6 * 3 * 9, 9 * 9 * 8 * 3 * 9, 9 * 9 * 8]


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.beside = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return self.first(x) + self.beside(x)


@pytest.mark.parametrize("layer, problem", [
    (nn.Conv2d(3, 3, (3, 1)), r"0 \(Conv2d\) has windows that are not square"),
    (nn.AvgPool2d((2, 4)), r"0 \(AvgPool2d\) has windows that are not square"),
    (nn.Conv2d(3, 3, 3, padding=(1, 0)), r"0 \(Conv2d\) has windows that are not square"),
    (nn.AdaptiveAvgPool2d((4, 8)), r"0 \(AdaptiveAvgPool2d\) has windows that are not square"),
    (nn.ZeroPad2d((1, 2, 0, 0)), r"0 \(ZeroPad2d\) has windows that are not square"),
    (nn.Upsample(scale_factor=2), r"it is not known what a unit of 0 \(Upsample\) sees"),
    (nn.ConvTranspose2d(3, 3, 2), r"it is not known what a unit of 0 \(ConvTranspose2d\) sees"),
    (nn.GroupNorm(1, 3), r"it is not known what a unit of 0 \(GroupNorm\) sees"),
    (nn.Linear(96, 4), r"it is not known what a unit of 0 \(Linear\) sees"),
    (Twice(), r"it is not known what a unit of 0 \(Twice\) sees"),
    (Shortcut(), "0.beside does not take what 0.first gives, but a layer table is for layers that run one after"),
])
def test_what_a_table_cannot_know_gets_one_sentence(layer, problem):
    with pytest.raises(ValueError, match=problem):
        anatomy.layer_table(nn.Sequential(layer), 96)


def test_a_network_without_weights_has_a_table_too():
    row, = anatomy.layer_table(nn.Sequential(nn.MaxPool2d(2)), 10)
    assert (row.shape, row.receptive_field, row.parameters, row.multiply_adds) == ((3, 5, 5), 2, 0, 0)


# --- the table and the network -----------------------------------------------------------------------------------

def test_table_leaves_the_model_untouched():
    model = networks.build("pocket_vgg").train()
    model.classifier.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    anatomy.layer_table(model, 96)
    with pytest.raises(ValueError, match="16 pixels"):
        anatomy.layer_table(model, 16)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_feature_maps_are_the_layers_outputs():
    model = networks.build("pocket_vgg")
    inputs = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    maps = anatomy.feature_maps(model, inputs, ["features.0", "features.1", "classifier.6"])
    with torch.no_grad():
        convolved = model.features[0](inputs)
    assert torch.allclose(maps["features.0"], convolved, atol=1e-5)  # not overwritten by the in-place ReLU behind it
    assert maps["features.0"].min() < 0
    assert torch.equal(maps["features.1"], maps["features.0"].relu())
    assert maps["classifier.6"].shape == (2, model.classifier[6].out_features)
    assert not any(module._forward_hooks for module in model.modules()) and model.training
    with pytest.raises(ValueError, match="features.99"):
        anatomy.feature_maps(model, inputs, ["features.99"])


def test_first_filters_are_scaled_about_grey():
    model = networks.build("pocket_vgg")
    pictures, weights = anatomy.first_filters(model), model.features[0].weight.detach()
    assert pictures.shape == weights.shape and pictures.min() >= 0 and pictures.max() <= 1
    assert torch.equal(pictures > 0.5, weights > 0)
    assert torch.allclose((pictures - 0.5).abs().amax((1, 2, 3)), torch.tensor(0.5))


def test_strongest_and_brightest():
    maps = torch.zeros(3, 4, 5)
    maps[1, 2, 3], maps[2, 0, 0], maps[0] = 9, 5, -7
    assert anatomy.strongest(maps, 2) == [1, 2]
    assert anatomy.brightest(maps[1]) == (2, 3)


def test_favourites_are_the_images_and_places_with_the_highest_values():
    model = networks.build("pocket_vgg").train()
    inputs = torch.randn(20, 3, 96, 96, generator=torch.Generator().manual_seed(0))  # more than one batch
    names = ["features.0", "features.20"]
    found, maps = anatomy.favourites(model, inputs, names, count=5), anatomy.feature_maps(model, inputs, names)
    for name in names:
        peaks = maps[name].flatten(2).amax(2)  # (images, channels)
        assert found[name].shape == (maps[name].shape[1], 5, 3) and found[name].dtype == torch.int64
        for channel, best in enumerate(found[name]):
            values = [maps[name][image, channel, row, column].item() for image, row, column in best.tolist()]
            assert len(set(best[:, 0].tolist())) == 5
            assert torch.allclose(torch.tensor(values), peaks[:, channel].sort(descending=True).values[:5], atol=1e-4)
    assert model.training and not any(module._forward_hooks for module in model.modules())


# --- VGG-16's own first layer ------------------------------------------------------------------------------------

def test_the_first_layer_of_2014_is_what_it_says():
    assert sha256(first_layer.FILE.read_bytes()).hexdigest() \
        == "b4531b817ef69f869b7f87ca0dc36a5479eeca9d5e85ba8942991db691e99687"
    convolution, relu = layers = first_layer.vgg16_first_layer()
    plan = networks.build("vgg16", device="meta").features
    assert repr(convolution) == repr(plan[0]) and isinstance(relu, nn.ReLU) and not layers.training
    assert convolution.weight.shape == (64, 3, 3, 3) and convolution.weight.dtype == torch.float32
    # The first number that Keras prints of its copy of these weights, where blue comes first.
    assert convolution.weight[0, 2, 0, 0].item() == pytest.approx(0.42947057, abs=2e-4)


def test_the_first_layer_of_2014_wants_pixels_from_0_to_255_without_their_mean():
    scale = Preprocess(*networks.normalisation("vgg16", "IMAGENET1K_FEATURES"))
    pixels = torch.tensor([[255, 0, 123], [0, 117, 255], [104, 1, 2]], dtype=torch.uint8)  # red, green, blue
    expected = pixels.float() - torch.tensor([123.0, 117.0, 104.0])[:, None]
    assert torch.allclose(scale(pixels.view(1, 3, 1, 3)).view(3, 3), expected, atol=0.01)


def test_a_damaged_first_layer_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(first_layer, "FILE", tmp_path / "vgg16_first_layer.safetensors")
    for content in (None, b"not weights"):
        if content:
            first_layer.FILE.write_bytes(content)
        with pytest.raises(RuntimeError, match="vgg16_first_layer.safetensors is missing or damaged"):
            first_layer.vgg16_first_layer()


# --- the table and the network, once more --------------------------------------------------------------------------

def test_the_visible_part_of_a_field_stays_inside_the_image(vgg16_table):
    rows = {row.name: row for row in vgg16_table}
    assert rows["features.0"].field(0, 5) == (4, -1, 7, 2)
    assert rows["features.0"].visible(0, 5, 224) == (4, 0, 7, 2)
    assert rows["features.30"].visible(0, 6, 224)[1::2] == (0, rows["features.30"].field(0, 6)[3])
    assert rows["features.30"].visible(3, 6, 224)[2] == 224


def test_memory_of_a_step_is_counted_where_gradients_are_switched_off():
    model = networks.build("pocket_vgg", device="meta")
    batch = torch.empty(4, 3, 96, 96, device="meta"), torch.empty(4, dtype=torch.long, device="meta")
    expected = anatomy.memory_of_step(model, *batch)
    with torch.no_grad():
        assert anatomy.memory_of_step(model, *batch) == expected and expected["activations"] > 0
