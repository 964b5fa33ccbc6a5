"""What TensorBoard shows of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from zoo import metrics
from zoo.training.callbacks import pages
from zoo.training.callbacks.information import Information

PICTURES = 32


class TensorBoardMonitor(keras.callbacks.Callback):
    """Writes scalars, histograms, pictures and hyperparameters.

    Every term of the loss has a scalar under its own name, in the runs `train` and `validation`. At the epochs in
    which `information` measures, there are also the rate of every latent unit (its histogram over the images, and
    one histogram of all units' means), reconstructions of fixed images, and images from fixed prior samples. The
    HParams page has a row for the run, and the Custom Scalars page a layout (see `zoo.training.callbacks.pages`).

    Args:
        directory: of the event files.
        information: the callback that encodes the images; it stands before this one.
        hyperparameters: flat names and values, for the HParams page.
        draw: whether to write pictures.
        columns: types of the columns of the HParams page, by name, where all runs are to have more than one's own.
        terms: names of the methods' terms, which share a chart of the Custom Scalars page.
    """

    def __init__(
        self,
        directory: Path,
        information: Information,
        hyperparameters: dict[str, Any],
        draw: bool = True,
        columns: Mapping[str, Any] | None = None,
        terms: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.directory = directory
        self.information = information
        self.hyperparameters = hyperparameters
        self.draw = draw
        self.columns = columns
        self.terms = tuple(terms)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Opens the event files and writes the hyperparameters."""
        names = ("train", "validation")
        self.writers = {name: tf.summary.create_file_writer(str(self.directory / name)) for name in names}
        table = pages.columns(self.hyperparameters, self.columns)
        row = pages.session(self.hyperparameters, table)
        # TensorBoard takes the mean over the runs of one group: only the same configuration is the same group.
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:8]
        start = hparams_summary.session_start_pb(row, group_name=f"{self.directory.parent.name} {digest}")
        self._validation(pages.experiment(table), pages.layout(self.terms), start)

    def _validation(self, *summaries: Any) -> None:
        with self.writers["validation"].as_default(0):
            for each in summaries:
                tf.summary.experimental.write_raw_pb(each.SerializeToString(), step=0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's scalars and, when measured, the rest."""
        step = epoch + 1
        for name, value in (logs or {}).items():
            held_out = name.startswith("val_")
            with self.writers["validation" if held_out else "train"].as_default(step):
                tf.summary.scalar(name.removeprefix("val_"), float(value))
        if self.information.due(epoch) and self.information.loc.size:
            with self.writers["validation"].as_default(step):
                self._measured()
        for writer in self.writers.values():
            writer.flush()

    def _measured(self) -> None:
        loc, scale = self.information.loc, self.information.scale
        variance = self.model.prior_variance
        if variance is not None and np.isfinite(loc).all() and np.isfinite(scale).all():
            tf.summary.histogram("rate_per_unit", metrics.rate_per_unit(loc, scale, variance))
            for unit in range(loc.shape[1]):
                of_unit = metrics.rate(loc[:, unit : unit + 1], scale[:, unit : unit + 1], variance)
                tf.summary.histogram(f"rate_of_unit/{unit:03d}", of_unit)
        if self.draw:
            originals = self.information.images[:PICTURES]
            reconstructions = self.model.reconstruct(originals).numpy()
            draw = self.model.domain.draw
            tf.summary.image("reconstructions", draw(self.model.domain.prepared(originals), reconstructions)[None])
            tf.summary.image("samples", draw(self.model.sample(PICTURES, seed=0).numpy())[None])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the event files, and the row of the HParams page."""
        self._validation(hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS))
        for writer in self.writers.values():
            writer.close()
