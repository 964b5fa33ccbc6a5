"""The commands that show runs: plot, tensorboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.app import app, fail, load_tensorflow


@app.command()
def plot(
    figure: Annotated[str | None, typer.Argument(help="See --list.", show_default=False)] = None,
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN…", help="Directories of runs.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help=".png, .svg or .pdf.  [default: FIGURE.png]", show_default=False)
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test (default; history: the first two).", show_default=False),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many (traversal: with --unit).", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of which images, and of all draws.", show_default=False)
    ] = None,
    metric: Annotated[str | None, typer.Option(help="history: one or more, with commas.", show_default=False)] = None,
    units: Annotated[
        int | None, typer.Option(min=1, help="traversal: how many, of most rate.  [default: 16]", show_default=False)
    ] = None,
    unit: Annotated[
        int | None,
        typer.Option(min=0, help="traversal: this one alone, from 0, in several images.", show_default=False),
    ] = None,
    example: Annotated[
        int | None, typer.Option(min=0, help="traversal: of this example of the split, from 0.", show_default=False)
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="interpolation: linear (default) or spherical.", show_default=False)
    ] = None,
    projection: Annotated[str | None, typer.Option(help="arrows: pca or tsne.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="Which figures there are.")] = False,
) -> None:
    """Draw a figure of one or several runs."""
    from zoo.report.endings import figure_ending
    from zoo.report.gallery import plot as gallery

    if list_ or figure is None:
        width = max(map(len, gallery.FIGURES))
        print("\n".join(f"{name:<{width}}  {text}" for name, text in gallery.FIGURES.items()))
        return
    if figure not in gallery.FIGURES:
        gallery.check(figure, {})
    given = {"split": split, "images": images, "seed": seed, "metric": metric, "projection": projection}
    given |= {"units": units, "unit": unit, "example": example, "path": path}
    options = {name: value for name, value in given.items() if value is not None}
    named = gallery.labelled(runs or [])
    gallery.check(figure, named, **options)
    target = to or Path(f"{figure}.png")
    figure_ending(target)
    if not target.absolute().parent.is_dir():
        fail(f"--to {target}: no such folder {target.parent}")
    if figure not in gallery.WITHOUT_MODEL:
        load_tensorflow()
    drawn = gallery.plot(figure, named, **options)
    from zoo.report.figures import save

    print(save(drawn, target))


@app.command()
def tensorboard(
    folder: Annotated[Path, typer.Argument(help="A folder of runs.")] = Path("runs"),
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen at; 0 for any that is free.")] = 6006,
) -> None:
    """Show runs in TensorBoard, all selected and nothing clipped."""
    if not folder.is_dir():
        fail(f"tensorboard: no such folder {folder}")
    load_tensorflow()
    from zoo.report.board import serve

    if serve(folder, host, port):
        raise SystemExit(2)
