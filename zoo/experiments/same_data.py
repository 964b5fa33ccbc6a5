"""Whether a run's own files are still those that it was trained on.

A split such as `all[:80%]` is a share of the files that are there. One file more or less moves others from one split to
another, and the images on which a model is judged may then be those that it was trained on.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from zoo.data import Examples
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment


def identity(examples: Examples) -> dict[str, Any]:
    """The number of examples, and a checksum of labels and, where there are some, names of files, else of all values.

    Pictures are told by their names, because libraries decode them to slightly different pixels.
    """
    digest = hashlib.sha256(str(examples.images.shape).encode())
    if examples.names is not None:
        digest.update("\0".join(map(str, examples.names)).encode())
    else:
        digest.update(np.ascontiguousarray(examples.images).data)
    if examples.labels is not None:
        digest.update(np.ascontiguousarray(examples.labels).data)
    return {"examples": len(examples.images), "sha256": digest.hexdigest()}


def identities(experiment: Experiment, splits: dict[str, Examples]) -> dict[str, dict[str, Any]]:
    """Those of one's own files, by split; none for a data set of the catalogue, which nobody changes."""
    return {name: identity(part) for name, part in splits.items()} if experiment.data.path else {}


def check_data(run: RunDirectory, experiment: Experiment, splits: dict[str, Examples]) -> None:
    """Refuses splits that are not those that the run was trained with.

    Raises:
        RunError: a split has other examples; a run of an earlier version of the zoo does not say which it had.
    """
    known = run.read(run.environment).get("data", {})
    for name, found in identities(experiment, splits).items():
        had = known.get(name, found)
        if had != found:
            now = "others" if had["examples"] == found["examples"] else f"{found['examples']:,}"
            raise RunError(
                f"{run.path}: data.{name} had {had['examples']:,} examples when the run was made, and now there are "
                f"{now}: a file of {experiment.data.path} was added, removed or changed, which moves examples between "
                "splits, so that what is measured may have been trained on; put the data back, or train into another "
                "--run-dir"
            )
