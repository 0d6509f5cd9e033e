"""Where in an image did a network find what speaks for a class? Grad-CAM, in the five lines that it takes."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from helpers.anatomy import watching

POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def grad_cam(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM maps (n, H, W) on the CPU for normalised images (n, 3, H, W), and a class (n,) for each image.

    The network's last feature maps, as they are before the last pooling, are added up, each weighted with the mean
    gradient of the class's logit with respect to it; what is negative is cut off (Selvaraju et al., 2017, arXiv
    1610.02391). The sum is stretched to the image's size, and each map runs from 0 to 1, its own maximum, or is 0
    everywhere. The model runs in evaluation mode and is left as it was, frozen or not.

    Raises `ValueError` for a network without such maps. A vision transformer (`vit_...`) has none: its layers hand on a
    list of patches. A Swin transformer has, in its last stage.
    """
    maps, pooled = None, None

    def keep(layer, _, output):
        nonlocal maps, pooled
        if not isinstance(output, Tensor) or output is pooled:
            return None
        if output.ndim == 3:  # a list of patches: what came before were not the last features
            maps = None
        elif isinstance(layer, POOLINGS):
            pooled = output
        elif output.ndim == 4 and output[0, 0].numel() > 1:
            maps = output.detach().requires_grad_()  # gradients reach back to these maps, and no further
            return maps.clone()  # a layer that follows may write into its input
        return None

    with watching(model, model.modules(), keep), torch.enable_grad():
        score = model(inputs).gather(1, classes.to(inputs.device)[:, None]).sum()  # the logit of each image's class
    if maps is None:
        raise ValueError("Grad-CAM needs feature maps, and the last layers of this network give none with a height and "
                         "a width.")

    gradient, = torch.autograd.grad(score, maps)
    weights = gradient.mean((2, 3), keepdim=True)  # one for each image and channel
    coarse = (weights * maps.detach()).sum(1, keepdim=True).relu()
    fine = interpolate(coarse, size=inputs.shape[-2:], mode="bilinear").squeeze(1).cpu()
    return fine / fine.amax((1, 2), keepdim=True).clamp(min=torch.finfo(fine.dtype).tiny)
