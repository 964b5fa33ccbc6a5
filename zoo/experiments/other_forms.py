"""Runs and exports in other forms than a SavedModel: what `zoo export --format` does."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from zoo.experiments.run_directory import RunDirectory
from zoo.export import formats
from zoo.export.finding import checked, find, is_export


def check_form(form: str, name: str | Path, to: Path | None) -> Path:
    """The folder for another form of a run or an export; what can be known without TensorFlow is checked.

    Raises:
        RunError: no run, or one that has not ended.
        ValueError: no such form, a package is missing, no such export, a damaged one, or a folder that cannot be used.
    """
    formats.require(form)
    exported = is_export(name)
    if to is None and (exported or form == "serving"):
        example = "models/NAME, under which the server finds versions" if form == "serving" else "a folder"
        raise ValueError(f"--format {form}: needs --to, {example}")
    target = to or Path(name) / form
    formats.check_target(form, target)
    if exported:
        checked(find(name))
    elif Path(name).exists():
        RunDirectory.open(Path(name)).require_model()
    else:
        try:
            find(name)
        except ValueError as error:
            raise ValueError(f"{name}: no run, and {error}") from None
    return target


def export_as(
    form: str,
    name: str | Path,
    to: Path | None = None,
    *,
    half: bool = False,
    trainable: bool = False,
    examples: bool = False,
    portrait: bytes | None = None,
) -> Path:
    """Writes a run, or an export, in another form (see `zoo.export.converted.write`).

    Args:
        form: `serving`, `litert` or `onnx`.
        name: a run's directory; or an export: a folder, a name, or `hf://owner/name`.
        to: the folder to write; by default the run's own, `litert` or `onnx`.
        half: of a run, as `export_run`; likewise what follows.
        trainable: as above.
        examples: as above.
        portrait: as above.

    Returns:
        The folder that was written.

    Raises:
        RunError: as `export_run`.
        ValueError: as `zoo.export.converted.write`, or `to` is missing.
    """
    from zoo.export.converted import write

    target = check_form(form, name, to)
    if is_export(name):
        return write(find(name), form, target)
    from zoo.experiments.finished import export_run

    with tempfile.TemporaryDirectory() as scratch:
        with warnings.catch_warnings():
            # What the SavedModel does not have matters where it is a part of the form.
            warnings.simplefilter("ignore")
            folder = Path(scratch) / "export"
            export = export_run(
                Path(name), folder, half=half, trainable=trainable, examples=examples, portrait=portrait
            )
        return write(export, form, target)
