"""The command line: both embedded configurations from training to codes, and every mistake in one line."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data import load
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory

pytestmark = pytest.mark.slow


SHORT = ["--set", "train.epochs=2", "--set", "data.train=train[:256]", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of each embedded configuration, two epochs through the command line in a process of its own."""
    runs = {}
    for method in ("vae", "contrastive"):
        path = tmp_path_factory.mktemp("runs") / method
        arguments = [sys.executable, "-m", "zoo", "train", f"digits/{method}", "--run-dir", str(path), *SHORT]
        subprocess.run(arguments, check=True, capture_output=True)
        runs[method] = path
    return runs


@pytest.mark.parametrize("method", ["vae", "contrastive"])
def test_a_run_from_training_to_codes(command, trained, tmp_path, method):
    run = RunDirectory(trained[method])
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(row["elbo"] == pytest.approx(-row["distortion"] - row["rate"], rel=1e-5) for row in rows)
    assert ("info_nce" in rows[0]) == (method == "contrastive")
    assert {"val_mutual_information", "val_active_units", "val_marginal_kl"} <= set(rows[0])
    assert run.environment.is_file() and run.model.is_file() and (run.export / "README.md").is_file()
    assert any(run.tensorboard.glob("events.*"))

    code, out, _ = command("evaluate", run.path, "--json", "--nll-samples", 2, "--nll-images", 8, "--quiet")
    found = json.loads(out)
    assert code == 0
    assert found["nll"]["examples"] == 8 and found["nll"]["unit"] == "nats"
    assert found["mutual_information"]["value"] <= np.log(300)
    assert 0 <= found["knn_accuracy"]["value"] <= 1
    assert json.loads(run.evaluation.read_text())["test"] == found

    code, out, _ = command("export", run.path, "--to", tmp_path / "export")
    assert code == 0 and "mutual_information" in (tmp_path / "export" / "README.md").read_text()
    images = load("digits", "test").images[:10]
    np.save(tmp_path / "images.npy", images)
    codes = tmp_path / "codes.npz"
    code, _, _ = command("encode", tmp_path / "export", tmp_path / "images.npy", "--to", codes, "--quiet")
    assert code == 0 and np.load(codes)["loc"].shape == (10, 16)

    code, _, _ = command("sample", run.path, "--n", 9, "--to", tmp_path / "grid.png")
    assert code == 0 and Image.open(tmp_path / "grid.png").size == (2 * 88, 2 * 88)


def test_the_tensorboard_of_a_run_has_its_tags(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(RunDirectory(trained["contrastive"]).tensorboard))
    events.Reload()
    tags = set(events.Tags()["tensors"])
    objective = ("loss", "distortion", "info_nce", "elbo")
    both = {f"objective/{name} {split}" for name in objective for split in ("train", "validation")}
    assert both | {"information/rate train", "information/rate validation", "recipe/learning_rate"} <= tags
    assert {"information/mutual_information", "information/active_units", "units/rate_per_unit"} <= tags
    assert {f"units/rate_of_unit/{unit}" for unit in ("000", "015")} <= tags
    assert {"pictures/reconstructions", "pictures/samples"} <= tags


def test_listing_names_everything(command):
    code, out, _ = command("list")
    assert code == 0
    for name in ("contrastive", "InfoNCE", "conv", "mlp", "omniglot", "mnist/contrastive"):
        assert name in out


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "contrastive",
            ["gamma        number ≥ 0 or schedule, by default 1.0", "elbo_on      query or original, by default query"],
        ),
        (
            "mlp",
            [
                "width          whole number ≥ 1 and ≤ 65536, by default 512",
                "decoder_depth  whole number ≥ 0 and ≤ 1000 or",
            ],
        ),
        (
            "gaussian",
            ["variance        number > 0, by default 1.0", "scale           shared or each, by default shared"],
        ),
        ("conv", ["none"]),
    ],
)
def test_a_name_is_listed_with_its_hyperparameters(command, name, lines):
    code, out, _ = command("list", name)
    assert code == 0 and out.startswith(f"{name}, a ")
    for line in lines:
        assert f"  {line}" in out
    assert "seed" not in out and "encoder " not in out.partition("Hyperparameters")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["list"],
        ["list", "contrastve"],
        ["train", "mnist/contrastve"],
        ["train", "digits/vae", "--set", "model.method=vea"],
        ["train", "digits/vae", "--set", "model.network=cnv"],
        ["train", "digits/vae", "--set", "model.likelihood=bernuli"],
        ["train", "digits/vae", "--set", "data.name=digit"],
        ["train", "digits/vae", "--set", "train.epoch=1"],
        ["evaluate", "nowhere"],
        ["plot", "histry", "nowhere"],
        ["report", "nowhere"],
        ["reproduce", "--list"],
    ],
    ids=" ".join,
)
def test_help_and_mistakes_do_not_wait_for_tensorflow(arguments):
    code = (
        "import sys\n"
        "sys.argv[0] = 'zoo'\n"
        "from zoo.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


# What is said of each, all without TensorFlow.
EARLY = {
    "train digits/vae --set data.train=trian": "data.train: digits has no split 'trian'; it has train, ",
    "train digits/vae --set train.batch_size=1198": "train.batch_size: 1197 examples do not fill one batch of 1198",
    "train digits/critic --set train.batch_size=1": "1 leaves 'critic' no other image",
    "train own.yaml --set data.path=nowhere.csv": "nowhere.csv does not exist",
    "train own.yaml --set data.label_column=kind": "has no column 'kind'; it has first, label",
    "train own.yaml --set train.batch_size=81": "train.batch_size: 80 examples do not fill one batch of 81",
    "train own.yaml --set data.test=test": "data.test: ",
    "doctor own.yaml --set data.test=test": "data.test: ",
    "train digits/vae --run-dir own.yaml/run": "own.yaml is not a folder",
    "train --resume locked": "locked: is being trained by another process",
    "train --resume nowhere": "nowhere: not the directory of a run",
    "encode export nowhere.npy": "nowhere.npy does not exist",
    "encode export tfds:digit/test": "unknown data set 'digit'; did you mean 'digits'?",
    "encode export own.csv --to nowhere/codes.npz": "no such folder nowhere",
}


def test_mistakes_in_data_and_places_do_not_wait_for_tensorflow(tmp_path):
    (tmp_path / "own.csv").write_text("first,label\n" + "".join(f"{i * i},{i % 2}\n" for i in range(100)))
    data = "{name: files, path: own.csv, label_column: label, train: 'all[:80%]', validation: 'all[80%:]', test: all}"
    (tmp_path / "own.yaml").write_text(f"base: wine/vae\ndata: {data}\n")
    (tmp_path / "export" / "assets.extra").mkdir(parents=True)
    for part in ("saved_model.pb", "assets.extra/card.json"):
        (tmp_path / "export" / part).touch()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "config.yaml").write_text("base: digits/vae\n")
    code = (
        "import shlex, sys\nfrom filelock import FileLock\nsys.argv = ['zoo']\nfrom zoo.cli import main\n"
        f"with FileLock('locked/.lock'):\n    for line in {list(EARLY)!r}:\n"
        "        sys.argv = ['zoo', *shlex.split(line)]\n"
        "        try:\n            main()\n        except SystemExit as end:\n            assert end.code == 2, line\n"
        "        assert not {'tensorflow', 'keras', 'sklearn', 'matplotlib'} & {*sys.modules}, line\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(EARLY) and all(line.startswith("zoo: ") for line in said)
    assert [line for line, wanted in zip(said, EARLY.values(), strict=True) if wanted not in line] == []


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


MISTAKES = {
    "no configuration": (["train"], "CONFIG"),
    "unknown configuration": (["train", "digits/va"], "digits/vae"),
    "unknown key": (["train", "digits/vae", "--set", "train.epoch=1"], "epochs"),
    "unknown strategy": (["train", "digits/vae", "--strategy", "mirored"], "mirrored"),
    "negative seed": (["train", "digits/vae", "--seed", "-1"], "seed"),
    "not a run": (["train", "--resume", "nowhere"], "nowhere"),
    "unknown option": (["train", "digits/vae", "--epoch", "3"], "--epoch"),
    "no epochs": (["train", "digits/vae", "--epochs", "0"], "--epochs"),
    "unknown command": (["trian"], "trian"),
    "not an export": (["encode", "nowhere", "x.npy"], "nowhere"),
    "unknown split": (["train", "digits/vae", "--set", "data.train=training"], "train"),
    "too large a batch": (["train", "digits/vae", "--set", "train.batch_size=2000"], "2000"),
    "two configurations": (["train", "digits/vae", "mnist/vae"], "one CONFIG"),
    "second of two settings": (["train", "digits/vae", "--set", "train.epochs=1", "model.beta=-1"], "model.beta"),
    "not a number": (["train", "digits/vae", "--seed", "abc"], "--seed"),
    "devices for nobody": (["train", "digits/vae", "--logical-devices", "2"], "--strategy mirrored"),
    "an empty part of a key": (["train", "digits/vae", "--set", "..=3"], "key=value"),
    "more than memory": (["train", "digits/vae", "--set", "model.latent_dim=100000000"], "zoo"),
    "network and size": (["train", "digits/vae", "--set", "data.size=30"], "28"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(command, tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    arguments, word = MISTAKES[mistake]
    code, out, err = command(*arguments)
    assert code == 2
    assert word in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())
    assert err.startswith("zoo: ") and err.count("\n") == 1 and not out


BAD_IMAGES = {
    "NaN": (np.full([80, 28, 28, 1], np.nan, np.float32), "NaN"),
    "infinite": (np.full([80, 28, 28, 1], np.inf, np.float32), "inf"),
    "out of the unit interval": (np.full([80, 28, 28, 1], 1.5, np.float32), "1.5"),
    "wrong size": (np.zeros([80, 30, 28, 1], np.uint8), "30"),
    "wrong channels": (np.zeros([80, 28, 28, 2], np.uint8), "2"),
    "wrong rank": (np.zeros([80], np.uint8), "shape"),
    "empty": (np.zeros([0, 28, 28, 1], np.uint8), ""),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(command, tmp_path, name):
    images, word = BAD_IMAGES[name]
    path = tmp_path / "images.npy"
    np.save(path, images)
    config = tmp_path / "own.yaml"
    config.write_text(
        f"data: {{name: files, path: {path}}}\n"
        "model: {method: vae, network: conv, latent_dim: 4, likelihood: bernoulli}\n"
        "train: {batch_size: 8, epochs: 1}\n"
    )
    code, _, err = command("train", config, "--run-dir", tmp_path / "run")
    assert code == 2
    # Reading the file says already what looks strange in it.
    *warned, error = err.splitlines()
    assert error.startswith("zoo: ") and word in error
    assert len(warned) == (name == "out of the unit interval") and all("warning" in line for line in warned)
    assert not (tmp_path / "run").exists()


def test_a_mirrored_run_is_resumed(tmp_path):
    path = tmp_path / "run"
    devices = ["--strategy", "mirrored", "--logical-devices", "2", "--quiet"]
    small = ["--set", "model.network={name: mlp, width: 8}", "--set", "watch.pictures=false"]
    first = ["train", "digits/contrastive", "--run-dir", str(path), *SHORT, *small, *devices]
    subprocess.run([sys.executable, "-m", "zoo", *first], check=True, capture_output=True)
    whole = RunDirectory(path).metrics.read_bytes()
    shutil.rmtree(path / "checkpoints" / "epoch-0002")
    (path / "model.keras").unlink()
    again = ["train", "--resume", str(path), *devices]
    subprocess.run([sys.executable, "-m", "zoo", *again], check=True, capture_output=True)
    assert RunDirectory(path).metrics.read_bytes() == whole
    assert (path / "model.keras").is_file()


def test_damaged_files_of_a_run_are_named(command, trained, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(trained["vae"], run.path)
    run.evaluation.write_text("{")
    code, _, err = command("evaluate", run.path)
    assert code == 2 and "evaluation.json: is damaged" in err and err.count("\n") == 1
    run.model.write_bytes(run.model.read_bytes()[:100])
    code, _, err = command("sample", run.path, "--to", tmp_path / "grid.png")
    assert code == 2 and "model.keras: is damaged" in err and "--resume" in err


def test_an_existing_directory_is_left_alone(command, trained, tmp_path):
    code, _, err = command("train", "digits/vae", "--run-dir", trained["vae"])
    assert code == 2 and "--resume" in err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, _, err = command("train", "digits/vae", "--run-dir", tmp_path / "mine")
    assert code == 2 and "not a run" in err
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_run_of_another_configuration(command, trained):
    code, _, err = command("train", "digits/vae", "--set", "model.beta=2", "--resume", trained["vae"])
    assert code == 2 and "another configuration" in err


def test_labels_that_a_probe_needs(command, trained, tmp_path):
    path = npz(tmp_path / "images.npz", images=load("digits", "train").images[:200])
    config = tmp_path / "own.yaml"
    config.write_text(
        f"data: {{name: files, path: {path}}}\n"
        "model: {method: vae, network: {name: mlp, width: 8}, latent_dim: 4}\n"
        "train: {batch_size: 32, epochs: 1}\n"
    )
    assert command("train", config, "--run-dir", tmp_path / "run", "--quiet")[0] == 0
    code, _, err = command("evaluate", tmp_path / "run", "--metrics", "knn")
    assert code == 2 and "labels" in err and err.count("\n") == 1
    code, out, err = command("evaluate", tmp_path / "run", "--json")
    assert code == 0 and "knn_accuracy" not in json.loads(out) and "no labels" in err


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(command, tmp_path):
    path = tmp_path / "run"
    settings = ["--set", "train.optimizer.learning_rate=1e30", "--set", "train.clip_norm=null"]
    code, _, err = command("train", "digits/vae", "--run-dir", path, *SHORT, *settings)
    assert code == 2
    assert "epoch 1, step" in err and ("distortion" in err or "rate" in err) and "checkpoint" in err
    assert not (path / "model.keras").exists()


def test_the_names_of_configurations_are_those_of_the_files():
    assert "digits/vae" in configurations.names()


@pytest.mark.parametrize(("chosen", "found"), [(None, "1"), ("0", "0")])
def test_the_zoo_turns_onednn_on_and_leaves_a_users_choice(chosen, found):
    surroundings = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    surroundings |= {} if chosen is None else {"TF_ENABLE_ONEDNN_OPTS": chosen}
    code = "import os, sys; sys.argv = ['zoo']; import zoo; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    done = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


def test_the_version_is_said(command):
    code, out, _ = command("--version")
    assert code == 0 and out.strip() == f"zoo {zoo.__version__}"


def test_a_shell_completes_commands_and_configurations():
    for typed, place, known in (("zoo ev", 1, "evaluate"), ("zoo train digits/co", 2, "digits/contrastive")):
        asked = {"_ZOO_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(place)}
        code = "import sys; sys.argv = ['zoo']; from zoo.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
        )
        assert known in done.stdout.split()


def test_an_interruption_is_said(command, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.cli.listing.listing", interrupt)
    assert command("list") == (130, "", "zoo: interrupted\n")
