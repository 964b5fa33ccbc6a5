"""The command that judges a run, a model or a configuration: doctor."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.app import app, fail, load_tensorflow

if TYPE_CHECKING:
    from rich.status import Status

    from zoo.experiments.evaluation import Measured
    from zoo.experiments.schema import Experiment


@app.command()
def doctor(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="TARGET", help="A run, a .keras file, or a configuration.", show_default=False),
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="CONFIG", help="Of a .keras file: the configuration of its images.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE …", help="Change values of the configuration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Say whether, where and since when the posterior has collapsed, and what helps.

    Of a configuration: what its data allow, before any training; every example is read once. The exit code is 1 for a
    collapse, 0 for none, also where only some units are dead.
    """
    more = [word for word in arguments if "=" in word and not Path(word).exists()]
    named = [word for word in arguments if word not in more]
    changes = [*(settings or []), *more]
    if len(named) != 1:
        fail(f"doctor: takes one TARGET, got {' and '.join(named) or 'none'}")
    target = Path(named[0])
    if target.suffix == ".keras":
        collapsed = _model(target, data, changes, as_json)
    elif data is not None:
        fail("--data: only a .keras file needs one")
    elif target.is_dir():
        if changes:
            fail("--set: changes a configuration; a run keeps its own")
        collapsed = _run(target, as_json)
    else:
        collapsed = _configuration(named[0], changes, as_json)
    raise typer.Exit(int(collapsed))


def _waiting(what: str) -> Status:
    """A sign of life on standard error, where that is a terminal."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def _run(path: Path, as_json: bool) -> bool:
    from zoo.doctor import advice, examination
    from zoo.experiments.run_directory import RunDirectory

    run = RunDirectory.open(path)
    examination.require_history(run)
    load_tensorflow()
    experiment = run.experiment()
    with _waiting("looking at the test images"):
        figures = examination.examine_run(path)
    source, runs = advice.source_of(path)
    return _report(str(path), figures, examination.history(run), experiment, (source, runs), as_json)


def _model(path: Path, data: str | None, changes: list[str], as_json: bool) -> bool:
    from zoo.doctor import examination
    from zoo.experiments import configurations

    if not path.is_file():
        fail(f"{path}: no such file")
    if data is None:
        fail(f"{path}: needs --data CONFIG, the configuration whose images it was trained on")
    experiment = configurations.load(data, changes, resolve=False)
    load_tensorflow()
    experiment = experiment.resolved()
    with _waiting("looking at the test images"):
        figures = examination.examine_model(path, experiment)
    return _report(str(path), figures, [], experiment, (data, str(path.with_suffix(""))), as_json)


def _report(
    subject: str,
    figures: dict[str, Measured],
    rows: list[dict[str, float]],
    experiment: Experiment,
    places: tuple[str, str],
    as_json: bool,
) -> bool:
    from zoo.doctor.advice import remedies
    from zoo.doctor.diagnosis import diagnose
    from zoo.doctor.display import show_diagnosis

    diagnosis = diagnose(figures, rows)
    tried = remedies(diagnosis, experiment, *places)
    if as_json:
        content = {
            "subject": subject,
            **diagnosis._asdict(),
            "units": [unit._asdict() for unit in diagnosis.units],
            "figures": {name: measured._asdict() for name, measured in figures.items()},
            "remedies": [remedy._asdict() for remedy in tried],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        show_diagnosis(subject, diagnosis, tried)
    return diagnosis.verdict == "collapsed"


def _configuration(name: str, changes: list[str], as_json: bool) -> bool:
    from zoo.experiments import configurations

    experiment = configurations.load(name, changes, resolve=False)
    load_tensorflow()
    experiment = experiment.resolved()
    from zoo.doctor.display import show_outlook, show_survey
    from zoo.doctor.outlook import foresee, to_keep, verdict
    from zoo.doctor.survey import survey

    with _waiting(f"reading the {experiment.data.kind} of all splits"):
        found, training = survey(experiment)
    with _waiting(f"looking at the training {experiment.data.kind}"):
        outlook = foresee(experiment, training)
    commands = to_keep(outlook, name, changes)
    if as_json:
        content: dict[str, Any] = {
            "subject": name,
            "verdict": verdict(outlook),
            "summary": outlook.summary,
            "data": {
                "splits": {role: split._asdict() for role, split in found.splits.items()},
                "warnings": found.warnings,
            },
            **outlook._asdict(),
            "spectrum": {**outlook.spectrum._asdict(), "variances": outlook.spectrum.variances.tolist()},
            # JSON has no infinity: without a limit there is no number.
            "rows": [
                {k: v if v is not None and math.isfinite(v) else None for k, v in row._asdict().items()}
                for row in outlook.rows
            ],
            "remedies": [remedy._asdict() for remedy in commands],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        show_outlook(name, outlook, commands)
        show_survey(found)
    return outlook.kept == 0
