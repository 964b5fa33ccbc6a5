"""Damaged `evaluation.json` and `environment.json`: one line from every command that reads them, and no odd numbers."""

import json

import numpy as np
import pytest

from zoo.experiments import configurations
from zoo.experiments.evaluation import write_evaluation
from zoo.experiments.run_directory import RunDirectory, RunError

FIGURE = {"value": 1.25, "unit": "nats", "examples": 300, "note": "", "error": 0.5, "values": [1.0, 0.25]}


@pytest.fixture
def run(tmp_path):
    """A run as far as these files are looked at before its model is."""
    experiment = configurations.load("digits/vae", ["model.network={name: mlp, width: 8, depth: 1}"])
    directory = RunDirectory.create(tmp_path / "run", experiment)
    directory.model.write_bytes(b"a model")
    directory.metrics.write_text('{"epoch": 1, "loss": 2.0}\n')
    return directory


def figure(**changes):
    one = {name: value for name, value in {**FIGURE, **changes}.items() if value is not ...}
    return json.dumps({"test": {"rate": one}})


def raw(name, text):
    """A figure with a value that `json.dumps` does not write."""
    return figure(**{name: "@"}).replace('"@"', text)


EVALUATIONS = {
    "no unit": figure(unit=...),
    "no value": figure(value=...),
    "no examples": figure(examples=...),
    "a unit that is no text": figure(unit=3),
    "text for a value": figure(value="1.25"),
    "true for a value": figure(value=True),
    "null for a value": figure(value=None),
    "a list for a value": figure(value=[1.25]),
    "NaN": raw("value", "NaN"),
    "infinity": raw("value", "Infinity"),
    "minus infinity": raw("value", "-Infinity"),
    "a number beyond floats": raw("value", "1e999"),
    "a huge integer": raw("value", "1" + "0" * 400),
    "an integer of too many digits": raw("value", "1" + "0" * 5000),
    "NaN for an error": raw("error", "NaN"),
    "text for an error": figure(error="x"),
    "NaN among the values": raw("values", "[1.0, NaN]"),
    "text among the values": figure(values=["x"]),
    "a number for the values": figure(values=3),
    "fewer than no examples": figure(examples=-1),
    "half an example": figure(examples=1.5),
    "true examples": figure(examples=True),
    "more examples than there are": raw("examples", "1" + "0" * 400),
    "a note that is no text": figure(note=["x"]),
    "a figure that is none": '{"test": {"rate": 1.25}}',
    "a split that is none": '{"test": [1]}',
    "reasons that are none": '{"left_out": {"test": {"knn": 3}}}',
    "deep nesting": '{"test": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep nesting in a note": raw("note", "[" * 100_000 + "]" * 100_000),
    "a list": "[]",
    "cut short": figure()[:30],
    "no text": "\x00\x01",
    "empty": "",
}


@pytest.mark.parametrize("damage", EVALUATIONS)
def test_a_damaged_evaluation_is_one_line_everywhere(run, command, monkeypatch, damage):
    monkeypatch.setattr("zoo.cli.app.load_tensorflow", lambda: None)
    run.evaluation.write_text(EVALUATIONS[damage])
    for look in (run.evaluated, lambda: run.figures("test"), lambda: run.left_out("test")):
        with pytest.raises(
            RunError,
            match=r"evaluation\.json: is damaged \(.+\); remove it, .* anew$",
        ):
            look()
    for arguments in (
        ["report", run.path, "--to", run.path.parent / "report"],
        ["doctor", run.path],
        ["export", run.path],
    ):
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), (arguments, err)
        assert "evaluation.json: is damaged" in err and len(err) < 1000


ENVIRONMENTS = {
    "a list": "[]",
    "a version that is no text": '{"zoo": 3}',
    "another package's": '{"tensorflow-probability": ["x"]}',
    "modules that are none": '{"modules": []}',
    "a folder that is none": '{"modules": {"own": 3}}',
    "deep nesting": '{"modules": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a huge integer": '{"cores": 1' + "0" * 5000 + "}",
    "no text": "\x00",
    "empty": "",
}


@pytest.mark.parametrize("damage", ENVIRONMENTS)
def test_a_damaged_environment_is_one_line(run, command, damage):
    run.environment.write_text(ENVIRONMENTS[damage])
    with pytest.raises(
        RunError, match=r"environment\.json: is damaged \(.+\); put it back: it says .* into another run$"
    ):
        run.read(run.environment)
    code, out, err = command("export", run.path)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "environment.json: is damaged" in err and len(err) < 1000
    # What else is read of the run is not hidden by it.
    assert run.experiment().train.epochs


def test_what_was_written_is_read_as_it_was(run):
    written = {"test": {"rate": FIGURE, "elbo": {"value": -3, "unit": "nats", "examples": 1}}}
    run.evaluation.write_text(json.dumps({**written, "left_out": {"test": {"knn": "no labels"}}}))
    assert run.evaluated() == written and run.left_out("test") == {"knn": "no labels"}
    assert run.read(run.environment) == json.loads(run.environment.read_text())
    run.evaluation.unlink()
    assert run.evaluated() == {} and run.left_out("test") == {}


def test_what_a_later_version_adds_is_passed_over(run):
    run.evaluation.write_text(json.dumps({"test": {"rate": {**FIGURE, "median": 1.0}}}))
    assert run.figures("test") == {"rate": FIGURE}
    known = json.loads(run.environment.read_text())
    run.environment.write_text(json.dumps({**known, "devices": ["a", {"b": 1}]}))
    assert run.read(run.environment)["devices"] == ["a", {"b": 1}]


def test_an_error_that_is_no_number_is_not_written(run):
    write_evaluation(run, "test", {"rate": {**FIGURE, "error": float(np.inf)}})
    assert run.figures("test") == {"rate": {**FIGURE, "error": None}}


def test_a_figure_that_has_changed_is_damage(run):
    write_evaluation(run, "test", {"rate": FIGURE}, {"knn": "no labels"})
    whole = run.evaluation.read_text()
    for change in ("1.25 1.26", "300 301", "test tess", "labels label", "knn kNn"):
        run.evaluation.write_text(whole.replace(*change.split()))
        with pytest.raises(RunError, match=r"evaluation\.json: is damaged \(its checksum does not match\)"):
            run.evaluated()
    # What is only written otherwise is not.
    run.evaluation.write_text(json.dumps(json.loads(whole), sort_keys=True))
    assert run.evaluated() == {"test": {"rate": FIGURE}} and run.left_out("test") == {"knn": "no labels"}
    write_evaluation(run, "train", {"rate": FIGURE})
    assert set(run.evaluated()) == {"test", "train"}


# Hidden folders of other targets, one of which is called `run.more`; a visible one, and one that is not half written.
OTHERS = (".other.abcdefgh.partial", ".run.more.abcdefgh.partial", "run.abcdefgh.partial", ".run.abcdefgh")


def test_what_a_kill_left_of_making_a_run_is_cleared(run):
    others = [run.path.parent / name for name in OTHERS]
    left = [run.path.parent / name for name in (".run.abcdefgh.partial", ".run.y_9a0b1c.partial")]
    experiment = run.experiment()
    for again in (run.clear, lambda: RunDirectory.create(run.path, experiment)):
        for folder in (*left, *others):
            folder.mkdir(exist_ok=True)
            (folder / "half").write_text("half")
        again()
        assert not any(folder.exists() for folder in left) and all((folder / "half").exists() for folder in others)
        for path in run.path.iterdir():
            path.unlink()
