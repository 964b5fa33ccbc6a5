"""What one sees while a training runs: rows, bars, stages; and what is said of a run that goes on."""

import io
import types

import pytest
from rich.console import Console

from zoo.cli.terminal import Stages
from zoo.training import callbacks
from zoo.training.callbacks import progress

LOGS = {
    **{"loss": 9.0, "distortion": 20.25, "rate": 1.5},
    **{"val_elbo": -25.5, "val_distortion": 22.0, "val_rate": 3.5, "val_mutual_information": 2.75},
    "val_active_units": 16.0,
}


def shown(logs, *, terminal=False, steps=3, epochs=2, monkeypatch=None):
    """What a training of one epoch prints, and its bars; a step takes half a second after the first one's ten."""
    clock = iter([0.0, 0.0, *(10.0 + 0.5 * step for step in range(steps)), *[20.0] * 20])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    text = io.StringIO()
    bar = callbacks.Progress(epochs, batch_size=64, console=Console(file=text, width=120, force_terminal=terminal))
    bar.set_params({"steps": steps})
    bar.set_model(types.SimpleNamespace(domain=types.SimpleNamespace(noun="images")))
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    for step in range(steps):
        bar.on_train_batch_end(step, {"rate": 1.5, "loss": 9.0})
    tasks = [*[(task.completed, task.total, task.fields["note"]) for task in bar.bar.tasks], bar.bar.line]
    bar.on_epoch_end(0, logs)
    bar.on_train_end()
    return text.getvalue(), tasks


def test_a_row_has_training_and_validation_under_their_names(monkeypatch):
    text, _ = shown(LOGS, monkeypatch=monkeypatch)
    above, names, row, last = text.splitlines()
    assert max(map(len, (above, names, row))) <= 80
    words, figures = names.split(), row.split()
    assert words == ["epoch", "distortion", "rate", "ELBO", "distortion", "rate", "MI", "active", "time"]
    assert figures == ["1/2", "20.25", "1.50", "-25.50", "22.00", "3.50", "2.75", "16", "20.0", "s"]
    # The figures end where their headings end, and those of the held-out examples stand under "validation".
    assert [row.index(one) + len(one) for one in ("20.25", "-25.50", "2.75")] == [
        names.index(one) + len(one) for one in ("distortion", "ELBO", "MI")
    ]
    assert above.index("training") < names.index("ELBO") < above.index("validation")
    # 2 steps of 64 in a second; the first one, which builds the graph, does not count.
    assert last == "1 epoch in 20.0 s, steps at 128 images/s"


def test_a_row_has_a_dash_for_what_was_not_measured(monkeypatch):
    text, _ = shown({"rate": 1.5}, monkeypatch=monkeypatch)
    assert text.splitlines()[2].split() == ["1/2", "–", "1.50", "–", "–", "–", "–", "–", "20.0", "s"]


def test_the_bars_of_the_epoch_and_of_the_run(monkeypatch):
    _, (epoch, run, line) = shown(LOGS, terminal=True, steps=4, monkeypatch=monkeypatch)
    assert epoch[:2] == (4, 4) and epoch[2].endswith(" images/s")
    assert run[:2] == (4, 8) and line == "loss 9.00  rate 1.50"


@pytest.mark.parametrize(("seconds", "text"), [(9.96, "10.0 s"), (245, "4 min 05 s"), (7380, "2 h 03 min")])
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (False, False), (True, True)])
def test_stages_are_for_a_terminal(terminal, quiet):
    text = io.StringIO()
    with Stages(quiet) as stage:
        stage.console = Console(file=text, force_terminal=terminal, width=80)
        stage("loading [data]")
        assert (stage.live is not None) == (terminal and not quiet)
        stage("building")
    assert stage.live is None
    if terminal or quiet:
        assert ("loading [data] …" in text.getvalue()) != quiet
    else:
        assert text.getvalue() == ""
