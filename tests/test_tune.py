"""Searches by `zoo tune`: trials are runs, what is interrupted goes on, and the best trains to the same value."""

import json

import pytest
import yaml

from zoo.experiments import searching
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.search_directory import SearchDirectory

pytestmark = pytest.mark.slow

SPACE = """\
train.optimizer.learning_rate: {float: [1.0e-3, 1.0e-1], log: true}
model.method:
  choice:
    vae: {model.beta: {float: [0.1, 2.0], log: true}}
    contrastive: {model.gamma: {float: [0.1, 10.0], log: true}}
"""
SMALL = [
    "data.train=train[:96]",
    "data.validation=validation[:64]",
    "data.test=test[:64]",
    "model.network={name: mlp, depth: 1, width: 8}",
    "model.latent_dim=3",
    "train.batch_size=32",
    "watch.pictures=false",
]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.yaml"
    path.write_text(SPACE, encoding="utf-8")
    return path


def arguments(space, tuner, trials, *more):
    small = [word for setting in SMALL for word in ("--set", setting)]
    return ["tune", "digits/vae", "--space", space, "--tuner", tuner, "--max-trials", trials, *small, "--quiet", *more]


def known(path):
    """Of a search's trials, all but the time that they took."""
    return [trial.model_dump(exclude={"seconds"}) for trial in SearchDirectory(path).recorded()]


class Killed(BaseException):
    """What a kill leaves behind: nothing catches it."""


def test_a_search_that_is_killed_ends_as_if_nothing_had_happened(command, monkeypatch, space, tmp_path):
    # Hyperband: five trials of two epochs, then the best of them for four.
    given = arguments(space, "hyperband", 7, "--epochs", 4, "--objective", "mutual_information:max")
    code, out, _ = command(*given, "--directory", tmp_path / "alone", "--best", tmp_path / "best.yaml")
    assert code == 0 and len(out.splitlines()) == 8
    alone = known(tmp_path / "alone")
    assert [trial["values"]["tuner/epochs"] for trial in alone] == [2] * 5 + [4] * 2

    # Killed between the record of a trial and its run, inside a training, before and after an evaluation.
    def killing(name, nth, *, after):
        real, calls = getattr(searching, name), []

        def once(*given, **named):
            calls.append(given)
            if len(calls) == nth and not after:
                raise Killed
            found = real(*given, **named)
            if len(calls) == nth and after:
                raise Killed
            return found

        with monkeypatch.context() as patch:
            patch.setattr(searching, name, once)
            with pytest.raises(Killed):
                command(*first)

    def fitting_killed(trial, experiment):
        import keras

        def kill(epoch, logs):
            if epoch == 2:
                raise Killed

        return [keras.callbacks.LambdaCallback(on_epoch_end=kill)]

    first = [*given, "--directory", tmp_path / "killed"]
    killing("train", 2, after=False)
    first = ["tune", "--resume", "--directory", tmp_path / "killed", "--quiet"]
    killing("evaluate", 1, after=False)
    killing("measured", 2, after=True)
    killing("take_over", 1, after=False)
    with monkeypatch.context() as patch:
        patch.setattr("zoo.cli.trials.Display.watchers", lambda self, *given: fitting_killed(*given))
        with pytest.raises(Killed):
            command(*first)
    code, again, error = command(*first)
    assert code == 0 and "going on after 5 of 7 trials" in error
    assert known(tmp_path / "killed") == alone
    assert again == out.replace("/alone/", "/killed/")
    assert sorted(path.name for path in (tmp_path / "killed").glob("trial-*")) == [
        f"trial-{i:03d}" for i in range(1, 8)
    ]
    for i in range(1, 8):
        runs = [SearchDirectory(tmp_path / name).run(i) for name in ("alone", "killed")]
        assert runs[0].metrics.read_text() == runs[1].metrics.read_text()


def test_trials_are_runs_and_the_best_trains_to_the_same_value(command, space, tmp_path):
    given = arguments(space, "hyperband", 6, "--epochs", 4, "--objective", "mutual_information:max")
    code, _, _ = command(*given, "--directory", tmp_path / "search", "--best", tmp_path / "best.yaml")
    assert code == 0
    trials = known(tmp_path / "search")
    runs = [tmp_path / "search" / f"trial-00{i}" for i in (1, 6)]
    for run in runs:
        assert command("evaluate", run, "--quiet")[0] == 0
        assert command("doctor", run)[0] in {0, 1}
    assert command("report", *runs, "--to", tmp_path / "report")[0] == 0
    assert any(runs[0].glob("events.*"))

    # The sixth trial went on with the weights of another, and is what its configuration gives from the start.
    best = max(trial["score"] for trial in trials)
    for file, score in ((tmp_path / "best.yaml", best), (runs[1] / "config.yaml", trials[5]["score"])):
        run = tmp_path / file.stem
        assert command("train", file, "--run-dir", run, "--quiet")[0] == 0
        code, found, _ = command("evaluate", run, "--split", "validation", "--json", "--quiet")
        assert json.loads(found)["mutual_information"]["value"] == score
    assert RunDirectory(tmp_path / "config").metrics.read_text() == RunDirectory(runs[1]).metrics.read_text()


# Bayesian search draws by its model from the fourth trial on.
@pytest.mark.parametrize(
    ("tuner", "objective", "trials"), [("random", "elbo", 3), ("bayesian", "knn_accuracy", 5), ("grid", "nll", 3)]
)
def test_every_tuner_goes_on_where_it_was(command, space, tmp_path, tuner, objective, trials):
    given = arguments(space, tuner, trials, "--epochs", 1, "--objective", objective, "--nll-samples", 2)
    assert command(*given, "--directory", tmp_path / "alone")[0] == 0
    given[given.index("--max-trials") + 1] = trials - 1
    assert command(*given, "--directory", tmp_path / "two")[0] == 0
    place = SearchDirectory(tmp_path / "two")
    # The runs alone are enough.
    place.trials.unlink()
    assert command("tune", "--resume", "--directory", place.path, "--max-trials", trials, "--quiet")[0] == 0
    assert known(place.path) == known(tmp_path / "alone")
    run = RunDirectory(place.path / "trial-002")
    assert run.figures("validation")[objective]["value"] == known(place.path)[1]["score"]


def test_a_trial_that_diverges_is_one_of_the_trials(command, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("train.optimizer.learning_rate: {choice: [1.0e+30, 0.01]}", encoding="utf-8")
    given = arguments(space, "grid", 5, "--epochs", 1, "--set", "train.clip_norm=null")
    code, out, error = command(*given, "--directory", tmp_path / "search")
    trials = known(tmp_path / "search")
    assert sorted(trial["status"] for trial in trials) == ["completed", "failed"]
    assert code == 0 and len(out.splitlines()) == 2
    assert "failed: epoch 1, step 2" in error and "2 trials: the space has no more" in error


@pytest.mark.parametrize(
    ("space", "more", "message"),
    [
        ({"model.bet": {"choice": [1]}}, (), "no key 'model.bet'; did you mean 'model.beta'?"),
        ({"model.gamma": {"choice": [1]}}, (), "no key 'model.gamma'"),
        ({"model.beta": {"choice": [1, -1]}}, (), "must be a finite number of at least 0"),
        ({"train.epochs": {"int": [1, 3]}}, ("--tuner", "hyperband"), "train.epochs is set by hyperband"),
        ({"model.beta": {"choice": [1, 2]}}, ("--objective", "info_nce:min"), "objective: info_nce is no term of vae"),
    ],
)
def test_mistakes_that_need_the_classes_are_one_line_and_leave_nothing(command, tmp_path, space, more, message):
    file = tmp_path / "space.yaml"
    file.write_text(yaml.safe_dump(space), encoding="utf-8")
    code, _, error = command(*arguments(file, "random", 2, "--epochs", 1), *more, "--directory", tmp_path / "search")
    assert code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "search").exists()
