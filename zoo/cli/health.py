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

    from zoo.doctor.diagnosis import Diagnosis
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
    steps: Annotated[
        int,
        typer.Option(min=0, help="Of a configuration: so many first steps are tried, and their gradients measured."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Say whether, where and since when the posterior has collapsed, and what helps.

    Of a configuration: what its data allow, before any training; every example is read once. The exit code is 1 for a
    collapse or a training that diverged, and 0 else, also where only some units are dead, or training was too short to
    tell.
    """
    more = [word for word in arguments if "=" in word and not Path(word).exists()]
    named = [word for word in arguments if word not in more]
    changes = [*(settings or []), *more]
    if len(named) != 1:
        fail(f"doctor: takes one TARGET, got {' and '.join(named) or 'none'}")
    target = Path(named[0])
    if steps and (target.suffix == ".keras" or target.is_dir()):
        fail("--steps: tries the first steps of a configuration; a run or a model has taken them")
    if target.suffix == ".keras":
        collapsed = _model(target, data, changes, as_json)
    elif data is not None:
        fail("--data: only a .keras file needs one")
    elif target.is_dir():
        if changes:
            fail("--set: changes a configuration; a run keeps its own")
        collapsed = _run(target, as_json)
    else:
        collapsed = _configuration(named[0], changes, steps, as_json)
    raise typer.Exit(int(collapsed))


def _waiting(what: str) -> Status:
    """A sign of life on standard error, where that is a terminal."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def _run(path: Path, as_json: bool) -> bool:
    from zoo.doctor import advice, examination
    from zoo.doctor.diagnosis import diagnose, not_a_number
    from zoo.experiments.run_directory import RunDirectory

    run = RunDirectory.open(path)
    if run.diverged.is_file():
        found = not_a_number(run.diverged.read_text(encoding="utf-8"))
        return _report(str(path), found, {}, run.experiment(), advice.source_of(path), as_json)
    examination.require_history(run)
    load_tensorflow()
    experiment = run.experiment()
    with _waiting("looking at the test images"):
        figures = examination.examine_run(path)
    found = diagnose(figures, examination.history(run))
    return _report(str(path), found, figures, experiment, advice.source_of(path), as_json)


def _model(path: Path, data: str | None, changes: list[str], as_json: bool) -> bool:
    from zoo.doctor import examination
    from zoo.doctor.diagnosis import diagnose
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
    return _report(str(path), diagnose(figures), figures, experiment, (data, str(path.with_suffix(""))), as_json)


def _report(
    subject: str,
    diagnosis: Diagnosis,
    figures: dict[str, Measured],
    experiment: Experiment,
    places: tuple[str, str],
    as_json: bool,
) -> bool:
    from zoo.doctor.advice import remedies
    from zoo.doctor.diagnosis import FAILED
    from zoo.doctor.display import show_diagnosis

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
    return diagnosis.verdict in FAILED


def _configuration(name: str, changes: list[str], steps: int, as_json: bool) -> bool:
    from zoo.experiments import configurations
    from zoo.experiments.precheck import precheck

    experiment = configurations.load(name, changes, resolve=False)
    precheck(experiment, training=False)
    load_tensorflow()
    experiment = experiment.resolved()
    from zoo.cli.terminal import progress_over_tasks
    from zoo.doctor.diagnosis import FAILED
    from zoo.doctor.display import show_outlook, show_survey
    from zoo.doctor.outlook import foresee, to_keep, verdict
    from zoo.doctor.rehearsal import cures, rehearse
    from zoo.doctor.survey import survey

    with _waiting(f"reading the {experiment.data.kind} of all splits"):
        surveyed, training = survey(experiment)
    with _waiting(f"looking at the training {experiment.data.kind}"):
        outlook = foresee(experiment, training)
    commands = to_keep(outlook, name, changes)
    if steps:
        with progress_over_tasks(as_json) as progress:
            report = None if progress is None else (lambda share: progress("first steps", share))
            tried = rehearse(experiment, training, steps, report)
        outlook = outlook._replace(rehearsal=tried)
        commands = [*cures(tried, name, changes), *commands]
    judged = verdict(outlook)
    if as_json:
        rehearsal = outlook.rehearsal
        content: dict[str, Any] = {
            "subject": name,
            "verdict": judged,
            "summary": outlook.summary,
            "data": {
                "splits": {role: split._asdict() for role, split in surveyed.splits.items()},
                "warnings": surveyed.warnings,
            },
            **outlook._asdict(),
            "spectrum": {**outlook.spectrum._asdict(), "variances": outlook.spectrum.variances.tolist()},
            "rows": [_finite(row._asdict()) for row in outlook.rows],
            "rehearsal": rehearsal and {**_finite(rehearsal._asdict()), "verdict": rehearsal.verdict},
            "remedies": [remedy._asdict() for remedy in commands],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        show_outlook(name, outlook, commands)
        show_survey(surveyed)
    return judged in FAILED


def _finite(content: Any) -> Any:
    """The same with null for what is no finite number: JSON has no infinity."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
