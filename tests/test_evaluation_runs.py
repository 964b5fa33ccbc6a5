"""`zoo evaluate` on runs: what it prints and keeps, other versions of the zoo, and mistakes."""

import json
import shutil

import pytest

from zoo.experiments.configurations import load
from zoo.experiments.evaluation import evaluate
from zoo.experiments.fitting import train
from zoo.experiments.run_directory import RunDirectory, RunError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    settings = [
        "train.epochs=1",
        "data.train=train[:256]",
        "model.network={name: mlp, width: 8}",
        "watch.pictures=false",
    ]
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "vae")
    train(load("digits/vae", settings), run, quiet=True)
    return run.path


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def written_by(run, version):
    known = json.loads(run.environment.read_text())
    run.environment.write_text(json.dumps({**known, "zoo": version}))


def test_the_table_the_json_and_the_file_agree(command, run):
    arguments = ["evaluate", run.path, "--metrics", "terms,information,linear", "--prior-variance", "2"]
    code, out, err = command(*arguments, "--json", "--quiet")
    found = json.loads(out)
    assert code == 0 and err == ""
    assert run.evaluated() == {"test": found}
    assert set(found["rate_per_unit"]) == {"value", "unit", "examples", "note", "error", "values"}
    assert len(found["rate_per_unit"]["values"]) == 16
    assert found["elbo_chosen_prior"]["note"] == "prior variance 2"
    code, out, _ = command(*arguments, "--quiet")
    assert code == 0
    rate = found["rate"]
    assert f"{rate['value']:.4f} ± {rate['error']:.4f}" in out
    assert f" {found['active_units']['value']} " in out and "units of 16" in out
    assert "mutual_information: cannot exceed log n = " in out


def test_the_bar_is_drawn_on_standard_error_alone(command, run):
    code, out, _ = command("evaluate", run.path, "--metrics", "linear", "--json")
    assert code == 0 and set(json.loads(out)) == {"linear_accuracy", "linear_accuracy_100"}


def test_a_run_of_another_version_is_evaluated_and_said_to_be(command, run):
    written_by(run, "0.0.7")
    code, out, err = command("evaluate", run.path, "--metrics", "linear", "--json", "--quiet")
    assert code == 0 and json.loads(out)
    assert err == f"zoo: {run.path}: was written by version 0.0.7 of the zoo; this is version 0.1.0\n"


@pytest.mark.parametrize("damage", ["configuration", "model"])
def test_a_run_of_another_version_that_does_not_load_names_both(run, monkeypatch, damage):
    if damage == "configuration":
        run.config.write_text(run.config.read_text().replace("model:", "model:\n  future: 3"))
    else:
        monkeypatch.setattr("keras.saving.load_model", lambda path, **_: {}["an object of the future"])
    with pytest.raises((ValueError, RunError), match="future"):
        evaluate(run.path)
    written_by(run, "2.0.0")
    with pytest.raises(
        RunError, match=r"version 2\.0\.0 of the zoo, and version 0\.1\.0 cannot load it: .*future"
    ) as caught:
        evaluate(run.path)
    assert "\n" not in str(caught.value)
    assert not run.evaluation.exists()


def test_a_run_without_versions_is_taken_as_it_is(command, run):
    run.environment.unlink()
    code, _, err = command("evaluate", run.path, "--metrics", "linear", "--quiet")
    assert code == 0 and err == ""


MISTAKES = {
    "a group": (["--metrics", "terms,svn"], "metrics: no 'svn'; did you mean 'svm'? (one of: consistency, "),
    "a split": (["--split", "tset"], "--split: no 'tset'"),
    "a prior": (["--prior-variance", "0"], "--prior-variance: must be positive and finite, got 0"),
    "samples": (["--metrics", "nll"], "nll needs a number of samples"),
    "samples for nothing": (["--metrics", "knn", "--nll-samples", "20"], "nll samples: 20 given (--nll-samples)"),
    "a prior without terms": (["--metrics", "knn", "--prior-variance", "2"], "are among the terms"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(command, trained, mistake):
    arguments, message = MISTAKES[mistake]
    code, out, err = command("evaluate", trained, *arguments, "--quiet")
    assert code == 2 and not out
    assert err.startswith("zoo: ") and err.count("\n") == 1 and message in err


def test_a_run_that_never_finished(command, run):
    run.model.unlink()
    code, _, err = command("evaluate", run.path)
    assert code == 2 and "has no trained model yet" in err and "--resume" in err and err.count("\n") == 1
