"""Runs that are damaged, of another version, or being trained by another process: one line each, and nothing lost."""

import errno
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zoo import experiments
from zoo.experiments import configurations, fitting
from zoo.experiments.evaluation import evaluate, write_evaluation
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.training import metrics_file

pytestmark = pytest.mark.slow

SMALL = ["model.network={name: mlp, width: 8, depth: 1}", "data.train=train[:128]", "train.epochs=2"]
SMALL += ["watch.pictures=false"]
FIGURE = {"value": 1.25, "unit": "nats", "examples": 300, "note": ""}


def experiment():
    return configurations.load("digits/vae", SMALL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "vae")
    experiments.train(experiment(), directory, quiet=True)
    return directory.path


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def empty(tmp_path):
    return RunDirectory.create(tmp_path / "empty", experiment())


def of_version(directory, version):
    known = json.loads(directory.environment.read_text())
    directory.environment.write_text(json.dumps({**known, "zoo": version}))


# Of a model's file.


def rezip(path, **changes):
    """Writes a `.keras` file again with parts changed, or left out where they are None."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    parts |= {name.replace("_json", ".json").replace("_h5", ".h5"): content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            if content is not None:
                file.writestr(name, content)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place(content)] ^= 0xFF
    path.write_bytes(content)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no model"),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:3000]),
    "without config.json": lambda path: rezip(path, config_json=None),
    "without weights": lambda path: rezip(path, **{"model.weights_h5": None}),
    "no configuration": lambda path: rezip(path, config_json=b"{}"),
    "a torn configuration": lambda path: rezip(path, config_json=b'{"class_name": '),
    "a byte of the configuration": lambda path: flip(path, lambda content: content.index(b"class_name")),
    "a byte of the weights": lambda path: flip(path, lambda content: content.index(b"\x89HDF") + 5000),
    "a byte of the contents": lambda path: flip(path, lambda content: content.rindex(b"PK\x01\x02") + 10),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_said_to_be(copy, damage):
    from zoo.doctor.examination import examine_model

    DAMAGES[damage](copy.model)
    with pytest.raises(RunError, match=r"model\.keras: is damaged; write it anew .* --resume \S+$") as caught:
        experiments.load_model(copy)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=r"model\.keras: is damaged; no whole \.keras file$"):
        examine_model(copy.model, experiment())


FORGED = ["../../evil", "/etc/evil", "assets/../../evil", "config.json/", "a" * 60_000, "[/bold]", "a\nb", "assets\\x"]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_name_in_a_model_is_one_line(copy, command, name):
    with zipfile.ZipFile(copy.model, "a") as file:
        file.writestr(name, b"x")
    code, out, err = command("doctor", copy.model, "--data", "digits/vae")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "model.keras: is damaged or forged: it holds '" in err and len(err) < 500


def test_every_command_says_so(command, copy):
    DAMAGES["without config.json"](copy.model)
    commands = [["evaluate", copy.path, "--quiet"], ["plot", "samples", copy.path], ["export", copy.path]]
    commands += [["doctor", copy.path], ["doctor", copy.model, "--data", "digits/vae"]]
    for arguments in commands:
        code, out, err = command(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert "model.keras: is damaged" in err


def test_a_whole_file_that_does_not_load_is_not_called_damaged(copy):
    with zipfile.ZipFile(copy.model) as file:
        config = file.read("config.json")
    rezip(copy.model, config_json=config.replace(b'"latent_dim"', b'"latent_dam"'))
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded: .*VAE.* could not be deserialized") as caught:
        experiments.load_model(copy)
    assert "\n" not in str(caught.value)


# Of JSON files.


@pytest.mark.parametrize(
    "content", ["[]", "null", '"x"', "{", '{"test": []}', '{"test": null}', '{"test": {"rate": 3}}',
                '{"test": {"rate": {}}}', '{"left_out": {"test": "no"}}', '{"left_out": {"test": {"knn": 3}}}'],
)  # fmt: skip
def test_an_evaluation_of_another_form_is_damaged(tmp_path, content):
    directory = empty(tmp_path)
    directory.evaluation.write_text(content)
    for look in (lambda: directory.read(directory.evaluation), lambda: directory.figures("test")):
        with pytest.raises(RunError, match=r"evaluation\.json: is damaged \(.+\); .*anew$"):
            look()


def test_an_environment_of_another_form_is_damaged(tmp_path):
    directory = empty(tmp_path)
    directory.environment.write_text("[]")
    with pytest.raises(RunError, match=r"environment\.json: is damaged \("):
        directory.read(directory.environment)
    # So what the run was made with is not known.
    with pytest.raises(RunError, match=r"environment\.json: is damaged \("):
        directory.check_same(experiment())
    # What else is wrong is not hidden by it.
    directory.config.write_text("model: 3")
    with pytest.raises(ValueError, match="data: missing"):
        directory.experiment()


@pytest.mark.parametrize("line", ["[1]", "3", "null", "{}", '{"epoch": "2"}', '{"epoch": 2'])
def test_a_line_of_metrics_of_another_form_is_cut_short(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    good = {"epoch": 1, "loss": 2.0}
    path.write_text(f'{json.dumps(good)}\n{line}\n{{"epoch": 3}}\n')
    assert metrics_file.rows(path) == [good]
    assert metrics_file.rewrite(path, [good])
    assert path.read_text() == json.dumps(good) + "\n"


# Of another version.


def test_a_configuration_of_another_version_names_both(command, copy):
    copy.config.write_text(copy.config.read_text().replace("model:", "model:\n  future: 3"))
    write_evaluation(copy, "test", {"rate": FIGURE})
    of_version(copy, "2.0.0")
    words = "was written by version 2.0.0 of the zoo, and version 0.1.0 cannot load it: "
    for arguments in (["plot", "samples"], ["export"], ["evaluate"], ["doctor"], ["train", "--resume"]):
        code, out, err = command(*arguments, copy.path)
        assert (code, out) == (2, ""), arguments
        line = err.splitlines()[-1]
        assert line.count(words) == 1 and "future" in line, arguments


def test_a_model_of_another_version_names_both(copy, monkeypatch):
    monkeypatch.setattr("keras.saving.load_model", lambda *_, **__: {}["an object of the future"])
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded: 'an object of the future'$"):
        experiments.export_run(copy.path)
    of_version(copy, "2.0.0")
    with pytest.raises(
        RunError, match=r"version 2\.0\.0 of the zoo, and .* cannot load it: .*an object of the future'$"
    ):
        experiments.export_run(copy.path)
    # A file that is damaged is no matter of versions.
    copy.model.write_bytes(b"")
    with pytest.raises(RunError, match=r"model\.keras: is damaged"):
        experiments.export_run(copy.path)


# Being trained.

HOLD = """
import sys, time
from pathlib import Path
from zoo.experiments.run_directory import RunDirectory

with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def content(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_two_processes_do_not_train_into_one_directory(copy, monkeypatch):
    copy.model.unlink()
    shutil.rmtree(copy.checkpoints / "epoch-0002")
    command = [sys.executable, "-c", HOLD, str(copy.path), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        before = content(copy.path)
        with monkeypatch.context() as patch, pytest.raises(RunError, match="is being trained by another process") as no:
            patch.setattr(fitting, "restore", lambda *_: pytest.fail("something was read"))
            experiments.train(experiment(), copy, resume=True, quiet=True)
        assert "\n" not in str(no.value) and content(copy.path) == before
        holder.send_signal(signal.SIGKILL)
    experiments.train(experiment(), copy, resume=True, quiet=True)
    assert [row["epoch"] for row in metrics_file.rows(copy.metrics)] == [1, 2] and copy.model.is_file()


@pytest.mark.parametrize("resume", [False, True])
def test_a_training_holds_the_lock_to_its_end(trained, tmp_path, monkeypatch, resume):
    directory = RunDirectory(tmp_path / "run")
    if resume:
        shutil.copytree(trained, directory.path)
        directory.model.unlink()
    tries = []

    def save(model, path):
        command = [sys.executable, "-c", HOLD, str(path.parent), "0"]
        tries.append(subprocess.run(command, capture_output=True, text=True, check=False).stderr)

    monkeypatch.setattr(fitting, "save_model", save)
    experiments.train(experiment(), directory, resume=resume, quiet=True)
    assert len(tries) == 1 and "is being trained by another process" in tries[0]
    with directory.locked():
        pass


def test_where_the_file_system_knows_no_locks_a_run_can_be_trained(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with empty(tmp_path).locked():
        pass


def test_a_training_is_in_nobodys_way_but_a_trainings(copy):
    with copy.locked():
        found, _ = evaluate(copy.path, only=("knn",))
        experiments.export_run(copy.path)
    assert set(found) == {"knn_accuracy"}
    with pytest.raises(RunError, match="cannot be written"), RunDirectory(Path("/nowhere/run")).locked():
        pass


# What was left out.


def test_reasons_stand_beside_the_figures_until_there_is_a_figure(copy, monkeypatch):
    monkeypatch.setattr("zoo.metrics.knn_accuracy", lambda *_, **__: float("nan"))

    def refuse(*_):
        raise ValueError("no machine here")

    monkeypatch.setattr("zoo.metrics.svm_accuracy", refuse)
    monkeypatch.setattr("zoo.experiments.measures.accuracy_error", lambda *_: None)
    evaluate(copy.path, only=("knn", "linear", "svm"))
    reasons = {"svm": "no machine here", "knn_accuracy": "is nan on these images"}
    assert copy.left_out("test") == reasons
    assert set(copy.figures("test")) == {"linear_accuracy", "linear_accuracy_100"}
    assert set(copy.evaluated()) == {"test"} and copy.left_out("validation") == copy.figures("validation") == {}
    # Another split, and other groups, leave them as they are.
    evaluate(copy.path, "validation", only=("linear", "svm"))
    evaluate(copy.path, only=("softmax",))
    assert copy.left_out("test") == reasons and copy.left_out("validation") == {"svm": "no machine here"}
    assert "no machine" not in (experiments.export_run(copy.path) / "README.md").read_text()
    monkeypatch.undo()
    evaluate(copy.path, only=("knn",))
    assert copy.left_out("test") == {"svm": "no machine here"}
    evaluate(copy.path, only=("svm",))
    assert copy.left_out("test") == {} and copy.left_out("validation") == {"svm": "no machine here"}
    assert set(copy.read(copy.evaluation)["left_out"]) == {"validation"}
    probes = {f"{name}_accuracy" for name in ("knn", "linear", "softmax", "svm")}
    assert set(copy.figures("test")) == {*probes, "linear_accuracy_100"}


def test_a_figure_that_is_no_number_any_more_is_taken_out(tmp_path):
    directory = empty(tmp_path)
    write_evaluation(directory, "test", {"rate": FIGURE, "elbo": FIGURE})
    assert directory.evaluated() == {"test": {"rate": FIGURE, "elbo": FIGURE}}
    write_evaluation(directory, "test", {}, {"terms": None, "rate": "is nan on these images"})
    assert directory.evaluated() == {"test": {"elbo": FIGURE}}
    write_evaluation(directory, "test", {"rate": FIGURE}, {"terms": None})
    assert directory.evaluated() == {"test": {"elbo": FIGURE, "rate": FIGURE}}
