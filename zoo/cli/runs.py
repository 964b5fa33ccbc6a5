"""The commands of a single run or export: list, evaluate, encode, sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import Quiet, Run, app, fail, load_tensorflow, say
from zoo.metrics.names import GROUPS

if TYPE_CHECKING:
    from zoo.experiments.run_directory import RunDirectory

# Of so many latent units and more, the probes and what compares all codes take minutes on two cores.
_MANY_UNITS = 500


@app.command("list")
def list_(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A method, network or likelihood, to see more of it.", show_default=False),
    ] = None,
    exports: Annotated[bool, typer.Option("--exports", help="The exports alone, with their sizes.")] = False,
) -> None:
    """List methods, networks, data sets, configurations and exports, or the hyperparameters of one."""
    from zoo.cli.listing import check_name, description, exports_table, listing

    if exports:
        exports_table()
        return
    if name is None:
        print(listing())
        return
    check_name(name)
    load_tensorflow()
    print(description(name))


@app.command()
def evaluate(
    run: Run,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    nll_samples: Annotated[
        int, typer.Option(min=0, help="Importance samples for the negative log-likelihood; 0 leaves it out.")
    ] = 0,
    nll_images: Annotated[int, typer.Option(min=0, help="On how many images of the split; 0 for all.")] = 1000,
    prior_variance: Annotated[
        float | None,
        typer.Option(metavar="V", help="Rate and ELBO under the prior N(0, V·I) too.", show_default=False),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help=f"Only these, with commas: {','.join(GROUPS)}.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure a trained run on a split."""
    from zoo.experiments.run_directory import RunDirectory

    directory = RunDirectory.open(run)
    directory.require_model()
    if split not in ("train", "validation", "test"):
        fail(f"--split: no {split!r}; one of: train, validation, test")
    from zoo.experiments.measures import groups_to_measure

    chosen = tuple(name.strip() for name in metrics.split(",")) if metrics else ()
    groups_to_measure(chosen, nll_samples)
    if prior_variance is not None and not 0 < prior_variance < float("inf"):
        fail(f"--prior-variance: must be positive and finite, got {prior_variance:g}")
    load_tensorflow()
    from zoo import __version__
    from zoo.cli.terminal import evaluation_table, progress_over_tasks
    from zoo.experiments.evaluation import evaluate as evaluate_run
    from zoo.experiments.evaluation import lines

    if theirs := directory.other_version():
        say(f"{run}: was written by version {theirs} of the zoo; this is version {__version__}")
    _warn_of_a_long_wait(directory)
    with progress_over_tasks(quiet, "loading the run and its data") as progress:
        found, left_out = evaluate_run(
            run,
            split,
            only=chosen,
            nll_samples=nll_samples,
            nll_images=nll_images or None,
            prior_variance=prior_variance,
            progress=progress and (lambda name, share: progress(f"measuring {name}", share)),
        )
    if as_json:
        print(json.dumps({name: measured._asdict() for name, measured in found.items()}, indent=2))
    else:
        evaluation_table(found, f"{run} · {split}")
    for line in lines(left_out):
        say(f"left out: {line}")
    if not chosen and not nll_samples:
        say("left out: nll: it takes long; ask for it with --nll-samples 500")


def _warn_of_a_long_wait(run: RunDirectory) -> None:
    """Says beforehand what will take minutes."""
    from zoo.replicas import slow_precision

    experiment = run.experiment()
    if (units := experiment.model.latent_dim) >= _MANY_UNITS:
        say(f"warning: {units} latent units: probes and mutual information take long; --metrics chooses among them")
    if warning := slow_precision(experiment.train.precision):
        say(f"warning: {warning}")


@app.command()
def encode(
    export: Annotated[
        str, typer.Argument(help="An export: a folder, a name of `zoo list --exports`, hf://…", show_default=False)
    ],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help=".npy, .npz, .csv, a folder of images, or tfds:name/split.")
    ],
    to: Annotated[Path, typer.Option(help="The .npz file for loc, scale, labels and names.")] = Path("codes.npz"),
    quiet: Quiet = False,
) -> None:
    """Encode images with an exported model, however many; after a kill the same command goes on."""
    from zoo.export.finding import find

    folder = find(export)
    if to.is_dir() or not to.absolute().parent.is_dir():
        fail(f"--to {to}: {'is a folder' if to.is_dir() else f'no such folder {to.parent}'}; name a .npz file")
    from zoo.experiments.precheck import check_source

    check_source(source)
    from zoo.export.encoding import encode_file, open_source

    # A data set of the catalogue needs TensorFlow to be read.
    examples = source if source.startswith("tfds:") else open_source(folder, source)
    load_tensorflow()
    from zoo.cli.terminal import progress_over_tasks

    with progress_over_tasks(quiet, "loading the export and its input") as progress:
        encode_file(folder, examples, to, progress=progress, note=say)
    print(to)


@app.command()
def sample(
    run: Run,
    n: Annotated[int, typer.Option(min=1, help="How many examples.")] = 64,
    to: Annotated[Path, typer.Option(help="A .png picture, or a .npy or .csv file of numbers.")] = Path("grid.png"),
    seed: Annotated[int, typer.Option(help="Of the prior samples.")] = 0,
) -> None:
    """Draw examples from the prior: the means of p(x|z)."""
    from zoo.experiments.run_directory import RunDirectory

    directory = RunDirectory.open(run)
    directory.require_model()
    kind = to.suffix.lower()
    if kind not in (".png", ".npy", ".csv"):
        fail(f"--to {to}: must end in .png, .npy or .csv")
    if not to.absolute().parent.is_dir():
        fail(f"--to {to}: no such folder {to.parent}")
    load_tensorflow()
    import numpy as np

    from zoo.domains.pictures import grid, save_png
    from zoo.experiments.finished import load_model

    model = load_model(directory)
    found = model.sample(n, seed=seed).numpy()
    if kind == ".png":
        save_png(grid(found) if model.domain.noun == "images" else model.domain.draw(found), to)
    elif kind == ".npy":
        np.save(to, model.domain.restore(found))
    elif found.ndim == 2:
        np.savetxt(to, model.domain.restore(found), delimiter=",", fmt="%.7g")
    else:
        fail(f"--to {to}: is for rows of a table; give a .npy file")
    print(to)
