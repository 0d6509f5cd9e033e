"""The full track in miniature: STL-10's files and VGG-16's checkpoint, made on the spot, and kernels that take them.

Everything is of the real kind except for what a kernel's startup file replaces: the md5 sums that STL-10's files are
expected to have, the checkpoint's address (whose file name holds the start of its sha256), and, for the notebooks that
train, VGG-16's width and the number of epochs. A training step of the real network takes seconds on a CPU and the
notebooks make thousands; so there VGG-16 is a network of the same class and plan, with the same 13 + 3 layers, but with
a 32nd of the channels, and `fit` stops after two epochs: from random weights nothing more could be learnt about the
notebooks. Notebook 02, which does not train, gets the real width: 138 million random numbers.
"""
from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import nbclient
import nbformat
import torch
import torchvision
from nbformat import NotebookNode
from torch import nn
from torchvision.datasets import STL10
from torchvision.models.vgg import VGG, cfgs, make_layers

from helpers import datasets, training
from helpers.fetch import stl10
from helpers.images import ImageSplit

ROOT = Path(__file__).resolve().parents[2]
PER_CLASS = {"train": 175, "test": 40}  # of the 175, the last 100 become "val"
NARROW = 32  # VGG-16 has this many times the channels of its stand-in
EPOCHS = 2  # at most


def vgg16(narrow: int, num_classes: int = 1000, batch_norm: bool = False) -> VGG:
    """An untrained VGG-16, or one with `narrow` times fewer channels and a classifier 64 units wide."""
    if narrow == 1:
        return torchvision.models.vgg._vgg("D", False, None, False, num_classes=num_classes)
    with torch.device("meta"):  # VGG's own classifier is replaced at once: give it no memory
        model = VGG(nn.Sequential(), init_weights=False)
    plan = [layer if layer == "M" else layer // narrow for layer in cfgs["D"]]
    model.features = make_layers(plan, batch_norm)
    model.classifier = nn.Sequential(
        nn.Linear(plan[-2] * 7 * 7, 64), nn.ReLU(True), nn.Dropout(),
        nn.Linear(64, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, num_classes))
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


# --- making it ---------------------------------------------------------------------------------------------------

def make_stl10(cache: Path) -> dict[str, ImageSplit]:
    """Write the four labelled files of a miniature STL-10, filled with pocket images, into `cache`/stl10_binary.

    Pixels are stored channels first and columns before rows, labels are 1 to 10, classes come in random order. Returns
    what was written, by official split.
    """
    base = cache / "stl10_binary"
    base.mkdir(parents=True)
    written = {}
    for split, per_class in PER_CLASS.items():
        few = datasets.pocket(split, renderings=60).few(per_class)
        written[split] = few.pick(torch.randperm(len(few), generator=torch.Generator().manual_seed(0)))
        write_split(base, split, written[split])
    return written


def write_split(base: Path, split: str, images: ImageSplit) -> None:
    """The file of one split's pixels and the one of its labels, as STL-10 has them."""
    images.images.transpose(2, 3).numpy().tofile(base / f"{split}_X.bin")
    (images.labels + 1).to(torch.uint8).numpy().tofile(base / f"{split}_y.bin")


def make_checkpoint(home: Path, narrow: int) -> Path:
    """Save an untrained network as a checkpoint under TORCH_HOME `home`, its hash in its name as torchvision's have."""
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(vgg16(narrow).state_dict(), folder / "vgg16.pth")
    digest = hashlib.sha256((folder / "vgg16.pth").read_bytes()).hexdigest()
    return (folder / "vgg16.pth").rename(folder / f"vgg16-{digest[:8]}.pth")


def make_profile(profile: Path, cache: Path, checkpoint: Path, narrow: int) -> None:
    """Write the IPython startup file that calls `arrange` in every kernel which has IPYTHONDIR=`profile`."""
    files = [cache / "stl10_binary" / name for name in stl10.expected()]  # there may be gigabytes beside them
    md5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files}
    startup = profile / "profile_default" / "startup" / "00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                       f"from tests.slow import full_track\nfull_track.arrange({md5}, {checkpoint.name!r}, {narrow})\n"
                       "sys.path.pop(0)\n", encoding="utf-8")


# --- using it ----------------------------------------------------------------------------------------------------

def arrange(md5: dict[str, str], checkpoint: str, narrow: int) -> None:
    """In a kernel: expect these files instead of the genuine ones, and build VGG-16 this much narrower."""
    STL10.train_list = [[name, md5.get(name, old)] for name, old in STL10.train_list]
    STL10.test_list = [[name, md5.get(name, old)] for name, old in STL10.test_list]
    address = "http://127.0.0.1:9/"  # port 9: nobody answers
    torchvision.models.VGG16_Weights.DEFAULT.value.url = address + checkpoint
    for name in ("ResNet50", "ConvNeXt_Tiny", "ViT_B_16"):  # so these can't be had
        getattr(torchvision.models, f"{name}_Weights").DEFAULT.value.url = f"{address}{name}-00000000.pth"
    if narrow > 1:
        torchvision.models.vgg16 = partial(vgg16, narrow)
        torchvision.models.vgg16_bn = partial(vgg16, narrow, batch_norm=True)
        training.fit = partial(fit_briefly, training.fit)


def fit_briefly(fit, *arguments, epochs: int = EPOCHS, **more):
    """`training.fit`, but no longer than EPOCHS."""
    return fit(*arguments, epochs=min(epochs, EPOCHS), **more)


def execute(notebook: Path, cache: Path, home: Path, profile: Path) -> NotebookNode:
    """The notebook, run in a fresh kernel in its own folder on the full track; the file itself stays as it is."""
    nb = nbformat.read(notebook, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    settings = {"TL_TRACK": "full", "TL_CACHE": str(cache), "TORCH_HOME": str(home), "IPYTHONDIR": str(profile),
                "OMP_NUM_THREADS": "1"}  # so narrow a network gains nothing from a second thread, two notebooks do
    client = nbclient.NotebookClient(nb, timeout=500, startup_timeout=300,
                                     resources={"metadata": {"path": str(notebook.parent)}})
    return client.execute(env={**os.environ, **settings})


def printed(notebook: NotebookNode) -> str:
    """Everything that an executed notebook shows as text, progress lines, tables and errors included."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.get("text") or output.get("data", {}).get("text/markdown") or
             output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(texts)
