"""What happened in a training run, epoch by epoch."""
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """One dict per epoch: `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, `lr`, `seconds` and `memory`.

    A run without validation data has none of the two that begin with `val`, and no best epoch. Accuracies run from 0
    to 1; training figures are averages over the epoch, measured on the augmented images while the weights change.
    `lr` is the learning rate of the epoch's last step (of the first parameter group). `memory`: the most GPU memory,
    in bytes, that a training step took, with the network's weights, gradients and the optimiser's averages, and the
    images that `fit` keeps there; None on a CPU.
    """

    epochs: list[dict] = field(default_factory=list)

    def column(self, name: str) -> list[float]:
        return [epoch[name] for epoch in self.epochs]

    @property
    def best_epoch(self) -> int:
        """Index of the first epoch with the highest validation accuracy; the one whose weights `fit` keeps."""
        accuracies = self.column("val_accuracy")
        return accuracies.index(max(accuracies))

    @property
    def best_accuracy(self) -> float:
        return self.epochs[self.best_epoch]["val_accuracy"]

    @property
    def peak_memory(self) -> int | None:
        """The highest `memory` of all epochs, in bytes; None on a CPU."""
        return max((memory for memory in self.column("memory") if memory is not None), default=None)
