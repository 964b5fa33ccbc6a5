"""`zoo tune`: what is wrong with its arguments and files is said in one line, before TensorFlow is loaded."""

import json

import pytest
import yaml

from zoo.experiments import configurations, objectives, space_file
from zoo.experiments.run_directory import RunError
from zoo.experiments.schema import ConfigurationError
from zoo.experiments.search_directory import SearchDirectory, Trial, best

SPACE = "model.beta: {float: [0.1, 2.0], log: true}"


@pytest.fixture
def tune(command, monkeypatch, tmp_path):
    """`zoo tune digits/vae --space SPACE --directory DIR …` without TensorFlow: its line on standard error."""

    def loaded():
        raise AssertionError("TensorFlow is loaded")

    monkeypatch.setattr("zoo.cli.searches.load_tensorflow", loaded)

    def call(*arguments, space=SPACE, config=("digits/vae",), directory=tmp_path / "search"):
        (tmp_path / "space.yaml").write_text(space, encoding="utf-8")
        given = [*config, "--space", tmp_path / "space.yaml"] if config else []
        code, out, error = command("tune", *given, "--directory", directory, *arguments)
        assert code == 2 and out == "" and error.count("\n") == 1
        return error

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "mutual_informatio"], "objective: no 'mutual_informatio'; did you mean 'mutual_information'?"),
        (["--objective", "rate"], "rate may be wanted high or low; give rate:min or rate:max"),
        (["--objective", "elbo:up"], "no direction 'up'; give elbo:min or elbo:max"),
        (["--tuner", "bayes"], "--tuner: no 'bayes'; did you mean 'bayesian'?"),
        (["--max-trials", "0"], "--max-trials"),
        (["--epochs", "0"], "--epochs"),
        (["--set", "train.epoch=3"], "train.epoch"),
        (["--best", "best.txt"], "must end in .yaml"),
        (["--best", "nowhere/best.yaml"], "no such folder nowhere"),
    ],
)
def test_arguments(tune, arguments, message):
    assert message in tune(*arguments)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("", "space: empty"),
        ("{}", "space: empty"),
        ("model.beta:\n  - [0, 1", "line 2"),
        ("train.optimizer.learning_rat: {float: [0.1, 1]}", "did you mean 'train.optimizer.learning_rate'"),
        ("data.train: {choice: [a]}", "no key 'data.train'"),
        ("3: {choice: [a]}", "no key 3"),
        ("model.beta: [0.1, 2.0]", "model.beta: must be {choice: [a, b]}"),
        ("model.beta: {}", "must be one of"),
        ("model.beta: {choice: [1], int: [1, 2]}", "must be one of"),
        ("model.beta: {flot: [0.1, 1]}", "flot: no such key; did you mean 'float'?"),
        ("model.beta: {float: [0.1]}", "model.beta: float"),
        ("model.beta: {float: [2, 1]}", "the range [2.0, 1.0] is empty"),
        ("model.beta: {float: [.nan, 1]}", "must be a finite number"),
        ("model.latent_dim: {int: [2, 8.5]}", "must be a valid integer, got 8.5"),
        ("model.beta: {float: [1, 2], log: true, step: 1}", "step: a range with log has none"),
        ("model.beta: {choice: [1, 2], log: true}", "log and step: only of int and float"),
        ("model.beta: {choice: []}", "the list of choices is empty"),
        ("model.method: {choice: {vae: 3}}", "model.method=vae: must be a mapping of keys"),
        ("model.method: {choice: {vae: {train.epoch: {int: [1, 2]}}}}", "model.method=vae: no key 'train.epoch'"),
    ],
)
def test_spaces(tune, space, message):
    assert message in tune(space=space)


def test_directories(tune, tmp_path):
    assert "no such configuration" in tune(config=["digits/va"])
    assert "needs a CONFIG" in tune(config=())
    assert "not the directory of a search" in tune("--resume")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "exists and is not a search" in tune(directory=tmp_path / "full")
    assert "cannot be written" in tune(directory=tmp_path / "full" / "file" / "search")
    assert not (tmp_path / "search").exists()


def test_a_search_that_is_there(tune, command, tmp_path):
    place = searched(tmp_path / "search")
    assert "holds a search already; go on with it by --resume" in tune()
    for arguments, message in (
        (["--tuner", "grid"], "is another search: tuner is 'random' there, 'grid' here"),
        (["--objective", "elbo"], "objective is 'mutual_information' there, 'elbo' here"),
        (["--objective", "mutual_information:min"], "direction is 'max' there, 'min' here"),
        (["--seed", "3"], "seed is 0 there, 3 here"),
        (["--epochs", "3"], "another configuration: train.epochs is 20 there, 3 here"),
    ):
        assert message in tune("--resume", *arguments)
    assert "space is" in tune("--resume", space="model.beta: {float: [0.1, 3.0]}")
    assert "a resumed search keeps its own" in tune("--resume", "--epochs", "3", config=())

    # All its trials have ended: the table, without TensorFlow.
    code, out, error = command("tune", "--resume", "--directory", place.path)
    assert code == 0 and "already searched: 3 trials" in error and "trial 2 failed: diverged" in error
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert head == ["trial", "mutual_information", "epochs", "model.beta", "run"]
    assert [row[:4] for row in rows] == [["3", "2.5", "20", "0.7"], ["1", "1.25", "20", "0.5"]]

    place.trials.write_text("[{}]", encoding="utf-8")
    assert "is damaged; remove it" in tune("--resume", config=())
    place.search.write_text("tuner: 3", encoding="utf-8")
    assert "is damaged; begin the search anew" in tune("--resume", config=())


def searched(path):
    """The directory of a search of three trials that have ended, the second one badly."""
    from zoo.experiments.search_directory import Search

    experiment = configurations.load("digits/vae", resolve=False)
    what = {"tuner": "random", "objective": "mutual_information", "direction": "max", "max_trials": 3, "seed": 0}
    more = {"nll_samples": 100, "space": yaml.safe_load(SPACE), "folders": [str(one) for one in experiment.folders]}
    place = SearchDirectory(path)
    place.create(Search(**what, **more, configuration=experiment.model_dump()))
    ended = [("completed", 0.5, 1.25, ""), ("failed", 0.6, None, "diverged"), ("completed", 0.7, 2.5, "")]
    place.record(
        [
            Trial(number=i, values={"model.beta": beta}, status=status, score=score, message=text)
            for i, (status, beta, score, text) in enumerate(ended, 1)
        ]
    )
    return place


def test_ranges_of_a_file():
    content = yaml.safe_load(
        """
        train.optimizer.learning_rate: {float: [1e-4, 1], log: true}
        train.kl_warmup: {int: [0, 3]}
        model.latent_dim: {int: [8, 32], step: 8}
        model.gamma: {float: [0, 2], step: 0.5}
        model.temperature: {choice: [1e-1, 0.2]}
        model.method: {choice: {vae: {}, contrastive: {model.gamma: {float: [0, 1]}}}}
        """
    )
    experiment = configurations.load("digits/vae", resolve=False)
    assert space_file.ranges(content, "file", experiment) == {
        "train.optimizer.learning_rate": (1e-4, 1.0, "log"),
        "train.kl_warmup": (0, 3, 1),
        "model.latent_dim": (8, 32, 8),
        "model.gamma": (0.0, 2.0, 0.5),
        "model.temperature": [0.1, 0.2],
        "model.method": {"vae": {}, "contrastive": {"model.gamma": (0.0, 1.0)}},
    }
    with pytest.raises(ConfigurationError, match=r"^file: model\.method=vae: train\.batch_size: .*got 3$"):
        space_file.ranges({"model.method": {"choice": {"vae": {"train.batch_size": 3}}}}, "file", experiment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mutual_information", ("mutual_information", "max")),
        ("nll", ("nll", "min")),
        ("rate:max", ("rate", "max")),
        ("knn_accuracy:min", ("knn_accuracy", "min")),
        ("info_nce:min", ("info_nce", "min")),
        ("consistency_term:min", ("consistency_term", "min")),
    ],
)
def test_objectives(text, expected):
    assert objectives.parse(text) == expected


def test_the_best_come_first(tmp_path):
    place = searched(tmp_path / "search")
    trials = place.recorded()
    assert [trial.number for trial in best(trials, "max")] == [3, 1]
    assert [trial.number for trial in best(trials, "min")] == [1, 3]
    content = json.loads(place.trials.read_text(encoding="utf-8"))
    place.trials.write_text(json.dumps(content[1:]), encoding="utf-8")
    with pytest.raises(RunError, match="is damaged"):
        place.recorded()


def test_the_example_is_a_space(tmp_path):
    from zoo.experiments import tuning

    experiment = configurations.load("digits/vae")
    content = space_file.load(configurations.folder().parent / "examples" / "space.yaml")
    model = tuning.hypermodel(experiment, space_file.ranges(content, "space.yaml", experiment))
    assert [entry.key for entry in model.space] == [*content]
    assert model.space[-1].candidates == ["vae", "contrastive", "consistency+iwae"]
