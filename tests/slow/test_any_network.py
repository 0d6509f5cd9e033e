"""A few steps of training for large networks of five kinds: tens of seconds on two cores."""
import copy

import pytest
import torch

from helpers import features, inference, networks, training
from helpers.preprocess import Resized


@pytest.mark.parametrize("name, size, lr, epochs", [
    ("resnet50", 64, 1e-3, 3), ("convnext_tiny", 64, 1e-4, 3), ("swin_t", 64, 1e-4, 3), ("vit_b_32", 224, 1e-4, 3),
    ("efficientnet_b0", 64, 1e-3, 10)])  # whose dropout and stochastic depth make the loss jump
def test_a_few_steps_of_training(name, size, lr, epochs, tiny):
    """From stored images of another size, all layers, and then the head alone on what it sees."""
    model, split = networks.build(name, None, 3), tiny(2)
    prepare = Resized((0.5,) * 3, (0.25,) * 3, side=size, crop=size)
    before = copy.deepcopy(networks.head(model).weight.detach())
    losses = training.fit(model, split, lr=lr, epochs=epochs, batch_size=6, preprocess=prepare,
                          augment=False).column("train_loss")
    assert min(losses[1:]) < losses[0] and not torch.equal(networks.head(model).weight, before)
    seen = features.extract(model, split, prepare)
    logits = inference.evaluate(model, split, prepare).logits
    assert torch.allclose(inference.evaluate(networks.head(model), seen).logits, logits, atol=1e-4)
    losses = training.fit(networks.head(model), seen, lr=1e-2, epochs=5).column("train_loss")
    assert losses[-1] < losses[0]
