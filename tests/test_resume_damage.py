"""What a resume depends on lies in the checkpoint under one checksum: damage beside it, or in it, changes nothing."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.schema import ConfigurationError
from zoo.training import checkpoints, metrics_file
from zoo.training.callbacks import checkpoint

pytestmark = pytest.mark.slow

# The plateau acts, so that what it is replayed from matters to the weights.
SETTINGS = [
    "data.train=train[:128]",
    "data.validation=validation[:32]",
    "model.network={name: mlp, width: 8, depth: 1}",
    "model.beta={name: linear, start: 0.0, end: 9.0, epochs: 5}",
    "train.epochs=5",
    "train.schedule={name: plateau, patience: 1, factor: 0.5}",
    "train.optimizer.learning_rate=0.00001",
    "watch.pictures=false",
    "watch.images=32",
]


def train(path, resume=False):
    said = []
    experiment = configurations.load("digits/vae", SETTINGS)
    model = experiments.train(experiment, RunDirectory(path), resume=resume, quiet=True, announce=said.append)
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)], said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    weights, _ = train(path)
    return path, weights


@pytest.fixture
def interrupted(whole, tmp_path):
    """As a kill in the fifth epoch's checkpoint leaves it: four epochs are saved, and five lines are written."""
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(whole[0], run.path)
    shutil.rmtree(run.checkpoints / "epoch-0005")
    run.model.unlink()
    return run


def assert_ends_alike(run, whole):
    """Resumes the run; what was said on the way, but for where it goes on."""
    path, weights = whole
    found, said = train(run.path, resume=True)
    for mine, theirs in zip(found, weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert run.metrics.read_bytes() == (path / "metrics.jsonl").read_bytes()
    assert not any("\n" in line for line in said)
    *said, last = said
    assert last.startswith(("resuming after epoch ", "from the start: no checkpoint yet"))
    return said


def test_the_plateau_has_acted(whole):
    assert len({row["learning_rate"] for row in metrics_file.rows(whole[0] / "metrics.jsonl")}) > 1


def edited(line, name, change):
    row = json.loads(line)
    return json.dumps({**row, name: change(row[name])}) + "\n"


LINES = {
    "the last line is lost": lambda lines: lines[:3],
    "the second line is lost": lambda lines: [lines[0], *lines[2:]],
    "a blank line": lambda lines: [*lines[:2], "\n", *lines[2:]],
    "a line is there twice": lambda lines: [lines[0], *lines],
    "two lines change places": lambda lines: [lines[1], lines[0], *lines[2:]],
    "a digit of a loss": lambda lines: [edited(lines[0], "loss", lambda loss: loss / 2), *lines[1:]],
    "another epoch": lambda lines: [edited(lines[0], "epoch", lambda epoch: epoch + 1), *lines[1:]],
    "cut short": lambda lines: [*lines[:1], lines[1][:20]],
    "no numbers": lambda lines: [edited(lines[0], "loss", lambda loss: None), *lines[1:]],
    "empty": lambda lines: [],
}


@pytest.mark.parametrize("damage", LINES)
def test_a_damaged_metrics_file_is_written_anew(interrupted, whole, damage):
    lines = interrupted.metrics.read_text().splitlines(keepends=True)
    interrupted.metrics.write_text("".join(LINES[damage](lines)))
    (line,) = assert_ends_alike(interrupted, whole)
    assert "metrics.jsonl does not fit the checkpoint of epoch 4; it is written anew" in line


def test_a_deleted_one_too(interrupted, whole):
    interrupted.metrics.unlink()
    assert len(assert_ends_alike(interrupted, whole)) == 1


@pytest.mark.parametrize("more", ["", '{"epoch": 5, "lo', "\n\n", "\x00\x00"])
def test_what_goes_beyond_the_checkpoint_is_no_damage(interrupted, whole, more):
    lines = interrupted.metrics.read_text().splitlines(keepends=True)
    interrupted.metrics.write_text("".join(lines[:4]) + more)
    assert assert_ends_alike(interrupted, whole) == []


STATES = {
    **{f"epoch {epoch}": {"epoch": epoch} for epoch in (0, 3, 5, 6, 9, "4", 4.0, None)},
    "rows": {"rows": []},
    "no rows": {"rows": ...},
    "seeds": {"seeds": [[1, 2]]},
    "checksum": {"sha256": "0" * 64},
}


@pytest.mark.parametrize("damage", STATES)
def test_a_changed_state_is_damage(interrupted, damage):
    """So the checkpoint is passed over, and the one before, if there is one, taken."""
    path = interrupted.checkpoints / "epoch-0004" / checkpoint.STATE
    state = json.loads(path.read_text()) | STATES[damage]
    path.write_text(json.dumps({name: value for name, value in state.items() if value is not ...}))
    with pytest.raises((ValueError, TypeError)):
        checkpoints.read(path.parent)


@pytest.mark.parametrize("content", ["", "[]", "3", "null", "{}", "[" * 100_000, '{"sha256": ' + "9" * 5000 + "}"])
def test_a_state_of_another_form_is_damage(interrupted, content):
    (interrupted.checkpoints / "epoch-0004" / checkpoint.STATE).write_text(content)
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError, RecursionError)):
        checkpoints.read(interrupted.checkpoints / "epoch-0004")


def test_without_a_good_checkpoint_a_run_starts_again_and_ends_alike(interrupted, whole):
    (interrupted.checkpoints / "epoch-0004" / checkpoint.STATE).write_text("[" * 100_000)
    interrupted.metrics.write_text("no metrics")
    said = assert_ends_alike(interrupted, whole)
    assert "epoch-0004 is damaged" in said[0] and "no good checkpoint is left" in said[1]


def test_no_flipped_bit_is_taken_for_something_else(interrupted):
    folder = interrupted.checkpoints / "epoch-0004"
    state, weights = checkpoints.read(folder)
    text = (folder / checkpoint.STATE).read_bytes()
    for place in np.random.default_rng(0).choice(len(text), 300, replace=False):
        changed = bytearray(text)
        changed[place] ^= 1 << int(place % 8)
        (folder / checkpoint.STATE).write_bytes(changed)
        try:
            found = checkpoints.read(folder)
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        # Another kind of space between two values, say.
        assert found == (state, weights)


def test_a_checkpoint_under_another_name_is_damaged(interrupted):
    (interrupted.checkpoints / "epoch-0004").rename(interrupted.checkpoints / "epoch-0003")
    with pytest.raises(ValueError, match="says that it is of epoch 4"):
        checkpoints.read(interrupted.checkpoints / "epoch-0003")


def age(folder):
    """As an earlier version of the zoo wrote a checkpoint: without rows, and with a checksum of the weights alone."""
    state = json.loads((folder / checkpoint.STATE).read_text())
    del state["rows"]
    state["sha256"] = hashlib.sha256((folder / checkpoint.WEIGHTS).read_bytes()).hexdigest()
    (folder / checkpoint.STATE).write_text(json.dumps(state))


def test_a_checkpoint_of_an_earlier_version_is_taken_with_a_note(interrupted, whole):
    age(interrupted.checkpoints / "epoch-0004")
    (line,) = assert_ends_alike(interrupted, whole)
    assert "epoch 4 is of an earlier version of the zoo" in line


@pytest.mark.parametrize("damage", ["the last line is lost", "the second line is lost", "a blank line", "empty"])
def test_but_not_without_the_lines_that_it_needs(interrupted, damage):
    age(interrupted.checkpoints / "epoch-0004")
    lines = interrupted.metrics.read_text().splitlines(keepends=True)
    interrupted.metrics.write_text("".join(LINES[damage](lines)))
    before = interrupted.metrics.read_bytes()
    with pytest.raises(RunError, match="earlier version of the zoo and needs its 4 lines") as refused:
        train(interrupted.path, resume=True)
    assert "\n" not in str(refused.value) and interrupted.metrics.read_bytes() == before


def test_what_a_kill_left_behind_is_cleared(interrupted, whole):
    run, projector = interrupted, interrupted.tensorboard / "projector"
    left = [run.path / ".model.keras.ab.partial", run.path / ".metrics.jsonl.ab.partial"]
    left += [run.checkpoints / ".epoch-0005.ab.partial", projector / ".codes.tsv.ab.partial"]
    # These may be written now.
    others = [run.path / ".evaluation.json.ab.partial", run.path / ".export.ab.partial"]
    for folder in (*left, *others):
        folder.mkdir()
        (folder / "half").write_text("half")
    for epoch in (2, 3):
        shutil.copytree(run.checkpoints / "epoch-0004", run.checkpoints / f"epoch-000{epoch}")
    assert_ends_alike(run, whole)
    assert not any(folder.exists() for folder in left) and all(folder.exists() for folder in others)
    assert [path.name for path in checkpoints.checkpoints(run.checkpoints)] == ["epoch-0004", "epoch-0005"]


def test_a_kill_at_the_end_leaves_nothing_to_be_missed(whole, tmp_path):
    """The last epoch was saved; codes for TensorBoard's projector and the model were not."""
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(whole[0], run.path)
    run.model.unlink()
    files = sorted((run.tensorboard / "projector").glob("*.tsv")) + sorted(run.tensorboard.glob("*.pbtxt"))
    assert len(files) == 3
    for file in files[1:]:
        file.unlink()
    shutil.copytree(run.checkpoints / "epoch-0004", run.checkpoints / "epoch-0003")
    assert assert_ends_alike(run, whole) == []
    for file in files:
        assert file.read_bytes() == (whole[0] / file.relative_to(run.path)).read_bytes()
    assert len(checkpoints.checkpoints(run.checkpoints)) == 2 and run.model.is_file()


def changed(run, was, now):
    text = run.config.read_text()
    assert text.count(was) == 1
    run.config.write_text(text.replace(was, now))
    files = sorted(path for path in run.path.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(("was", "now"), [("clip_norm: 5.0", "clip_norm: 7.0"), ("latent_dim: 16", "latent_dim: 36")])
def test_a_changed_configuration_is_refused_and_nothing_touched(interrupted, was, now):
    before = changed(interrupted, was, now)
    # Without the file that would have told before.
    before.pop(interrupted.environment)
    interrupted.environment.unlink()
    says = rf"{now.replace(': ', ' is ')}, and the checkpoint of epoch 4 was trained with {was.split()[1]}; put that"
    experiment = interrupted.experiment(resolve=True)
    with pytest.raises(ConfigurationError, match=says):
        experiments.train(experiment, interrupted, resume=True, quiet=True, announce=pytest.fail)
    assert {path: path.read_bytes() for path in before} == before
