"""The command that trains: train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.app import Quiet, app, fail, load_tensorflow, say

if TYPE_CHECKING:
    from zoo.experiments.run_directory import RunDirectory
    from zoo.experiments.schema import Experiment


def _configurations(incomplete: str) -> list[str]:
    """The shipped configurations that begin with what was typed, for the completion of the shell."""
    from zoo.experiments.configurations import names

    return [name for name in names() if name.startswith(incomplete)]


@app.command()
def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIG",
            help="A name under configs/ or a path.",
            show_default=False,
            autocompletion=_configurations,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE …", help="Change values, such as train.epochs=3 train.seed=1."),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run goes.  [default: runs/CONFIG-seedN]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, data order and noise.", show_default=False)] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="How many in all; with --resume, a run that has ended goes on.", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Finish an interrupted run.", show_default=False)
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Begin with the weights of an export (a name, a folder, hf://…) or of a run.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[str, typer.Option(help="default (one device) or mirrored (all of this machine).")] = "default",
    logical_devices: Annotated[
        int | None, typer.Option(min=1, help="Split the CPU, to try `mirrored` without GPUs.", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a configuration, or finish an interrupted run."""
    from zoo.parameters import nearest

    if strategy not in ("default", "mirrored"):
        fail(f"--strategy: no {strategy!r}; {nearest(strategy, ('default', 'mirrored'))}")
    # An option takes one word, so the second word of `--set a=1 b=2` arrives among the arguments.
    more = [word for word in arguments or [] if "=" in word and not Path(word).exists()]
    named = [word for word in arguments or [] if word not in more]
    if len(named) > 1:
        fail(f"train: takes one CONFIG, got {' and '.join(named)}")
    config = named[0] if named else None
    if config is None and resume is None:
        fail("train: needs a CONFIG (see `zoo list`), or --resume RUN")
    if resume is not None and run_dir is not None and run_dir != resume:
        fail("train: --resume names the run's directory already; leave out --run-dir")
    if logical_devices and strategy == "default":
        fail("--logical-devices: only with --strategy mirrored")
    changes = [*(settings or []), *more, *([] if seed is None else [f"train.seed={seed}"])]
    if init_from is not None:
        # A run may be resumed from another folder.
        found = Path(init_from).absolute() if Path(init_from).exists() else init_from
        changes.append(f"train.init_from={found}")
    if resume is not None:
        run, experiment = _to_resume(resume, config, changes, epochs)
    else:
        run, experiment = _new(str(config), changes, epochs, run_dir)
    _carry_out(run, experiment, resume is not None, (strategy, logical_devices), quiet)


def _new(config: str, changes: list[str], epochs: int | None, run_dir: Path | None) -> tuple[RunDirectory, Experiment]:
    """The run to be made, and its configuration, checked as far as it can be without TensorFlow."""
    from zoo.experiments.configurations import load
    from zoo.experiments.precheck import precheck
    from zoo.experiments.run_directory import RunDirectory

    experiment = load(config, [*changes, *([] if epochs is None else [f"train.epochs={epochs}"])], resolve=False)
    name = Path(config).with_suffix("") if config.endswith((".yaml", ".yml")) else Path(config)
    where = Path(name.name) if name.is_absolute() or ".." in name.parts else name
    run = RunDirectory(run_dir or Path("runs") / f"{where}-seed{experiment.train.seed}")
    run.check_new()
    precheck(experiment)
    if experiment.train.init_from is not None:
        from zoo.export.finding import keras_file

        keras_file(experiment.train.init_from)
    load_tensorflow()
    return run, experiment.resolved()


def _to_resume(
    path: Path, config: str | None, changes: list[str], epochs: int | None
) -> tuple[RunDirectory, Experiment]:
    """The run to go on with, and its configuration; says so, and ends, where nothing is to be done."""
    from zoo.experiments.configurations import load
    from zoo.experiments.continuing import check_epochs, has_ended, with_epochs
    from zoo.experiments.precheck import precheck
    from zoo.experiments.run_directory import RunDirectory

    run = RunDirectory.open(path)
    if config is None and changes:
        fail("train: --set and --seed change a configuration; a resumed run keeps its own")
    given = None if config is None else load(config, changes, resolve=False)
    experiment = run.experiment()
    wanted = experiment.train.epochs if epochs is None else epochs
    with run.locked():
        ended = has_ended(run)
        check_epochs(run, wanted)
    if given is None and ended and wanted == experiment.train.epochs:
        say(f"already trained: {path}, {experiment.train.epochs} epochs; nothing to do (--epochs N goes on with it)")
        raise typer.Exit
    precheck(experiment)
    load_tensorflow()
    if given is not None:
        run.check_same(with_epochs(given, experiment.train.epochs))
    return run, with_epochs(run.experiment(resolve=True), epochs)


def _carry_out(
    run: RunDirectory, experiment: Experiment, resume: bool, devices: tuple[str, int | None], quiet: bool
) -> None:
    """Trains and exports, and says what comes next."""
    from zoo.cli.terminal import Stages
    from zoo.doctor.advice import in_short
    from zoo.doctor.diagnosis import suspect
    from zoo.doctor.examination import history
    from zoo.experiments.finished import export_run
    from zoo.experiments.fitting import train as train_run
    from zoo.replicas import strategy

    device = strategy(*devices)
    with Stages(quiet) as stage:
        try:
            train_run(
                experiment,
                run,
                resume=resume,
                strategy=device,
                quiet=quiet,
                announce=say,
                stage=stage,
                cures=in_short(experiment),
            )
        except KeyboardInterrupt:
            stage("")
            fail(f"interrupted; go on with: zoo train --resume {run.path}", 130)
        stage("exporting")
        export_run(run.path)
    following = "doctor" if suspect(history(run)) else "evaluate"
    say(f"trained: {run.path}  (next: zoo {following} {run.path})")
