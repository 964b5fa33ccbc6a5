"""What is printed as it stands: brackets in names, paths and labels are no markup of the terminal."""

import io

import pytest
from rich.console import Console

from zoo.cli import terminal
from zoo.doctor import display
from zoo.doctor.diagnosis import Diagnosis
from zoo.experiments.measures import Measured
from zoo.training import callbacks
from zoo.training.callbacks import progress

NAMES = ["runs/[/]", "[/bold]", "[red]x[/red]", "a[b"]


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_shows_any_name(capsys, name):
    terminal.evaluation_table({name: Measured(1.0, name, 3, f"of {name}")}, f"{name} · test")
    out = capsys.readouterr().out
    assert out.count(name) == 5 and f"{name}: of {name}" in out


@pytest.mark.parametrize("name", NAMES)
def test_a_diagnosis_shows_any_name(capsys, name):
    fields = {
        **dict.fromkeys(Diagnosis._fields),
        "verdict": "healthy",
        "summary": name,
        "findings": [name],
        "units": [],
    }
    display.show_diagnosis(name, Diagnosis(**fields), [])
    assert capsys.readouterr().out.count(name) == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("watched", [False, True])
def test_progress_shows_any_name(monkeypatch, name, watched):
    monkeypatch.setattr(progress, "SHOWN", {name: [progress.Column(name, name, len(name))]})
    text = io.StringIO()
    bar = callbacks.Progress(epochs=1, console=Console(file=text, width=200, force_terminal=watched))
    bar.set_params({"steps": 1})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    bar.bar.update(bar.task, description=name, note=name, refresh=True)
    bar.on_epoch_end(0, {name: 1.0})
    bar.on_train_end()
    assert text.getvalue().count(name) >= 2 and " 1.00 " in text.getvalue()
