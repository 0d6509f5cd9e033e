"""Transfer learning on one page: a network that knows ImageNet learns your pictures, or STL-10. Copy it, and change it.

    python one_page.py my_pictures --train head-first   # holds train, val and test; in each of them a folder per class
    python one_page.py stl10 --train frozen             # fetched once, 2.6 GB, into the folder stl10
"""
import argparse
import os

import torch
from PIL import ImageOps  # which torchvision brings
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, models
from torchvision.transforms import v2

SQUARE = [ImageOps.exif_transpose, v2.ToImage(), v2.Resize(96), v2.CenterCrop(96)]  # turned upright first
NUMBERS = [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
PLAIN = v2.Compose([*SQUARE, *NUMBERS])
AUGMENTED = v2.Compose([*SQUARE, v2.RandomCrop(96, padding=4), v2.RandomHorizontalFlip(), *NUMBERS])
STAGES = {"frozen": [(20, 0, 1e-3)], "full": [(20, 3e-5, 3e-4)],  # epochs, rate of the backbone, rate of the head
          "head-first": [(5, 0, 1e-3), (15, 3e-5, 3e-4)]}  # the rates suit VGG-16; another network needs its own


def read(data):
    """Training, validation and test pictures, and the names of the classes. Only training pictures are augmented."""
    if data == "stl10":
        train, val = (datasets.STL10(data, transform=view, download=True) for view in (AUGMENTED, PLAIN))
        test = datasets.STL10(data, "test", transform=PLAIN, download=True)
        return Subset(train, [k for k in range(5000) if k % 5]), Subset(val, range(0, 5000, 5)), test, train.classes
    train, val, test = (datasets.ImageFolder(f"{data}/{split}", view)
                        for split, view in (("train", AUGMENTED), ("val", PLAIN), ("test", PLAIN)))
    if not train.classes == val.classes == test.classes:
        raise SystemExit(f"Name the folders in val {val.classes} and test {test.classes} as in train {train.classes}.")
    return train, val, test, train.classes


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    return sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader) / len(loader.dataset)


def experiment(model, data, way, file="best.pt", workers=4):
    """Put a new head on the network, train, keep the best epoch in `file`, and open the test set once, at the end."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    *sets, classes = read(data)
    train, val, test = (DataLoader(each, 32, shuffle=each is sets[0], num_workers=workers) for each in sets)
    name, old = [pair for pair in model.named_modules() if isinstance(pair[1], torch.nn.Linear)][-1]
    model.set_submodule(name, torch.nn.Linear(old.in_features, len(classes)))
    *below, weight, bias = model.to(device).parameters()
    best = -1
    for epochs, rate, head_rate in STAGES[way]:
        torch.nn.ParameterList(below).requires_grad_(rate > 0)
        optimiser = torch.optim.AdamW([{"params": below}, {"params": [weight, bias]}])
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [rate, head_rate], epochs * len(train))
        for epoch in range(epochs):
            model.train(rate > 0)  # a frozen backbone is one fixed function: no dropout, and batch norm stands still
            for x, y in train:
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(x.to(device)), y.to(device)).backward()
                optimiser.step()
                schedule.step()
            accuracy = evaluate(model, val, device)
            print(f"{way}, {'everything' if rate else 'head'}, epoch {epoch + 1}: validation accuracy {accuracy:.1%}")
            if accuracy > best:
                best = accuracy
                torch.save({"model": model.state_dict(), "classes": classes}, f"{file}.part")
                os.replace(f"{file}.part", file)  # so that the file is always whole
    model.load_state_dict(torch.load(file, weights_only=True)["model"])
    print(f"test accuracy of the best epoch, which is kept in {file}: {evaluate(model, test, device):.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", help="the folder, or stl10")
    parser.add_argument("--train", choices=STAGES, default="head-first")
    parser.add_argument("--network", default="vgg16", help="any of torchvision's whose last layer is linear")
    parser.add_argument("--scratch", action="store_true", help="random weights, to see what pre-training is worth")
    args = parser.parse_args()
    torch.manual_seed(0)
    experiment(models.get_model(args.network, weights=None if args.scratch else "DEFAULT"), args.data, args.train)
