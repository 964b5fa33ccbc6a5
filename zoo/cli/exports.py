"""The commands that make exports, show them and put them elsewhere: export, card, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import app, fail, load_tensorflow
from zoo.export.formats import FORMS

SAVED_MODEL = "saved_model"


@app.command()
def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The directory of a run; with --format also an export's folder or name.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Where to.  [default: RUN/export, RUN/litert, RUN/onnx]", show_default=False)
    ] = None,
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMS)}.")] = SAVED_MODEL,
    half: Annotated[bool, typer.Option("--half", help="Store the weights in float16: half the size.")] = False,
    trainable: Annotated[
        bool, typer.Option("--trainable", help="Put the Keras model beside, which zoo.load reads.")
    ] = False,
    examples: Annotated[
        bool,
        typer.Option("--examples", help="Put eight test examples in it, and the checksum of their codes on its card."),
    ] = False,
) -> None:
    """Write a trained run as a SavedModel with its card, or for TensorFlow Serving, LiteRT or ONNX."""
    from zoo.experiments.run_directory import RunDirectory
    from zoo.export.finding import is_export

    options = {"half": half, "trainable": trainable, "examples": examples}
    if form == SAVED_MODEL:
        run = RunDirectory.open(Path(name))
        run.require_model()
        load_tensorflow()
        from zoo.experiments.finished import export_run
        from zoo.report.illustrating import portrait

        drawn = portrait(run)
        print(export_run(run.path, to, half=half, trainable=trainable, examples=examples, portrait=drawn))
        return
    from zoo.experiments.other_forms import check_form, export_as

    check_form(form, name, to)
    for option in (option for option, wanted in options.items() if wanted):
        if form != "serving":
            fail(f"--{option}: is for SavedModels; --format {form} writes weights in float32 and nothing beside them")
        if is_export(name):
            fail(f"--{option}: {name} is an export, which is copied as it is; give the directory of a run")
    drawn = None
    if form != "serving" or not is_export(name):
        load_tensorflow()
    if form == "serving" and not is_export(name):
        from zoo.report.illustrating import portrait

        drawn = portrait(RunDirectory.open(Path(name)))
    print(export_as(form, name, to, portrait=drawn, **options))


@app.command()
def card(
    name: Annotated[
        str, typer.Argument(help="An export: a folder, a name of `zoo list --exports`, hf://…", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Show what an export says of itself, its files checked."""
    from zoo.export.card import README
    from zoo.export.finding import checked, find

    folder = find(name)
    found = checked(folder)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown((folder / README).read_text(encoding="utf-8")))


@app.command()
def push(
    name: Annotated[str, typer.Argument(help="An export: a folder, or a name of `zoo list --exports`.")],
    address: Annotated[str, typer.Argument(metavar="hf://OWNER/NAME", help="Where to.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="Where it makes the repository.")] = False,
) -> None:
    """Put an export on the Hugging Face hub."""
    from zoo.export.finding import checked, find
    from zoo.export.hub import push as put

    folder = find(name)
    checked(folder)
    print(put(folder, address, private=private))
