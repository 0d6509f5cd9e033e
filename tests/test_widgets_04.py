"""Notebook 04's panel: the menus choose which mistakes are drawn."""

import torch

from helpers import widgets
from helpers.datasets import ImageSplit
from helpers.training import Evaluation


def test_mistakes_browser():
    labels = torch.tensor([0, 0, 1])
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    logits = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0]])  # only the first is wrong: a 0 taken for a 1
    panel = widgets.mistakes_browser(ImageSplit(images, labels, ("cat", "dog")), Evaluation(0.0, 2 / 3, logits, labels))
    true, answer = panel.children[0].children
    assert "1 test images" in panel.children[1].value
    true.value = "dog"
    assert "There is no such mistake." in panel.children[1].value
    true.value, answer.value = "cat", "dog"
    assert "1 test images" in panel.children[1].value
