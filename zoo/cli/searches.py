"""The command that searches for a configuration: `zoo tune`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.app import Quiet, app, fail, load_tensorflow, say

_DEFAULTS: dict[str, Any] = {"tuner": "random", "objective": "mutual_information", "max_trials": 10, "seed": 0}
_NLL_SAMPLES = 100


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
    from zoo.experiments import objectives, search_directory, space_file
    from zoo.experiments.configurations import load
    from zoo.experiments.schema import ConfigurationError
    from zoo.parameters import nearest

    if tuner is not None and tuner not in search_directory.TUNERS:
        fail(f"--tuner: no {tuner!r}; {nearest(tuner, search_directory.TUNERS)}")
    goal = objectives.parse(objective or _DEFAULTS["objective"])
    if directory is None:
        fail("tune: needs a --directory for the search and its runs")
    place = search_directory.SearchDirectory(directory)
    if resume:
        known = place.read()
    else:
        if config is None or space is None:
            fail("tune: needs a CONFIG (see `zoo list`) and a --space (docs/tuning.md), or --resume with --directory")
        place.check_new()
    changes = [*(settings or []), *([] if epochs is None else [f"train.epochs={epochs}"])]
    if config is None and changes:
        fail("tune: --set and --epochs change a CONFIG; a resumed search keeps its own")
    given: dict[str, Any] = {"tuner": tuner, "max_trials": max_trials, "seed": seed, "nll_samples": nll_samples}
    if objective is not None or not resume:
        given |= {"objective": goal.name, "direction": goal.direction}
    if config is not None:
        experiment = load(config, changes, resolve=False)
        given |= {"configuration": experiment.model_dump(), "folders": [str(one) for one in experiment.folders]}
    if space is not None:
        given["space"] = space_file.load(space)
    before = known.model_dump() if resume else {**_DEFAULTS, "nll_samples": _NLL_SAMPLES}
    search = search_directory.Search(**before | {key: value for key, value in given.items() if value is not None})
    where = str(space or place.search)
    ranges = space_file.ranges(search.space, where, search.experiment())
    if resume:
        search_directory.check_same(directory, known, search)
    if best is not None:
        _check_best(best, [space, config])
    trials = place.recorded()
    ended = all(trial.status != "running" for trial in trials)
    if resume and ended and len(trials) >= search.max_trials:
        say(f"already searched: {len(trials)} trials, nothing to do (more with a greater --max-trials)")
    else:
        load_tensorflow()
        try:
            trials = _search(place, search, ranges, resume, quiet)
        except ConfigurationError as error:
            fail(f"{where}: {error}" if str(error).startswith("space") else error)
    _finish(place, search, trials, best)


def _search(place: Any, search: Any, ranges: dict[str, Any], resume: bool, quiet: bool) -> list[Any]:
    from zoo.cli.trials import Display
    from zoo.experiments.run_directory import RunDirectory
    from zoo.experiments.searching import hypermodel, run_search

    model = hypermodel(search, ranges)
    if not resume or search != place.read():
        place.create(search)
    with RunDirectory(place.path).locked():
        before = place.recorded()
        if resume:
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


def _finish(place: Any, search: Any, trials: list[Any], best: Path | None) -> None:
    """The table, the best configuration, and what can be done next; exit code 1 where no trial ended well."""
    from zoo.cli.trials import table
    from zoo.experiments.search_directory import best as in_order

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
        what = (
            f"# The best of {len(trials)} trials, by {search.objective}: {found[0].score!r} (zoo evaluate, validation)"
        )
        from zoo.files import replacing

        with replacing(best) as sibling:
            sibling.write_text(f"{what}\n{run.config.read_text(encoding='utf-8')}", encoding="utf-8")
        say(f"best: {best}  (next: zoo train {best})")
    say(f"next: zoo evaluate {run.path}; tensorboard --logdir {place.path}")


def _check_best(best: Path, others: list[Any]) -> None:
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
