"""Where in an image did a network find what speaks for a class? Grad-CAM, computed by captum."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.vgg import VGG

from helpers.networks import evaluating


def grad_cam(model: VGG, inputs: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM maps (n, H, W) on the CPU for normalised images (n, 3, H, W), and a class (n,) for each image.

    The last feature maps before the last pooling are added up, each weighted with the mean gradient of the class's
    logit with respect to it; what is negative is cut off (Selvaraju et al., 2017, arXiv 1610.02391). The sum is
    stretched to the image's size, and each map runs from 0 to 1, its own maximum, or is 0 everywhere. The model runs in
    evaluation mode and is left as it was.
    """
    from captum.attr import LayerGradCam  # here, since this import takes longer than all other helpers together

    last = [layer for layer in model.features if isinstance(layer, nn.ReLU)][-1]
    with evaluating(model):
        coarse = LayerGradCam(model, last).attribute(inputs, classes.to(inputs.device), relu_attributions=True)
    maps = interpolate(coarse.detach(), size=inputs.shape[-2:], mode="bilinear").squeeze(1).cpu()
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
