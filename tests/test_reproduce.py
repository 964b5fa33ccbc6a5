"""A paper's table from its file to its report, and reports on runs of one's own."""

import csv
import json
import re
import shutil
import statistics

import pytest
import yaml

from zoo.doctor.diagnosis import FIGURES
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.search_directory import SearchDirectory
from zoo.papers.entries import Evaluation
from zoo.papers.needs import Needs, needs_of
from zoo.papers.result import relative
from zoo.report.columns import Column

pytestmark = pytest.mark.slow


TABLE = {
    "title": "Two βs on digits",
    "source": "nobody 2026, Table 1",
    "seeds": 3,
    "experiments": {"digits": "digits/vae"},
    "columns": [
        {"metric": "rate", "header": "KL"},
        {"metric": "mutual_information", "header": "MI", "better": "higher"},
        {"metric": "knn_accuracy", "header": "KNN", "better": "higher", "percent": True},
        {"metric": "negative_elbo", "header": "−ELBO", "better": "lower"},
        {"metric": "rate", "header": "train KL", "split": "train"},
        {"metric": "training_factor", "header": "time"},
    ],
    "rows": {
        "VAE": {},
        "β-VAE": {"set": {"model.beta": 20}},
        "Lagging-VAE": {"set": {"model.method": "lagging"}},
    },
    "printed": {"digits": {"VAE": ["11.5 ± 0.5", 4, 90, 80, 12, 1], "Lagging-VAE": [1, 2, 3, 4, 5, 6]}},
    "claims": [{"says": "the VAE informs most", "metric": "mutual_information", "best": "VAE"}],
    "figures": [{"plot": "history", "caption": "Information", "options": {"metric": "mutual_information"}}],
    "small": {
        "seeds": 2,
        "set": {
            "train.epochs": 2,
            "data.train": "train[:256]",
            "model.network": {"name": "mlp", "depth": 1, "width": 32},
        },
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reproduce")
    (path / "t.yaml").write_text(yaml.safe_dump(TABLE, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def reproduce(command, folder):
    def call(*arguments):
        places = ["--runs", folder / "runs", "--to", folder / "report"]
        return command("reproduce", folder / "t.yaml", "--budget", "small", *places, *arguments)

    return call


def tidy(folder):
    with (folder / "report" / "report.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_is_trained_evaluated_and_reported_and_not_trained_twice(reproduce, folder):
    code, out, err = reproduce("--dry-run")
    assert code == 0 and out.count("to be trained") == 4 and not (folder / "runs").exists()

    code, out, err = reproduce("--jobs", 2)
    assert code == 0, err
    assert "not in the zoo yet: method lagging, for Lagging-VAE" in err
    assert out.strip() == str(folder / "report" / "report.html")
    runs = sorted((folder / "runs" / "own").iterdir())
    assert len(runs) == 4
    vaes = [run for run in map(RunDirectory, runs) if run.experiment().model.beta == 1]
    assert sorted(run.experiment().train.seed for run in vaes) == [0, 1]

    # What the report says is what the evaluations hold.
    found = [json.loads(run.evaluation.read_text()) for run in vaes]
    text = (folder / "report" / "report.md").read_text(encoding="utf-8").replace("**", "")
    for name, factor in (("rate", 1), ("mutual_information", 1), ("knn_accuracy", 100)):
        values = [factor * one["test"][name]["value"] for one in found]
        assert f"{statistics.fmean(values):.2f} ({statistics.stdev(values):.2f})" in text
    train = [one["train"]["rate"]["value"] for one in found]
    assert f"{statistics.fmean(train):.2f} ({statistics.stdev(train):.2f})" in text
    elbos = [-one["test"]["elbo"]["value"] for one in found]
    assert f"{statistics.fmean(elbos):.2f}" in text and min(elbos) > 0
    assert "Seeds: 2 instead of 3." in text and "the VAE informs most" in text and "not in the zoo yet" in text
    assert all((folder / "report" / name).is_file() for name in ("report.html", "report.tex", "report.csv"))
    assert list((folder / "report").rglob("*history*.svg"))

    written = {run: (run / "model.keras").stat().st_mtime_ns for run in runs}
    evaluated = {run: (run / "evaluation.json").stat().st_mtime_ns for run in runs}
    code, _, err = reproduce("--seeds", 1, "--only", "VAE")
    assert code == 0 and "trained" not in err
    assert written == {run: (run / "model.keras").stat().st_mtime_ns for run in runs}
    assert evaluated == {run: (run / "evaluation.json").stat().st_mtime_ns for run in runs}
    rows = tidy(folder)
    assert {row["row"] for row in rows} == {"VAE"}
    assert [float(row["mean"]) for row in rows if row["column"] == "training_factor"] == [1.0]


def test_an_interrupted_run_is_gone_on_with(reproduce, folder):
    reproduce("--seeds", 1, "--only", "VAE")
    run = next(run for run in map(RunDirectory, (folder / "runs" / "own").iterdir())
               if run.experiment().model.beta == 1 and run.experiment().train.seed == 0)  # fmt: skip
    before = run.metrics.read_text()
    run.model.unlink()
    code, _, err = reproduce("--seeds", 1, "--only", "VAE")
    assert code == 0 and run.model.is_file(), err
    assert run.metrics.read_text() == before


def test_what_cannot_run_is_a_line_and_the_rest_is_reported(reproduce, folder, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder / "no-data"))
    table = {**TABLE, "experiments": {"digits": "digits/vae", "mnist": "mnist/vae"}, "figures": []}
    (folder / "t.yaml").write_text(yaml.safe_dump(table, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        code, _, err = reproduce("--seeds", 1, "--only", "VAE")
        assert code == 1 and "mnist-vae" in err
        assert any(row["data"] == "mnist" and row["status"] for row in tidy(folder))
        assert any(row["data"] == "digits" and row["mean"] for row in tidy(folder))
        before = (folder / "report" / "report.md").read_bytes()
        code, _, err = reproduce("--seeds", 1, "--only", "mnist")
        assert code == 2 and "none of its runs could be carried out" in err
        assert (folder / "report" / "report.md").read_bytes() == before
    finally:
        (folder / "t.yaml").write_text(yaml.safe_dump(TABLE, allow_unicode=True, sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["papers/contrastive/tabel3"], "no such table or figure; did you mean 'papers/contrastive/table3'"),
        ([], "needs a TABLE"),
        (["contrastive/table3", "--budget", "tiny"], "no 'tiny'"),
        (["contrastive/table3", "--only", "minst"], "did you mean 'mnist'"),
        (["contrastive/table3", "--epochs", "0"], "--epochs"),
    ],
)
def test_mistakes_are_one_line(command, arguments, message):
    code, _, err = command("reproduce", *arguments)
    assert code == 2 and message in err and err.count("\n") == 1


def test_the_listing_names_every_table_and_what_it_waits_for(command):
    code, out, _ = command("reproduce", "--list")
    line = next(line for line in out.splitlines() if line.startswith("papers/contrastive/table3 "))
    assert code == 0 and "method info" in line


def test_needs_are_the_metrics_of_each_split():
    columns = [
        Column(metric="nll", header="NLL"),
        Column(metric="negative_elbo", header="x"),
        Column(metric="rate", header="KL", split="train"),
        Column(metric="training_hours", header="h"),
    ]
    found = needs_of(columns, Evaluation(nll_samples=50, nll_images=10))
    # What tells a collapse is needed too.
    metrics = {"test": (*("nll", "elbo"), *FIGURES), "train": ("rate",)}
    assert {split: needs.metrics for split, needs in found.items()} == metrics
    asked = ["--metrics", "nll,terms,information", "--nll-samples", "50", "--nll-images", "10"]
    assert found["test"].arguments() == asked
    assert needs_of([Column(metric="training_hours", header="h")], Evaluation()) == {}
    assert found["train"].arguments() == ["--metrics", "terms"]


def test_a_likelihood_of_fewer_samples_is_estimated_again(tmp_path):
    run = RunDirectory(tmp_path)
    needs = Needs(("nll",), Evaluation(nll_samples=50, nll_images=10))
    assert needs.missing(run, "test")
    note = "500 importance samples an image"

    def measured(images):
        figures = {"nll": {"value": 1.0, "unit": "nats", "examples": images, "note": note},
                   "rate": {"value": 1.0, "unit": "nats", "examples": 800, "note": ""}}  # fmt: skip
        run.evaluation.write_text(json.dumps({"test": figures}))

    measured(800)
    assert needs.missing(run, "test")
    # All images of a split of 800 are as many as 1,000; three are not.
    assert not needs._replace(evaluation=Evaluation()).missing(run, "test")
    measured(3)
    assert needs._replace(evaluation=Evaluation()).missing(run, "test")
    assert not needs._replace(evaluation=Evaluation(nll_images=3)).missing(run, "test")


def test_what_cannot_be_measured_is_not_tried_again(tmp_path):
    run = RunDirectory(tmp_path)
    needs = Needs(("knn_accuracy", "rate"), Evaluation())
    figures = {"rate": {"value": 1.0, "unit": "nats", "examples": 8, "note": ""}}
    run.evaluation.write_text(json.dumps({"test": figures}))
    assert needs.missing(run, "test")
    run.evaluation.write_text(json.dumps({"test": figures, "left_out": {"test": {"knn": "no labels"}}}))
    assert not needs.missing(run, "test") and needs.missing(run, "validation")


def test_figures_that_earlier_versions_did_not_have_are_measured_alone(tmp_path):
    run = RunDirectory(tmp_path)
    needs = Needs(("knn_accuracy", "mutual_information", "self_comparison"), Evaluation())
    assert needs.missing(run, "test") == needs

    def measured(examples, **left_out):
        names = ("knn_accuracy", "mutual_information")
        figures = {name: {"value": 1.0, "unit": "nats", "examples": examples, "note": ""} for name in names}
        run.evaluation.write_text(json.dumps({"test": figures, "left_out": {"test": left_out}}))

    measured(800)
    assert needs.missing(run, "test").arguments() == ["--metrics", "information"]
    # A single example has no estimate within batches, and what could not be measured will not be.
    measured(1)
    assert not needs.missing(run, "test")
    measured(800, self_comparison="is inf on these images")
    assert not needs.missing(run, "test")


def test_a_row_is_tuned_and_then_trained(command, tmp_path):
    tuned = {"set": {"train.batch_size": 128}, "tune": {"model.beta": {"float": [0.25, 4.0], "log": True}}}
    table = {
        **{key: TABLE[key] for key in ("title", "experiments")},
        "columns": [{"metric": "elbo", "header": "ELBO", "better": "higher"}],
        "baseline": "VAE",
        "rows": {"VAE": {}, "tuned": tuned},
        "small": {**TABLE["small"], "trials": 2, "set": {**TABLE["small"]["set"], "train.epochs": 1}},
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    words = ["reproduce", tmp_path / "t.yaml", "--budget", "small", "--runs", tmp_path / "runs", "--to", tmp_path / "r"]
    code, out, _ = command(*words, "--dry-run")
    assert code == 0 and "tuned on digits  0 of 2 trials" in out and out.count("to be trained") == 2

    code, _, err = command(*words)
    assert code == 0, err
    (place,) = (one for one in (tmp_path / "runs" / "own" / "searches").iterdir() if one.is_dir())
    search = SearchDirectory(place)
    trials = search.recorded()
    assert search.read().objective == "elbo" and search.read().tuner == "bayesian" and len(trials) == 2
    best = max(trials, key=lambda trial: trial.score)
    beta = best.values["model.beta"]
    assert search.run(best.number).experiment().model.beta == beta
    # The best trial is the run of its seed: it was not trained again, and the other has its hyperparameter.
    runs = [RunDirectory(run).experiment() for run in (tmp_path / "runs" / "own").iterdir() if run != place.parent]
    assert sorted(run.train.seed for run in runs if run.train.batch_size != 128) == [0, 1]
    assert [(run.train.seed, run.model.beta) for run in runs if run.train.batch_size == 128] == [(1, beta)]
    report = (tmp_path / "r" / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"beta = {beta:.3g}: the best of 2 trials by the ELBO of the validation split ({best.score:.5g})" in report
    assert "Against VAE" in report and "model.beta" not in report.partition("## Runs")[0]

    code, out, _ = command(*words, "--dry-run")
    assert "to be tuned" not in out and out.count(" trained") == 4 and f"trial-{best.number:03d}" in out
    # More trials are more of the same search.
    table["small"]["trials"] = 3
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    code, out, _ = command(*words, "--dry-run")
    assert "tuned on digits  2 of 3 trials" in out
    code, _, err = command(*words)
    assert code == 0 and len(search.recorded()) == 3 and search.recorded()[:2] == trials, err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tune": {"model.betta": {"float": [1, 2]}}}, "betta"),
        ({"tune": {"model.beta": {"float": [2, 1]}}}, "tune: model.beta: the range [2.0, 1.0] is empty"),
        ({"tune": {"data.name": {"choice": ["a"]}}}, "tune: no key 'data.name'"),
        ({"tune": "beta"}, "tune"),
    ],
)
def test_a_wrong_space_is_one_line(command, tmp_path, change, message):
    table = {**{key: TABLE[key] for key in ("title", "experiments", "small")}, "rows": {"VAE": change}}
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    code, _, err = command("reproduce", tmp_path / "t.yaml", "--runs", tmp_path / "runs", "--budget", "small")
    assert code != 0 and message in err and "Traceback" not in err


def test_factors_are_relative_to_the_first_row():
    assert relative({"B": [6.0], "VAE": [2.0, 4.0]}, "VAE") == {"VAE": [2 / 3, 4 / 3], "B": [2.0]}
    assert relative({"B": [6.0]}, "VAE") == {}


def test_a_report_on_runs_of_ones_own(reproduce, folder, command, tmp_path):
    reproduce()
    runs = sorted((folder / "runs" / "own").iterdir())
    runs = [run for run in runs if (run / "evaluation.json").is_file()]
    code, _, err = command("report", *runs, "--to", tmp_path / "mine")
    assert code == 0, err
    text = (tmp_path / "mine" / "report.md").read_text(encoding="utf-8")
    assert "VAE, β = 1" in text and "VAE, β = 20" in text
    # Words of papers have no place there.
    for kind in ("md", "html", "tex", "csv"):
        written = (tmp_path / "mine" / f"report.{kind}").read_text(encoding="utf-8").lower()
        assert not re.search(r"\bclaim|\bprinted|\bthe paper\b|\brecipe|\bpaper's\b", written.split("<body>")[-1]), kind
    assert {path.name for path in (tmp_path / "mine" / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("images", "history", "rate-per-unit") for kind in ("png", "svg")
    }

    text = (tmp_path / "mine" / "report.html").read_text(encoding="utf-8")
    assert 'name="generator" content="zoo report"' in text
    copied = tmp_path / "copied"
    shutil.copytree(runs[0], copied)
    code, _, err = command("report", runs[0], copied, "--to", tmp_path / "x")
    assert code == 2 and "are the same run, seed included" in err and not (tmp_path / "x").exists()

    again = command("report", runs[0], runs[0], "--to", tmp_path / "x")
    assert again[0] == 2 and "once" in again[2] and not (tmp_path / "x").exists()

    other = tmp_path / "other"
    other.mkdir()
    for name in ("model.keras", "evaluation.json"):
        (other / name).write_bytes((runs[0] / name).read_bytes())
    (other / "config.yaml").write_text((runs[0] / "config.yaml").read_text().replace("name: digits", "name: mnist"))
    code, _, err = command("report", runs[0], other, "--to", tmp_path / "x")
    assert code == 2 and "'digits'" in err and "'mnist'" in err and str(other) in err and not (tmp_path / "x").exists()

    (other / "evaluation.json").unlink()
    code, _, err = command("report", other)
    assert code == 2 and "has not been evaluated" in err
