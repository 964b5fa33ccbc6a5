"""The command that searches for a configuration: `zoo tune`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import Quiet, app, fail, load_tensorflow, say

if TYPE_CHECKING:
    from zoo.experiments.search_directory import Search, SearchDirectory, Trial

_DEFAULTS: dict[str, Any] = {
    **{"tuner": "random", "objective": "mutual_information", "direction": "max"},
    **{"max_trials": 10, "seed": 0, "nll_samples": 100},
}


@app.command()
def tune(
    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="A name under configs/ or a path.", show_default=False)
    ] = None,
    space: Annotated[
        Path | None, typer.Option(metavar="SPACE.yaml", help="What is varied: docs/tuning.md.", show_default=False)
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the search and its runs go.", show_default=False)
    ] = None,
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials, at most.  [default: 10]", show_default=False)
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE[:min|max]",
            help="A figure of `zoo evaluate`, on the validation split.  [default: mutual_information:max]",
            show_default=False,
        ),
    ] = None,
    tuner: Annotated[
        str | None,
        typer.Option(help="random, bayesian, hyperband or grid.  [default: random]", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of a trial; of hyperband, the most.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 2, help="Of what is drawn.  [default: 0]", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of CONFIG.")
    ] = None,
    nll_samples: Annotated[
        int | None,
        typer.Option(min=1, help="Of the objectives nll and bits_per_dimension.  [default: 100]", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search in DIR.")] = False,
    best: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Write the best trial's configuration.", show_default=False),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Search for hyperparameters with KerasTuner; every trial is a run.

    A search that was interrupted goes on with --resume, and ends as if nothing had happened; with a greater
    --max-trials it goes on for longer.
    """
    from zoo.experiments.search_directory import SearchDirectory, check_same
    from zoo.experiments.space_file import ranges

    if directory is None:
        fail("tune: needs a --directory for the search and its runs")
    place = SearchDirectory(directory)
    if not resume and (config is None or space is None):
        fail("tune: needs a CONFIG (see `zoo list`) and a --space (docs/tuning.md), or --resume with --directory")
    changes = [*(settings or []), *([] if epochs is None else [f"train.epochs={epochs}"])]
    if config is None and changes:
        fail("tune: --set and --epochs change a CONFIG; a resumed search keeps its own")
    options = {"tuner": tuner, "max_trials": max_trials, "seed": seed, "nll_samples": nll_samples}
    given = {key: value for key, value in options.items() if value is not None}
    given |= _read(config, changes, space, objective, tuner)
    known = place.read() if resume else None
    search = _combined(given, known)
    where = str(space or place.search)
    varied = ranges(search.space, where, search.experiment())
    if known is None:
        place.check_new()
    else:
        check_same(directory, known, search)
    if best is not None:
        _check_best(best, [space, config])
    trials = place.recorded()
    ended = all(trial.status != "running" for trial in trials)
    if resume and ended and len(trials) >= search.max_trials:
        say(f"already searched: {len(trials)} trials, nothing to do (more with a greater --max-trials)")
    else:
        load_tensorflow()
        trials = _search(place, search, known, varied, where, quiet)
    _finish(place, search, trials, best)


def _read(
    config: str | None, changes: list[str], space: Path | None, objective: str | None, tuner: str | None
) -> dict[str, Any]:
    """What was given by names and files, checked as far as it can be without TensorFlow."""
    from zoo.experiments import objectives, search_directory, space_file
    from zoo.experiments.configurations import load
    from zoo.experiments.precheck import precheck
    from zoo.parameters import nearest

    given: dict[str, Any] = {}
    if tuner is not None and tuner not in search_directory.TUNERS:
        fail(f"--tuner: no {tuner!r}; {nearest(tuner, search_directory.TUNERS)}")
    if objective is not None:
        goal = objectives.parse(objective)
        given |= {"objective": goal.name, "direction": goal.direction}
    if config is not None:
        experiment = load(config, changes, resolve=False)
        precheck(experiment)
        given |= {"configuration": experiment.model_dump(), "folders": [str(one) for one in experiment.folders]}
    if space is not None:
        given["space"] = space_file.load(space)
    return given


def _combined(given: dict[str, Any], known: Search | None) -> Search:
    """The search: what was given, and for the rest what it is already, or the defaults."""
    from zoo.experiments.search_directory import Search

    return Search(**(dict(_DEFAULTS) if known is None else known.model_dump()) | given)


def _search(
    place: SearchDirectory, search: Search, known: Search | None, varied: dict[str, Any], where: str, quiet: bool
) -> list[Trial]:
    """Carries the search out; a mistake in its space leaves nothing behind."""
    from zoo.cli.trials import Display
    from zoo.experiments.run_directory import RunDirectory
    from zoo.experiments.searching import hypermodel, run_search

    try:
        model = hypermodel(search, varied)
    except ValueError as error:
        fail(f"{where}: {error}" if str(error).startswith("space") else error)
    if search != known:
        place.create(search)
    with RunDirectory(place.path).locked():
        before = place.recorded()
        if known is not None:
            done = sum(trial.status != "running" for trial in before)
            say(f"{place.path}: going on after {done} of {search.max_trials} trials")
        with Display(search, before, quiet) as display:
            try:
                return run_search(
                    place, search, model, told=display.told, announce=display.say, watchers=display.watchers
                )
            except KeyboardInterrupt:
                display.stop()
                fail(f"interrupted; go on with: zoo tune --resume --directory {place.path}", 130)


def _finish(place: SearchDirectory, search: Search, trials: list[Trial], best: Path | None) -> None:
    """The table, the best configuration, and what can be done next; exit code 1 where no trial ended well."""
    from zoo.cli.trials import table
    from zoo.experiments.search_directory import best as in_order
    from zoo.files import replacing

    for trial in trials:
        if trial.status == "failed":
            say(f"trial {trial.number} failed: {trial.message}")
    found = in_order(trials, search.direction)
    if not found:
        fail("no trial ended well; none is the best", 1)
    if len(trials) < search.max_trials:
        say(f"{len(trials)} trials: the space has no more")
    table(found, search, place)
    run = place.run(found[0].number)
    if best is not None:
        what = f"# The best of {len(trials)} trials: {search.objective} {found[0].score!r} on the validation split."
        with replacing(best) as sibling:
            sibling.write_text(f"{what}\n{run.config.read_text(encoding='utf-8')}", encoding="utf-8")
        say(f"best: {best}  (next: zoo train {best})")
    say(f"next: zoo evaluate {run.path}; zoo tensorboard {place.path}")


def _check_best(best: Path, others: list[str | Path | None]) -> None:
    """Ends with a line where the best configuration cannot be written, or would overwrite what it was made of."""
    if best.suffix.lower() not in {".yaml", ".yml"}:
        fail(f"--best {best}: must end in .yaml")
    if best.is_dir() or any(other is not None and best.absolute() == Path(other).absolute() for other in others):
        fail(f"--best {best}: would overwrite it; name another file")
    if not best.absolute().parent.is_dir():
        fail(f"--best {best}: no such folder {best.parent}")
    try:
        tempfile.TemporaryDirectory(dir=best.absolute().parent).cleanup()
    except OSError as error:
        fail(f"--best {best}: cannot be written: {error.strerror}")
