"""Where in an image did a network find what speaks for a class? Grad-CAM, in the five lines that it takes."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from helpers.anatomy import watching


def grad_cam(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM maps (n, H, W) on the CPU for normalised images (n, 3, H, W), and a class (n,) for each image.

    The last feature maps before the last pooling, those of a ReLU behind the last convolution, are added up, each
    weighted with the mean gradient of the class's logit with respect to it; what is negative is cut off (Selvaraju et
    al., 2017, arXiv 1610.02391). The sum is stretched to the image's size, and each map runs from 0 to 1, its own
    maximum, or is 0 everywhere. The model runs in evaluation mode and is left as it was, frozen or not.

    Raises `ValueError` if no ReLU layer behind the last convolution gives maps with a height and a width.
    """
    found = []

    def keep(layer, _, output):
        if isinstance(layer, nn.Conv2d):
            found.clear()  # what came before are not the last maps
        elif output.ndim == 4:
            found[:] = [output.detach().requires_grad_()]  # gradients reach back to these maps, and no further
            return found[0]

    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.ReLU))]
    with watching(model, layers, keep), torch.enable_grad():
        score = model(inputs).gather(1, classes.to(inputs.device)[:, None]).sum()  # the logit of each image's class
    if not found:
        raise ValueError("Grad-CAM needs feature maps: here no ReLU layer behind the last convolution gives any with a "
                         "height and a width.")

    maps = found[0]
    gradient, = torch.autograd.grad(score, maps)
    weights = gradient.mean((2, 3), keepdim=True)  # one for each image and channel
    coarse = (weights * maps.detach()).sum(1, keepdim=True).relu()
    fine = interpolate(coarse, size=inputs.shape[-2:], mode="bilinear").squeeze(1).cpu()
    return fine / fine.amax((1, 2), keepdim=True).clamp(min=torch.finfo(fine.dtype).tiny)
