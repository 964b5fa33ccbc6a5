"""What a report on runs of one's own says: names of rows, bold, columns, pictures, and what it rests on."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from test_writing import COLLAPSED, HEALTHY, a_report

from zoo.doctor.diagnosis import FIGURES
from zoo.doctor.examination import recorded
from zoo.experiments import configurations, pictures
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.report import naming
from zoo.report.columns import Column, Estimate
from zoo.report.content import Row, RunSummary
from zoo.report.illustrating import MOST_ROWS, MOST_RUNS, first_of, rests_on, seed_labels
from zoo.report.legend import legend
from zoo.report.side_by_side import side_by_side
from zoo.report.statements import Contestant, Standing, is_shown, obstacles, standing
from zoo.report.writers.csv import csv
from zoo.report.writers.latex import latex
from zoo.report.writers.markdown import markdown
from zoo.report.writers.page import page

LOW = Column(metric="marginal_kl", header="KL", better="lower")
UNITS = 4


def a_run(path, *settings, information=3.0, nll=None, images=True, rates=1.0):
    """The directory of a run of `digits/vae` with an evaluation, and nothing in its model's file."""
    path.mkdir(parents=True)
    run = RunDirectory(path)
    run.config.write_text(
        configurations.dump(configurations.load("digits/vae", ["model.beta=1", *settings], resolve=False))
    )
    run.model.touch()
    watched = {f"val_{name}": 1.0 for name in ("mutual_information", "rate", "active_units", "elbo")}
    run.metrics.write_text("".join(json.dumps({"epoch": n, **watched}) + "\n" for n in (1, 2)))
    values = {
        **dict.fromkeys(("elbo", "distortion"), -500.0),
        "rate": UNITS * rates,
        "mutual_information": information,
        "marginal_kl": UNITS * rates - information,
        "active_units": float(UNITS),
        "decoder_sensitivity": 0.5,
        "rate_per_unit": UNITS * rates,
        "unit_variances": 1.0,
        **({} if nll is None else {"nll": nll}),
    }
    figures = {name: {"value": value, "unit": "nats", "examples": 300, "note": ""} for name, value in values.items()}
    figures["rate_per_unit"]["values"], figures["unit_variances"]["values"] = [rates] * UNITS, [1.0] * UNITS
    run.evaluation.write_text(json.dumps({"test": figures}))
    if images:
        three = np.random.default_rng(len(settings)).integers(0, 256, (3, 4, 8, 8, 1), np.uint8)
        three[0] = 7
        pictures.write(run, pictures.Pictures(*three, ("cat", "dog", "dog", "emu")))
    return run


def named(*settings):
    return naming.names([configurations.load("digits/vae", list(each), resolve=False) for each in settings])


CLIP, BETA = "train.clip_norm=null", "model.beta=4"


@pytest.mark.parametrize(
    ("settings", "names", "unsaid"),
    [
        ([[]], ["VAE"], ""),
        ([[], [CLIP]], ["VAE, clipped to norm 5", "VAE, no clipping"], ""),
        (
            [["model.beta=1"], ["model.beta=1", CLIP], [BETA]],
            ["VAE", "VAE, no clipping", "VAE, β = 4"],
            "Where a row's name does not say otherwise: β = 1, clipped to norm 5.",
        ),
        # The clipping differs though the methods tell the rows apart: nobody should take it for the method.
        (
            [[CLIP], ["model.method=contrastive"]],
            ["VAE, no clipping", "contrastive VAE, clipped to norm 5"],
            "",
        ),
        ([["model.method=[consistency, iwae]"], ["model.method=iwae"]], ["consistency + IWAE", "IWAE"], ""),
        ([["model.method=my_own:MyVAE"], ["model.method=noise_contrastive"]], ["MyVAE", "noise contrastive VAE"], ""),
        # What only one of them has tells nothing apart, and what is watched is named where nothing else differs.
        ([["watch.every=1"], ["watch.every=2"]], ["VAE, watch every = 1", "VAE, watch every = 2"], ""),
        ([["watch.every=1", CLIP], ["watch.every=2"]], ["VAE, no clipping", "VAE, clipped to norm 5"], ""),
        (
            [["model.consistency_lambda=0.1"], ["model.consistency_lambda=1.0"]],
            ["VAE, consistency λ = 0.1", "VAE, consistency λ = 1"],
            "",
        ),
        ([["train.jit_compile=true"], []], ["VAE, with jit compile", "VAE, no jit compile"], ""),
    ],
)
def test_rows_are_named_by_method_and_what_differs(settings, names, unsaid):
    assert named(*settings) == (names, unsaid)


def test_no_two_rows_have_one_name():
    found = named([], ["model.alpha=2"])
    assert found.names[0] != found.names[1] and all(name.startswith("VAE (") for name in found.names)


def test_ones_own_files_are_called_by_their_folder(tmp_path):
    found = configurations.load("digits/vae", ["data.name=files", f"data.path={tmp_path / 'birds'}"], resolve=False)
    assert naming.data_name(found) == "birds"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # √(0.4²/4 + 0.3²/4) = 0.25.
        (Estimate(2.5, 0.4, 4), Estimate(2.0, 0.3, 4), True),
        (Estimate(2.49, 0.4, 4), Estimate(2.0, 0.3, 4), False),
        (Estimate(1.5, 0.4, 4), Estimate(2.0, 0.3, 4), True),
        (Estimate(9.0, None, 1), Estimate(2.0, 0.0, 2), False),
        (Estimate(9.0, 0.0, 2), Estimate(2.0, None, 1), False),
        (Estimate(2.0, 0.0, 2), Estimate(2.0, 0.0, 2), False),
        (Estimate(3.0, 0.0, 2), Estimate(2.0, 0.0, 2), True),
    ],
)
def test_a_difference_is_shown_from_two_of_its_standard_errors_on(a, b, expected):
    assert is_shown(a, b) is expected


def of(mean, collapsed=False, deviation=0.01):
    return Contestant(f"{mean}", Estimate(mean, deviation, 2), collapsed)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([of(1.0), of(2.0), of(3.0)], Standing("1.0", "1.0", "")),
        ([of(1.0)], Standing()),
        ([of(1.0), of(1.01)], Standing("", "1.0", "noise")),
        # Shown, but printed with two digits they are the same.
        ([of(1.0, deviation=0.0), of(1.001, deviation=0.0)], Standing("", "1.0", "noise")),
        ([of(1.0), of(2.0), Contestant("x", Estimate(9.0, None, 1), False)], Standing("", "1.0", "noise")),
        ([of(1.0), of(2.0), Contestant("x", None, True)], Standing("1.0", "1.0", "")),
        ([of(1.0, collapsed=True), of(2.0), of(3.0)], Standing("", "1.0", "collapsed")),
        ([of(1.0), of(2.0, collapsed=True)], Standing("1.0", "1.0", "")),
        ([of(1.0, collapsed=None), of(2.0)], Standing("", "1.0", "unknown")),
        # Even where nothing is shown, that a collapsed model leads is what a reader must know.
        ([of(1.0, collapsed=True, deviation=None), of(2.0)], Standing("", "1.0", "collapsed")),
    ],
)
def test_who_is_best(rows, expected):
    assert standing(LOW, rows) == expected
    assert standing(LOW.model_copy(update={"better": None}), rows) == Standing()


def test_a_collapsed_leader_is_bold_nowhere_and_it_is_said_why():
    c = a_report()
    two = [RunSummary(seed, "", "", {}, HEALTHY) for seed in range(2)]
    ill = [replace(run, diagnosis=COLLAPSED) for run in two]
    rows = [
        Row("β = 100", "d", {"marginal_kl": [0.01, 0.01]}, runs=ill),
        Row("VAE", "d", {"marginal_kl": [3.0, 3.1]}, runs=two),
    ]
    own = replace(c, source="", columns=[LOW], rows=rows, judgements=[], differs=[])
    for text, bold in ((markdown(own), r"**0.01"), (latex(own), r"\textbf{0.01"), (page(own), "<strong>0.01")):
        assert bold not in text and "No bold in KL: no row is ahead of β = 100 there" in text.replace(r"$\beta$", "β")
        assert "collapsed" in text
    assert [line.split(",")[-3:] for line in csv(own).splitlines()[1:]] == [["collapsed", "yes", ""], ["", "no", ""]]
    well = replace(own, rows=[replace(rows[0], runs=two), rows[1]])
    assert "**0.01**" in markdown(well) and "<strong>0.01</strong>" in page(well)
    # One seed of two is enough, and where nothing is known nothing is stated.
    assert replace(rows[0], runs=[two[0], ill[1]]).collapsed() is True
    assert replace(rows[0], runs=[two[0], ill[1]]).health() == "collapsed (1 of 2 seeds)"
    silent = replace(rows[0], runs=[two[0], replace(two[1], diagnosis=None)])
    assert silent.collapsed() is None
    unknown = replace(own, rows=[silent, rows[1]])
    assert "**" not in markdown(unknown) and "whether it has collapsed is not known" in " ".join(legend(unknown))


def test_obstacles_name_the_data_set_where_there_are_several():
    one = {("marginal_kl", "d"): Standing("", "A", "collapsed")}
    assert obstacles([LOW], one)[0].startswith("No bold in KL: no row is ahead of A there")
    both = {**one, ("marginal_kl", "e"): Standing("B", "B", "")}
    assert (
        obstacles([LOW], both)[0].startswith("No bold in KL on d: no row is ahead of A")
        and len(obstacles([LOW], both)) == 1
    )


def test_the_recorded_evaluation_tells_a_collapse_or_nothing(tmp_path):
    assert recorded(a_run(tmp_path / "a")).verdict == "healthy"
    collapsed = recorded(a_run(tmp_path / "b", information=0.1, rates=0.05))
    assert collapsed.symptom and collapsed.verdict == "collapsed"
    run = a_run(tmp_path / "c", information=0.1)
    known = json.loads(run.evaluation.read_text())
    for name in FIGURES:
        lacking = {each: figure for each, figure in known["test"].items() if each != name}
        run.evaluation.write_text(json.dumps({"test": lacking}))
        assert recorded(run) is None
    known["test"]["rate_per_unit"].pop("values")
    run.evaluation.write_text(json.dumps(known))
    assert recorded(run) is None


def test_a_report_on_ones_own_runs(tmp_path):
    runs = [
        a_run(tmp_path / "v0", "train.seed=0"),
        a_run(tmp_path / "v1", "train.seed=1", information=3.2),
        a_run(tmp_path / "c0", "train.seed=0", CLIP, nll=400.0, images=False),
        a_run(tmp_path / "b0", "train.seed=0", BETA, information=0.1, rates=0.05),
    ]
    said = []
    c = side_by_side(runs, "zoo report", said.append)
    assert c.title == "VAE · VAE, no clipping · VAE, β = 4 on digits" and c.source == ""
    assert c.unsaid == "Where a row's name does not say otherwise: β = 1, clipped to norm 5."
    # A third of the rows has a likelihood: it comes last.
    assert [(column.group, column.metric) for column in c.columns][-1] == ("of some rows only", "nll")
    assert c.columns[0].metric == "elbo"
    assert [row.health() for row in c.rows] == ["", "", "collapsed"]
    captions = {picture.name: picture.caption for picture in c.illustrations}
    assert [*captions] == ["images", "history", "rate-per-unit"]
    assert "1 or 2 seeds a row, of 3 rows; 300 test images" in captions["rate-per-unit"]
    assert "3 runs, for the others left no pictures; 4 test images" in captions["images"]
    assert any("no pictures of VAE, no clipping: zoo evaluate" in line for line in said)
    drawn = next(picture.svg for picture in c.illustrations if picture.name == "images")
    assert all(f">{name}</text>" in drawn for name in ("cat", "dog", "emu"))
    assert "VAE, seed 0" in drawn and "VAE, seed 1" in drawn
    assert legend(c)[0].endswith("Measured on 300 test examples.")


def test_of_many_rows_and_seeds_a_figure_shows_the_first_and_says_so(tmp_path):
    run = RunDirectory(tmp_path)
    many = {f"r{n}": [run] * 2 for n in range(MOST_ROWS + 1)}
    assert len(first_of(many)) == MOST_ROWS and sum(map(len, first_of(many).values())) == 2 * MOST_ROWS
    assert rests_on(first_of(many), of=many) == "2 seeds of each of the first 12 of 13 rows"
    seeds = {"VAE": [run] * (MOST_RUNS + 1)}
    assert rests_on(first_of(seeds), "4 images", seeds) == "the first 60 of 61 seeds; 4 images"
    assert len(first_of(seeds, None)["VAE"]) == MOST_RUNS + 1
    few = {
        "a": [a_run(tmp_path / "a", "train.seed=3")],
        "b": [a_run(tmp_path / f"b{n}", f"train.seed={n}") for n in (0, 1)],
    }
    assert [*seed_labels(few)] == ["a", "b, seed 0", "b, seed 1"] and first_of(few) == few


def test_pictures_come_back_as_they_were_and_damage_is_an_error(tmp_path):
    run = a_run(tmp_path / "a")
    found = pictures.read(run)
    assert found.originals.shape == (4, 8, 8, 1) and found.classes == ("cat", "dog", "dog", "emu")
    for array in (np.zeros((4, 8, 8, 1)), np.zeros((4, 8, 8), np.uint8), np.zeros((4, 8, 8, 2), np.uint8)):
        pictures.write(run, found._replace(originals=array))
        with pytest.raises(RunError, match=r"is damaged .*zoo evaluate"):
            pictures.read(run)
    two = [np.zeros((4, 8, 8, 2), np.uint8)] * 3
    pictures.write(run, pictures.Pictures(*two))
    with pytest.raises(RunError, match="no images"):
        pictures.read(run)
    for content in (b"", b"PK\x03\x04", b"no archive"):
        run.pictures.write_bytes(content)
        with pytest.raises(RunError, match="is damaged"):
            pictures.read(run)
    run.pictures.unlink()
    assert pictures.read(run) is None


@pytest.mark.slow
def test_a_report_needs_no_tensorflow(tmp_path):
    runs = [a_run(tmp_path / "v0", "train.seed=0"), a_run(tmp_path / "v1", "train.seed=1")]
    arguments = ["zoo", "report", *(str(run.path) for run in runs), "--to", str(tmp_path / "report")]
    script = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from zoo.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "assert not {'tensorflow', 'keras'} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    assert (tmp_path / "report" / "figures" / "images.png").is_file()
