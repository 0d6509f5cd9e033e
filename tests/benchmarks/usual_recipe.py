"""The usual recipe: what most tutorials teach today, written plainly, as the baseline of the speed benchmarks.

One image at a time goes through PIL and torchvision's transforms in the workers of a `DataLoader`; the network runs in
float32 (on a GPU that has it, convolutions in TF32: PyTorch's default); a frozen backbone still sees every image in
every epoch. Nothing here is slow on purpose.
"""
from __future__ import annotations

import os
import time

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from helpers.images import ImageSplit

BATCH = 128
WORKERS = min(8, os.cpu_count() or 1)  # one per core, as far as that helps


class Pictures(Dataset):
    """Images as torchvision's own data sets hand them out: a PIL image, transformed, and its label."""

    def __init__(self, split: ImageSplit, transform):
        self.images, self.labels = split.images.permute(0, 2, 3, 1).contiguous().numpy(), split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def loaders(train: ImageSplit, val: ImageSplit, mean, std, device: torch.device) -> tuple[DataLoader, DataLoader]:
    """Training images cropped and flipped at random, validation images only normalised."""
    size = train.images.shape[-1]
    normalise = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    augmented = transforms.Compose(
        [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip(), *normalise])
    options = {"batch_size": BATCH, "pin_memory": device.type == "cuda"}
    few = len(val) < 32  # to start workers would take longer than to load them
    return (DataLoader(Pictures(train, augmented), shuffle=True, num_workers=WORKERS, **options),
            DataLoader(Pictures(val, transforms.Compose(normalise)), num_workers=0 if few else WORKERS, **options))


def evaluate(model: nn.Module, loader: DataLoader, device: torch.device) -> float:
    """The share of images that come out right."""
    model.eval()
    right = total = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            right += (model(images).argmax(1) == labels).sum().item()
            total += len(labels)
    return right / total


def train(model: nn.Module, train_split: ImageSplit, val_split: ImageSplit, mean, std, lr: float, epochs: int = 20,
          seed: int = 0) -> dict:
    """SGD with momentum and a cosine schedule on whatever has `requires_grad`.

    Returns "seconds" (all epochs, evaluation included) and "accuracy", the best epoch's on `val_split`, 0 to 1.
    """
    torch.manual_seed(seed)
    device = next(model.parameters()).device
    train_loader, val_loader = loaders(train_split, val_split, mean, std, device)
    criterion = nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    start, best = time.perf_counter(), 0.0
    for _ in range(epochs):
        model.train()
        for images, labels in train_loader:
            images, labels = images.to(device), labels.to(device)
            optimiser.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimiser.step()
        schedule.step()
        best = max(best, evaluate(model, val_loader, device))
    return {"seconds": time.perf_counter() - start, "accuracy": best}
