"""What TensorBoard shows of a run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from zoo import metrics
from zoo.training.callbacks import pages
from zoo.training.callbacks.information import Information

PICTURES = 32


class TensorBoardMonitor(keras.callbacks.Callback):
    """Writes scalars, histograms, pictures and hyperparameters.

    A training is one run of TensorBoard, also where it was interrupted and resumed: an epoch that is done again takes
    the place of the first. Every term of the loss has a curve for training and one for validation (for the names, see
    `zoo.training.callbacks.pages`). At the epochs in which `information` measures, there are also the rate of every
    latent unit (its histogram over the images, and one histogram of all units' means), reconstructions of fixed images,
    and images from fixed prior samples. The HParams page has a row for the run, the Custom Scalars page a layout.

    Args:
        directory: of the event files; TensorBoard calls the run by its path.
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
        self.writer = tf.summary.create_file_writer(str(self.directory))
        self.begun = False
        table = pages.columns(self.hyperparameters, self.columns)
        row = pages.session(self.hyperparameters, table)
        # TensorBoard takes the mean over the runs of one group: only the same configuration is the same group.
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:8]
        start = hparams_summary.session_start_pb(row, group_name=f"{self.directory.name} {digest}")
        self._write(pages.experiment(table), pages.layout(self.terms), start)

    def _write(self, *summaries: Any) -> None:
        with self.writer.as_default(0):
            for each in summaries:
                tf.summary.experimental.write_raw_pb(each.SerializeToString(), step=0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before the first: tells TensorBoard to forget what an earlier process wrote of this epoch and later ones."""
        if not self.begun:
            self.begun = True
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            event = event_pb2.Event(wall_time=time.time(), step=epoch + 1, session_log=start)
            # The one way to write an event that is not a summary.
            tf.raw_ops.ImportEvent(writer=self.writer._resource, event=event.SerializeToString())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's scalars and, when measured, the rest."""
        step = epoch + 1
        for name, value in (logs or {}).items():
            split = "validation" if name.startswith("val_") else "train"
            with self.writer.as_default(step):
                tf.summary.scalar(pages.tag(name.removeprefix("val_"), split), float(value))
        if self.information.due(epoch) and self.information.loc.size:
            with self.writer.as_default(step):
                self._measured()
        self.writer.flush()

    def _measured(self) -> None:
        loc, scale = self.information.loc, self.information.scale
        variance = self.model.prior_variance
        if variance is not None and np.isfinite(loc).all() and np.isfinite(scale).all():
            tf.summary.histogram("units/rate_per_unit", metrics.rate_per_unit(loc, scale, variance))
            for unit in range(loc.shape[1]):
                of_unit = metrics.rate(loc[:, unit : unit + 1], scale[:, unit : unit + 1], variance)
                tf.summary.histogram(f"units/rate_of_unit/{unit:03d}", of_unit)
        if self.draw:
            originals = self.information.images[:PICTURES]
            reconstructions = self.model.reconstruct(originals).numpy()
            draw = self.model.domain.draw
            both = draw(self.model.domain.prepared(originals), reconstructions)
            tf.summary.image("pictures/reconstructions", both[None])
            tf.summary.image("pictures/samples", draw(self.model.sample(PICTURES, seed=0).numpy())[None])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the event files, and the row of the HParams page."""
        self._write(hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS))
        self.writer.close()


def write_figures(directory: Path, split: str, figures: Mapping[str, float], epoch: int) -> None:
    """Puts figures of `zoo evaluate` on a run's HParams row, over those of an earlier evaluation.

    Args:
        directory: of the run's event files.
        split: that was evaluated.
        figures: by name.
        epoch: the model's.
    """
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default(epoch):
        for name, value in figures.items():
            tf.summary.scalar(pages.measured(name, split), value)
    writer.close()
