"""Take a trained network home: `save` writes a folder, and `load` makes the same network of it, anywhere.

    takeaway.save(model, "my_network", network="pocket_vgg", classes=train.classes, size=96, preprocess=preprocess,
                  accuracy=accuracy_interval(right, exam.labels))
    mine = takeaway.load("my_network")      # in another process, on another machine, years later
    mine.model(mine.preprocess(images))     # the same logits

The folder holds two files. The weights are safetensors: numbers alone, which can't run code on the machine of whoever
opens them, as a pickle can. `network.json` is all that the weights don't say: which layers they belong to, how images
are prepared, which output means which class, and how good it is. A person can read it; it carries a checksum, so that
nobody's network answers wrongly because of a damaged disk.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from helpers import networks, plans, pretrained
from helpers.fetch import downloads
from helpers.hardware import device_of
from helpers.images import same_classes, whole_number
from helpers.inference import logits_of, output_count
from helpers.intervals import Interval
from helpers.pictures import LARGEST_SIZE
from helpers.preprocess import Preprocess, Resized

CARD = "network.json"
MARK = "a network of the transfer-learning course"  # stands in every card, and tells it from other people's files
FORMAT = 2  # goes up when an older `load` would misread what `save` writes
WEIGHTS = re.compile(r"weights-[0-9a-f]{12}\.safetensors(\.part)?")


@dataclass(frozen=True)
class Taken:
    """A network that came home, in evaluation mode on the CPU, and what there is to know of it.

    `model(preprocess(images))` turns uint8 images (n, 3, size, size) into logits (n, classes). `network` is its name in
    `networks.build`; `accuracy` is what an exam gave, None if nobody has told; `versions` are those it was saved with.
    """

    model: nn.Module
    network: str
    classes: tuple[str, ...]
    size: int
    preprocess: Preprocess
    accuracy: Interval | None
    versions: dict[str, str]


# --- saving ------------------------------------------------------------------------------------------------------

def save(model: nn.Module, folder: str | Path, network: str, classes: tuple[str, ...], size: int,
         preprocess: Preprocess, accuracy: Interval | None = None) -> Path:
    """Write the network into `folder`, which is made if need be; one that was saved there before is replaced.

    Before anything is written, a second network is made from what would be, and must answer as `model` does. The new
    weights get a name of their own, and count only once the new card, which names them, is whole on the disk: whatever
    breaks in between, the folder holds the old network or the new one.

    Args:
        model: any network of `networks.build` with a head for these classes; folded or not, on any device.
        network: the name that it was built by.
        classes: their names, in the order of the outputs: those of the images that it has learnt from.
        size: pixels a side of the images that it has learnt from.
        preprocess: what prepared these; it goes home without its augmentation, which has done its work.
        accuracy: what an exam gave, with its interval.

    Returns:
        The folder.

    Raises:
        ValueError: the arguments don't fit together, or `folder` holds something else, which is left alone.
        RuntimeError: it can't be written.
    """
    pretrained.check_name(network)
    folder, classes = Path(folder).expanduser(), checked(classes)
    size = whole_number(size, "size", 1, LARGEST_SIZE)
    same_classes(networks.last_layer(model)[1], SimpleNamespace(classes=classes), "what the network has learnt",
                 "`classes`")
    leave_others_alone(folder)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    weights = safetensors.torch.save(state)
    digest = hashlib.sha256(weights).hexdigest()
    size_change = resized(preprocess)
    card = {"what": MARK, "format": FORMAT if size_change else 1, "network": network, "classes": list(classes),
            "size": size, "resized": size_change,
            "folded": isinstance(getattr(model, "avgpool", None), nn.Identity),
            "transform_input": bool(getattr(model, "transform_input", False)),  # GoogLeNet and Inception have it
            "mean": list(preprocess.mean), "std": list(preprocess.std), "accuracy": accuracy and asdict(accuracy),
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__),
                         "torchvision": str(torchvision.__version__)},
            "weights": f"weights-{digest[:12]}.safetensors", "sha256": digest}
    check_return(model, card, safetensors.torch.load(weights), preprocess)
    card["checksum"] = checksum(card)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / card["weights"], weights)
        write(folder / CARD, json.dumps(card, ensure_ascii=False, indent=2).encode())
    except OSError as error:
        raise RuntimeError(f"The network can't be written to {folder} ({error.strerror or error}): choose a place that "
                           "is open to you and has room.") from None
    for file in folder.iterdir():  # what an earlier network, or a run that was killed, has left
        if WEIGHTS.fullmatch(file.name) and file.name != card["weights"]:
            with contextlib.suppress(OSError):
                file.unlink()
    return folder


def checked(classes) -> tuple[str, ...]:
    """`classes` as a tuple. Raises `ValueError` unless they are two or more different names that can be written."""
    names = () if isinstance(classes, str) else tuple(classes)
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("`classes` are the names of the classes in the order of the outputs, at least two and each "
                         f"another one, such as those of `train.classes`; not {classes!r}.")
    with contextlib.suppress(UnicodeEncodeError):
        "".join(names).encode()
        return names
    raise ValueError(f"One of the class names holds signs that can't be written to a file: {names!r}. Rename its "
                     "folder.")


def leave_others_alone(folder: Path) -> None:
    """Raise `ValueError` if there is something in the folder's place that `save` has not written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, and it is left alone; give the name of a new folder.")
    card = folder / CARD
    if card.exists() and MARK.encode() in card.read_bytes():
        return
    names = [file.name for file in folder.iterdir()] if folder.exists() else []
    if strangers := [name for name in names if not name.startswith(".") and not WEIGHTS.fullmatch(name)
                     and name != f"{CARD}.part"]:
        raise ValueError(f"{folder} holds other things, such as {min(strangers)}, and is left alone; give the name of "
                         "a new folder.")


def resized(preprocess: Preprocess) -> dict | None:
    """To which size `preprocess` brings images, as the arguments of `Resized`; None if it leaves them as they are."""
    if not isinstance(preprocess, Resized):
        return None
    return {"side": preprocess.side, "crop": preprocess.crop, "interpolation": preprocess.interpolation}


def check_return(model: nn.Module, card: dict, state: dict[str, Tensor], preprocess: Preprocess) -> None:
    """Raise `ValueError` unless what `load` would give answers as `model` does, for images of random pixels."""
    images = torch.randint(0, 256, (2, 3, card["size"], card["size"]), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    if (count := output_count(model, images[:1], preprocess)) != len(card["classes"]):
        raise ValueError(f"The network has {count} outputs, and `classes` names {len(card['classes'])}: each class "
                         "needs an output of its own.")
    told = (f"{card['network']!r} for images of {card['size']} pixels does not give the network that you want to save. "
            "Say by which name `networks.build` has made it, and how large its images are; a network with layers of "
            "your own can't be taken home.")
    try:
        again = rebuild(card, state).to(device_of(model))
    except (RuntimeError, ValueError) as error:
        raise ValueError(told) from error
    (ours, _), (theirs, _) = (logits_of(one, images, preprocess) for one in (model, again))
    if not torch.allclose(ours, theirs, rtol=0, atol=1e-3 * float(ours.abs().max())):
        raise ValueError(told)


def write(file: Path, data: bytes) -> None:
    """Write a file that is whole or not there, by way of NAME.part; raises `OSError`."""
    downloads.save([data], file, right=lambda part: part.stat().st_size == len(data))


def checksum(card: dict) -> str:
    """SHA-256 of all that a card says, whatever the order and the spaces."""
    said = {key: value for key, value in card.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


# --- loading -----------------------------------------------------------------------------------------------------

def load(folder: str | Path) -> Taken:
    """The network that `save` has put into `folder`.

    Raises:
        ValueError: there is no such network, or this course or this torchvision is too old for it.
        RuntimeError: it is damaged, or can't be read just now.
    """
    folder = Path(folder).expanduser()
    card = read_card(folder)
    file = folder / card["weights"]
    if downloads.digest(file, "sha256") != card["sha256"]:
        raise RuntimeError(f"The weights {file} are missing or damaged: copy the folder again from where it came from, "
                           "or save the network once more.")
    try:
        model = rebuild(card, safetensors.torch.load_file(file))
    except (RuntimeError, ValueError) as error:
        raise RuntimeError(f"The weights in {folder} don't fit {card['network']} as torchvision "
                           f"{torchvision.__version__} builds it; they were saved with "
                           f"{card['versions']['torchvision']}, so install that version.") from error
    accuracy = card["accuracy"] and Interval(**card["accuracy"])
    mean, std, size = tuple(card["mean"]), tuple(card["std"]), card.get("resized")
    preprocess = Resized(mean, std, **size) if size else Preprocess(mean, std)
    networks.last_layer(model)[1].classes = tuple(card["classes"])  # so that `evaluate` can compare them with an exam's
    return Taken(model, card["network"], tuple(card["classes"]), card["size"], preprocess, accuracy, card["versions"])


def read_card(folder: Path) -> dict:
    """What `network.json` says, if it is whole and not too new. Raises what `load` raises."""
    try:
        data = (folder / CARD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"There is no {CARD} in {folder}: give a folder that `takeaway.save` has made.") from None
    except OSError as error:
        raise RuntimeError(f"{folder / CARD} can't be read just now ({error.strerror or error}).") from None
    if MARK.encode() not in data:
        raise ValueError(f"{folder / CARD} is another program's file, or damaged: give a folder that `takeaway.save` "
                         "has made.")
    damaged = RuntimeError(f"{folder / CARD} is damaged, or somebody has changed it: copy it again from where it came "
                           "from, or save the network once more.")
    try:
        card = json.loads(data)
        newer, right = card["format"] > FORMAT, card.get("checksum") == checksum(card)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged from None
    if newer:
        raise ValueError(f"The network in {folder} was saved by a newer version of this course; get the newest one to "
                         "open it.")
    if not right:
        raise damaged
    if card["network"] not in plans.NAMES:
        raise ValueError(f"torchvision {torchvision.__version__} knows no {card['network']}; the network was saved "
                         f"with {card['versions']['torchvision']}, so install that version or a newer one.")
    return card


def rebuild(card: dict, state: dict[str, Tensor]) -> nn.Module:
    """The network of a card with these weights, in evaluation mode. Raises `RuntimeError` if they don't fit.

    It is built on the `meta` device, where layers have shapes and no contents, so that nothing is drawn at random only
    to be replaced.
    """
    model = networks.build(card["network"], weights=None, num_classes=len(card["classes"]), device="meta")
    if card["folded"]:
        networks.fold_first_linear(model, card["size"])
    if card["transform_input"]:
        model.transform_input = True
    # Copies: a file that is mapped into memory can't be replaced on Windows, and numbers that don't begin where torch
    # would put them are rounded a little differently.
    model.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    return model.eval()
