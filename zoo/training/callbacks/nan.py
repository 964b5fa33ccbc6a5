"""Stops a training whose loss is no longer a number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite; the message names epoch, step and term."""


class StopOnNaN(keras.callbacks.Callback):
    """Raises at the first step whose loss is NaN or infinite, and names the term that is.

    Unlike Keras's `TerminateOnNaN`, which stops as if all were well, it lets no later callback save the result.

    Raises:
        TrainingDivergedError: from `fit`.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers where we are."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss's running mean, which stays NaN once a step was."""
        logs = logs or {}
        if np.isfinite(logs.get("loss", 0.0)):
            return
        terms = [name for name in logs if name not in {"loss", "elbo"}]
        guilty = [name for name in terms if not np.isfinite(logs[name])] or ["loss"]
        value = "NaN" if np.isnan(logs[guilty[0]]) else "infinite"
        raise TrainingDivergedError(f"epoch {self.epoch + 1}, step {batch + 1}: {' and '.join(guilty)} became {value}")
