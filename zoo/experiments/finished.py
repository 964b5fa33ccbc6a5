"""A run's trained model: written, loaded, exported with its card."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from zoo.data.catalogue import source
from zoo.experiments.building import load_split
from zoo.experiments.continuing import PARTS, is_whole
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import Experiment
from zoo.export import knowledge
from zoo.export.card import Card, DataSet, versions
from zoo.export.references import bibtex
from zoo.export.saved_model import export_model
from zoo.files import NamedBytes, replacing
from zoo.models import canonical, saving, summary
from zoo.models.vae import VAE


def save_model(model: VAE, path: Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    content = NamedBytes(path.name)
    model.save(content)
    with replacing(path, synced=True) as sibling:
        sibling.write_bytes(content.getbuffer())


def load_model(run: RunDirectory) -> VAE:
    """The trained model of a run.

    Raises:
        RunError: there is none yet, its file is damaged, or it is of another version of the zoo (which is named).
    """
    path = run.require_model()
    try:
        with run.loading():
            run.experiment(resolve=True)
            anew = f"write it anew from the last checkpoint with: rm {path}; zoo train --resume {run.path}"
            return read_model(path, anew)
    except ValueError as error:
        raise RunError(str(error)) from None


def read_model(path: Path, remedy: str = "no whole .keras file") -> keras.Model:
    """The model of a `.keras` file.

    Args:
        path: of the file.
        remedy: what the error says of a damaged file.

    Raises:
        RunError: the file is damaged, or no `.keras` file.
        ValueError: it is whole, and cannot be loaded.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)
    if strange := _strange(path):
        raise RunError(f"{path}: is damaged or forged: it holds {strange[0][:60]!r}, which is no part of a model")
    try:
        return saving.load_model(path)
    except Exception as error:  # Keras lets through whatever zip, JSON, HDF5 and layers raise.
        if not is_whole(path):
            raise RunError(f"{path}: is damaged; {remedy}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: cannot be loaded: {reason}") from None


def _strange(path: Path) -> list[str]:
    """The names in a `.keras` file that Keras gives to none of its parts."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except Exception:  # That it is no zip file is said elsewhere.
        return []
    return [name for name in names if name not in PARTS and not re.fullmatch(r"assets(/(?!\.\.?/)[^/\\\0]+)*/?", name)]


def export_run(
    path: Path,
    to: Path | None = None,
    *,
    half: bool = False,
    trainable: bool = False,
    examples: bool = False,
    command: str = "",
    portrait: bytes | None = None,
) -> Path:
    """Exports a trained run as a SavedModel whose card holds what has been evaluated so far.

    Args:
        path: the run's directory.
        to: the export's directory; the run's own `export` by default.
        half: store weights in float16 (see `export_model`).
        trainable: put the Keras model beside, likewise.
        examples: put a few test examples into it, with the checksum of their codes in the card.
        command: which made the run, for the card.
        portrait: a PNG file's content, which the card shows.

    Returns:
        The export's directory.

    Raises:
        RunError: no run, one that has not ended, or a place that cannot be written.
        ValueError: `to` is something else than an export; or `examples`, and the data are not there.
    """
    run = RunDirectory.open(path)
    evaluation, environment = run.evaluated(), run.read(run.environment)
    model = load_model(run)
    target = to or run.export
    try:
        experiment = run.experiment()
        card = card_of(experiment, model, evaluation, environment).model_copy(update={"command": command})
        some = load_split(experiment, "test").images[:1000] if examples else None
        return export_model(model, target, card, half=half, trainable=trainable, examples=some, portrait=portrait)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from None


def card_of(
    experiment: Experiment,
    model: VAE,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    environment: Mapping[str, Any] | None = None,
) -> Card:
    """The card of a trained configuration.

    Args:
        experiment: the configuration.
        model: built from it.
        metrics: by split and name, mappings with the keys of `zoo.export.card.Figure`, as a run's `evaluation.json`
            holds them.
        environment: versions of what trained it, as a run's `environment.json` holds them; the present ones by
            default.

    Raises:
        ValueError: a model of another method, or of another size, than the configuration's.
    """
    configuration = experiment.model_dump()
    section = configuration["data"]
    if section["path"]:
        # Where the user keeps their images is nobody else's business.
        section["path"] = Path(section["path"]).name
    names, found = canonical(experiment.model.method), source(section["name"])
    method = "+".join(names)
    own = f"the user's own {section['kind']}, {section['path']}"
    for what, theirs, ours in (
        ("method", sorted(name.rpartition(":")[2] for name in names), sorted(model.method_names())),
        ("latent_dim", experiment.model.latent_dim, model.latent_dim),
    ):
        if theirs != ours:
            raise ValueError(f"card: the experiment's {what} is {theirs}, but the model's is {ours}")
    return Card(
        name=f"{found.name}/{method}",
        method=f"{method}: {'; '.join(summary(name, experiment.folders) for name in names)}",
        data=DataSet(
            name=found.name,
            description=own if section["path"] else found.description,
            splits={split: section[split] for split in ("train", "validation", "test")},
            licence=found.licence,
            homepage=found.homepage,
        ),
        metrics={split: dict(figures) for split, figures in (metrics or {}).items()},
        configuration=configuration,
        bibtex=bibtex(names, getattr(experiment.model, "beta", 1.0)),
        versions={key: (environment or {}).get(key, present) for key, present in versions().items()},
        **knowledge.examples(model),
    )
