"""Write the asset that `helpers.first_layer` reads: the first layer of the original VGG-16, rounded to half precision.

    python -m helpers.make.first_layer

torchvision fetches the whole network first, 528 MB.
"""
from __future__ import annotations

from helpers.first_layer import FILE
from helpers.make.half import save_half
from helpers.pretrained import read_weights


def main() -> None:
    state = read_weights("vgg16", "IMAGENET1K_FEATURES")
    save_half({name: state[f"features.0.{name}"] for name in ("weight", "bias")}, FILE)
    print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
