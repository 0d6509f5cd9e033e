"""How far a network has moved: what the two measures say of changes that are known."""
import pytest
import torch
from torch import nn

from helpers import drift, networks
from helpers.drift import linear_cka, weight_drift


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- weights -----------------------------------------------------------------------------------------------------

def small() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(random(*p.shape))
    return model


def test_drift_is_the_way_by_the_length():
    before, after = small(), small()
    with torch.no_grad():
        after[2].weight.mul_(1.25)
        after[0].bias[0] += 2
    found = weight_drift(before, after)
    length = torch.cat([before[0].weight.flatten(), before[0].bias]).norm().item()
    assert list(found) == ["0", "2"]
    assert found == pytest.approx({"0": 2 / length, "2": 0.25})
    assert set(weight_drift(before, before).values()) == {0.0}


def test_drift_leaves_both_networks_alone_and_knows_a_layer_of_zeros():
    before, after = small(), small()
    nn.init.zeros_(before[2].weight)
    weights = [p.clone() for p in (*before.parameters(), *after.parameters())]
    assert weight_drift(before, after)["2"] > 1e6  # no division by zero
    assert all(map(torch.equal, weights, (*before.parameters(), *after.parameters())))


def test_networks_of_another_build_are_refused():
    wider = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    for other in (nn.Sequential(nn.Linear(3, 4)), wider):
        with pytest.raises(ValueError, match="different layers"):
            weight_drift(small(), other)


def test_every_layer_of_a_vgg_has_its_drift(slim):
    model = slim("pocket_vgg")
    assert len(weight_drift(model, model)) == len(networks.layers_from_top(model))


# --- features ----------------------------------------------------------------------------------------------------

def by_the_papers_formula(a, b) -> float:
    """|B'A|^2 / (|A'A| |B'B|) of centred features: equation 5 with a linear kernel, written with the features."""
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    return ((b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())).item()


def test_cka_is_the_papers_formula():
    a, b = random(20, 6), random(20, 9, seed=1)
    assert linear_cka(a, b) == pytest.approx(by_the_papers_formula(a, b))
    assert linear_cka(a, b) == pytest.approx(linear_cka(b, a))


def test_cka_does_not_mind_turning_scaling_shifting_or_order():
    a = random(20, 6)
    turn = torch.linalg.qr(random(6, 6, seed=2))[0]
    for same in (a, 3 * a, a + 5, a @ turn, a[:, torch.randperm(6)], -a, torch.cat([a, a], 1)):
        assert linear_cka(a, same) == pytest.approx(1)
    assert linear_cka(a, a * torch.tensor([1, 1, 1, 1, 1, 9.0])) < 0.9  # stretching one direction is a change


def test_cka_of_unrelated_features_is_near_zero_only_with_many_images():
    few, many = (linear_cka(random(n, 50), random(n, 50, seed=1)) for n in (20, 2_000))
    assert many < 0.1 < 0.5 < few < 1


def test_maps_are_laid_in_a_row_and_nothing_is_changed():
    a, b = random(12, 3, 4, 4), random(12, 5, seed=1)
    kept = a.clone()
    assert linear_cka(a, b) == pytest.approx(linear_cka(a.flatten(1), b))
    assert torch.equal(a, kept)


@pytest.mark.parametrize("a, b, said", [
    (random(5, 2), random(6, 2), "not of 5 and 6"), (random(2, 2), random(2, 2), "not of 2 and 2"),
    (random(5, 2), torch.ones(5, 2), "the same for every image")])
def test_what_cannot_be_compared_is_told(a, b, said):
    with pytest.raises(ValueError, match=said):
        drift.linear_cka(a, b)
