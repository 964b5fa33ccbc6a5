"""Measures what the posterior knows of the data, on held-out images, at the end of epochs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zoo import metrics


class Information(keras.callbacks.Callback):
    """Adds `val_mutual_information`, `val_marginal_kl` (nats) and `val_active_units` to the epoch's logs.

    It stands first in a list of callbacks, so that the others and Keras's history see what it adds. The estimates
    are those of `zoo.metrics`; the mutual information cannot exceed log n for n images.

    Args:
        images: a fixed set of held-out images [n, h, w, c].
        every: measure in every so many epochs.
        seed: of the estimates.
        batch_size: images encoded at once.
    """

    def __init__(self, images: np.ndarray, every: int = 1, seed: int = 0, batch_size: int = 256) -> None:
        super().__init__()
        self.images = images
        self.every = every
        self.seed = seed
        self.batch_size = batch_size
        self.loc = np.zeros([0, 0])
        self.scale = np.zeros([0, 0])

    def due(self, epoch: int) -> bool:
        """Whether this epoch (counted from 0) is one to measure in."""
        return (epoch + 1) % self.every == 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Encodes the images and measures."""
        if logs is None or not self.due(epoch):
            return
        self.loc, self.scale = self.model.posteriors(self.images, self.batch_size)
        if not (np.isfinite(self.loc).all() and np.isfinite(self.scale).all()):
            return
        variance = self.model.prior_variance
        found = metrics.decompose_rate(self.loc, self.scale, seed=self.seed, prior_variance=variance or 1.0)
        logs["val_mutual_information"] = found.mutual_information
        if variance is not None:
            logs["val_marginal_kl"] = found.marginal_kl
        logs["val_active_units"] = metrics.active_units(self.loc)
