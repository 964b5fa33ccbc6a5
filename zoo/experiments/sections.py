"""The sections of a configuration that need no method: data, recipe, and what is measured while training."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from zoo.data.catalogue import check_preparation, is_table, kind_of, source
from zoo.data.splits import parse
from zoo.parameters import Count, Fraction, NonNegative, Positive, Seed, Size, nearest
from zoo.training.selection import Selection


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    # A method may call a hyperparameter `model_width`.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Data(Section):
    """Which examples, which splits, how prepared.

    `kind` is known for a data set of the catalogue and for a .csv file; the user's own arrays are images unless it says
    `features`. `standardize` brings each entry of the features' last axis to mean 0 and standard deviation 1 over the
    training split; tables are, by default, and series are not, whose channels often share a unit. `path` is absolute:
    `configurations` knows the folder of a relative one in a YAML file; others are relative to the working directory.
    """

    name: str
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    path: str | None = None
    size: Count | None = None
    channels: Literal[1, 3] | None = None
    labels: str | None = None
    binarize: Literal["dynamic", "fixed"] | None = None
    kind: Literal["images", "features"] | None = None
    label_column: str | None = None
    standardize: bool | None = None
    skip_unreadable: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            found = source(self.name)
        except ValueError as error:
            raise ValueError(f"name: {error}") from None
        if self.name == "files" and not self.path:
            raise ValueError("path: missing; the data set 'files' needs the path of an array file or a folder")
        if self.name != "files" and self.path:
            raise ValueError(f"path: is for `name: files`, and the data set here is {self.name!r}")
        if self.labels is not None and self.labels not in found.labels:
            raise ValueError(f"labels: {self.name} has no {self.labels!r}; {nearest(self.labels, found.labels)}")
        for split in ("train", "validation", "test"):
            if getattr(self, split) is None:
                object.__setattr__(self, split, found.splits[split])
            try:
                parse(getattr(self, split))
            except ValueError as error:
                raise ValueError(f"{split}: {error}") from None
        try:
            kind = kind_of(found, self.path, self.kind)
        except ValueError as error:
            raise ValueError(f"kind: {error}") from None
        skip = self.skip_unreadable or None
        for_images = {"size": self.size, "channels": self.channels, "binarize": self.binarize, "skip_unreadable": skip}
        check_preparation(kind, self.path, for_images, self.label_column, self.standardize)
        object.__setattr__(self, "kind", kind)
        if self.path is not None:
            object.__setattr__(self, "path", os.path.abspath(os.path.expanduser(self.path)))
        if self.standardize is None:
            object.__setattr__(self, "standardize", is_table(found, self.path))
        return self


class Optimizer(Section):
    """A Keras optimiser and its rate."""

    name: Literal["sgd", "adam", "adamw", "adamax", "rmsprop"] = "adam"
    learning_rate: Positive = 1e-3
    momentum: Fraction = 0.0
    weight_decay: NonNegative | None = None

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        if self.momentum and self.name not in {"sgd", "rmsprop"}:
            raise ValueError(f"momentum: {self.name} has none of this name (sgd and rmsprop do)")
        return self


class PlayerOptimizer(Optimizer):
    """The optimiser of a further player, with the norm that its gradient is clipped to."""

    clip_norm: Positive | None = None


class Schedule(Section):
    """How the learning rate changes: not at all, along a cosine to 0, or by `factor` on a plateau.

    The plateau is one of `monitor`: of the training loss, or of a figure on the validation examples (`val_…`).
    """

    name: Literal["constant", "cosine", "plateau"] = "constant"
    monitor: Literal["loss", "val_loss", "val_elbo", "val_distortion"] = "loss"
    factor: Fraction = 0.9
    patience: Count = 20
    minimum: NonNegative = 5e-6


Monitor = Literal["loss", "elbo", "distortion", "mutual_information"]


class Stop(Section):
    """When a training ends before its last epoch.

    After `patience` epochs in which the validation figure `train.monitor` has not become better by more than
    `min_delta`, or with the n-th of the plateau schedule's `reductions`.
    """

    patience: Count | None = None
    min_delta: NonNegative = 0.0
    reductions: Count | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.patience is None and self.reductions is None:
            raise ValueError("says no end: give patience, or reductions with a plateau schedule")
        if self.min_delta and self.patience is None:
            raise ValueError("min_delta: is for patience, which is not given")
        return self


class Train(Section):
    """The recipe.

    `select` says whose weights become the model: those of the last epoch, or of the best one by the validation figure
    `monitor`, which is the loss where nothing is said. `init_from` names a trained model whose weights it begins with.
    """

    epochs: Count = 50
    batch_size: Count = 256
    optimizer: Optimizer = Optimizer()
    optimizers: dict[str, PlayerOptimizer] = Field(default_factory=dict)
    schedule: Schedule = Schedule()
    clip_norm: Positive | None = None
    kl_warmup: NonNegative = 0.0
    select: Literal["last", "best"] = "last"
    monitor: Monitor | None = None
    stop: Stop | None = None
    init_from: str | None = None
    seed: Seed = 0
    jit_compile: bool = False
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"

    @field_validator("optimizer", "schedule", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _selection(self) -> Self:
        patience = self.stop is not None and self.stop.patience is not None
        if self.monitor is not None and self.select == "last" and not patience:
            raise ValueError("monitor: nothing goes by it; it is for `select: best` and for `stop: {patience: …}`")
        if self.stop is not None and self.stop.reductions is not None and self.schedule.name != "plateau":
            raise ValueError(f"stop.reductions: the schedule is {self.schedule.name}; only plateau has reductions")
        return self

    def selection(self) -> Selection:
        """Which epoch becomes the model, and when the training ends."""
        stop = self.stop.model_dump() if self.stop else {}
        return Selection(self.monitor or "loss", self.select == "best", warm_up=self.kl_warmup, **stop)


class Alarm(Section):
    """When the collapse alarm sounds; 0 patience turns it off."""

    active_units: Size = 1
    mutual_information: NonNegative = 0.5
    patience: Size = 3


class Watch(Section):
    """What is measured while training: on how many validation images, every how many epochs."""

    every: Count = 1
    images: Count = 1000
    pictures: bool = True
    alarm: Alarm = Alarm()
