"""What nearest neighbours read from the codes while a model trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zoo import metrics
from zoo.training.callbacks.information import Information

# Of 500 voters in ten classes, 50 are of one: half of them.
NEIGHBOURS = 25


class Probe(keras.callbacks.Callback):
    """Adds `val_knn_accuracy` to the logs of the epochs in which `information` measures.

    The images with even numbers vote on those with odd ones, by `zoo.metrics.knn_accuracy`. So it costs milliseconds,
    encodes nothing, and lies below the figure of `zoo evaluate`, whose voters are all training images. It stands
    behind `information` and before whoever reads the logs.

    Args:
        information: the callback that encodes the images.
        labels: of its images, [n]; without labels there is no probe.
        neighbours: how many vote, or as many as there are.
    """

    def __init__(self, information: Information, labels: np.ndarray | None, neighbours: int = NEIGHBOURS) -> None:
        super().__init__()
        self.information = information
        self.labels = labels
        self.neighbours = neighbours

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures; codes that no probe can tell apart (constant ones, NaN) leave the epoch without the figure."""
        loc, labels = self.information.loc, self.labels
        if logs is None or labels is None or not self.information.due(epoch) or len(labels) != len(loc):
            return
        voters, asked = slice(0, None, 2), slice(1, None, 2)
        neighbours = min(self.neighbours, len(loc[voters]))
        try:
            logs["val_knn_accuracy"] = metrics.knn_accuracy(
                loc[voters], labels[voters], loc[asked], labels[asked], neighbours=neighbours
            )
        except ValueError:
            return
