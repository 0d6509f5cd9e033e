"""Layer tables, receptive fields and feature maps: against published facts and against the network's behaviour."""
import pytest
import torch
from torch import nn
from torchvision import models

from helpers import anatomy, networks


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


def test_receptive_field_is_what_the_gradient_reaches():
    layers = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(2, 2, 2, stride=2), nn.Conv2d(2, 2, 5, padding=2),
                           nn.Conv2d(2, 2, 2, stride=2), nn.Conv2d(2, 2, 3, padding=2, dilation=2))
    for parameter in layers.parameters():
        nn.init.ones_(parameter)  # so that no path from a pixel to a unit cancels
    table = anatomy.layer_table(layers, 96)
    for depth, row in enumerate(table, start=1):
        y, x = row.shape[1] // 2, row.shape[2] // 2 - 1
        image = torch.zeros(1, 3, 96, 96, requires_grad=True)
        layers[:depth](image)[0, 0, y, x].backward()
        rows, columns = image.grad[0, 0].nonzero().T
        reached = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        assert row.field(y, x) == reached


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


def test_the_visible_part_of_a_field_stays_inside_the_image(vgg16_table):
    rows = {row.name: row for row in vgg16_table}
    assert rows["features.0"].field(0, 5) == (4, -1, 7, 2)
    assert rows["features.0"].visible(0, 5, 224) == (4, 0, 7, 2)
    assert rows["features.30"].visible(0, 6, 224)[1::2] == (0, rows["features.30"].field(0, 6)[3])
    assert rows["features.30"].visible(3, 6, 224)[2] == 224
