"""What TensorBoard shows of real runs, read over its HTTP interface."""

import io
import json
import sys
import time
import types
import urllib.error
import urllib.parse
import urllib.request
from zipfile import ZipFile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard import assets, program
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from zoo import cli, data, experiments, metrics
from zoo.experiments import configurations, hparams
from zoo.experiments.run_directory import RunDirectory
from zoo.report import board
from zoo.training import callbacks, metrics_file
from zoo.training.callbacks import pages

pytestmark = pytest.mark.slow


SETTINGS = [
    "model.network={name: mlp, depth: 1, width: 16}",
    "model.latent_dim=5",
    "data.train=train[:192]",
    "train.epochs=2",
    "train.optimizer={name: adam, learning_rate: 0.01}",
    "watch.images=200",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods, trained side by side."""
    folder = tmp_path_factory.mktemp("runs")
    models = {}
    for method, more in {"vae": ["train.clip_norm=null"], "contrastive": []}.items():
        experiment = configurations.load(f"digits/{method}", [*SETTINGS, *more])
        models[method] = experiments.train(experiment, RunDirectory(folder / method), quiet=True, announce=str)
    for _ in range(2):
        experiments.evaluate(folder / "vae", only=("terms", "nll"), nll_samples=3, nll_images=20)
    return folder, models


@pytest.fixture(scope="module")
def tensorboard(runs):
    """Asks a TensorBoard that shows both: a route, and parameters or a JSON body."""
    shown = program.TensorBoard()
    shown.configure(argv=[None, "--logdir", str(runs[0]), "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"])
    url = shown.launch()

    def ask(route, body=None, **parameters):
        request = urllib.request.Request(
            f"{url}data/{route}?{urllib.parse.urlencode(parameters)}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if "json" in answer.headers["Content-Type"] else content

    deadline = time.monotonic() + 120
    # It reads the directories in a thread of its own.
    while len(ask("runs")) < 2 or "test/nll" not in ask("plugin/scalars/tags").get("vae", ()):
        assert time.monotonic() < deadline, "TensorBoard did not read the runs"
        time.sleep(0.2)
    time.sleep(1)
    return ask


def test_scalars_have_the_names_of_the_terms(tensorboard, runs):
    tags = tensorboard("plugin/scalars/tags")
    # A training is a run, under the name of its folder.
    assert set(tags) == set(runs[1]) == set(tensorboard("runs"))
    terms = ("information/rate", "objective/elbo", "objective/loss", "objective/distortion", "objective/sum_of_squares")
    common = {f"{term} {split}" for term in terms for split in ("train", "validation")}
    common |= {f"information/{name}" for name in ("mutual_information", "marginal_kl", "active_units")}
    common |= {"probes/knn_accuracy", "recipe/learning_rate", "recipe/rate_reductions"}
    assert {tag for tag in tags["vae"] if not tag.startswith("test/")} == common
    assert set(tags["contrastive"]) == common | {"objective/info_nce train", "objective/info_nce validation"}
    points = tensorboard("plugin/scalars/scalars", run="vae", tag="probes/knn_accuracy")
    recorded = metrics_file.rows(runs[0] / "vae" / "metrics.jsonl")
    assert [step for _, step, _ in points] == [1, 2]
    assert [value for *_, value in points] == pytest.approx([row["val_knn_accuracy"] for row in recorded])


def test_the_projector_shows_test_codes_with_images_and_labels(tensorboard, runs):
    assert set(tensorboard("plugin/projector/runs")) == set(runs[1])
    for method, model in runs[1].items():
        where = {"run": method, "name": "test codes"}
        (embedding,) = tensorboard("plugin/projector/info", run=where["run"])["embeddings"]
        assert embedding["tensorName"] == "test codes" and embedding["tensorShape"] == [200, 5]
        assert embedding["sprite"]["singleImageDim"] == [28, 28]
        test = data.load("digits", "test")
        codes = np.frombuffer(tensorboard("plugin/projector/tensor", **where), np.float32).reshape(200, 5)
        np.testing.assert_allclose(codes, model.posteriors(test.images[:200]).loc, rtol=1e-4, atol=1e-5)
        heading, *rows = tensorboard("plugin/projector/metadata", **where).decode().splitlines()
        assert heading == "label\timage"
        assert rows == [f"{label}\t{number}" for number, label in enumerate(test.labels[:200])]
        sprite = np.asarray(Image.open(io.BytesIO(tensorboard("plugin/projector/sprite_image", **where))))
        side = 15  # the least square that holds 200
        assert sprite.shape == (14 * 28, side * 28)
        for number in (0, 14, 15, 199):
            top, left = 28 * (number // side), 28 * (number % side)
            np.testing.assert_array_equal(sprite[top : top + 28, left : left + 28], test.images[number, ..., 0])


def test_hparams_compares_runs(tensorboard, runs):
    experiment = tensorboard("plugin/hparams/experiment", {"experimentName": ""})
    kinds = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    # The page opens on the first five, and puts those that are said to differ first.
    assert [*kinds][:5] == ["method", "model.beta", "model.latent_dim", "train.optimizer.learning_rate", "train.seed"]
    assert experiment["hparamInfos"][1]["displayName"] == "β"
    assert kinds["method"] == kinds["data.name"] == kinds["model.label_dimensions"] == "DATA_TYPE_STRING"
    assert kinds["model.gamma"] == kinds["model.beta"] == kinds["train.clip_norm"] == "DATA_TYPE_FLOAT64"
    assert kinds["train.optimizer.learning_rate"] == kinds["model.network.width"] == "DATA_TYPE_FLOAT64"
    assert kinds["model.likelihood.learned"] == "DATA_TYPE_BOOL"
    tags = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert tags[:3] == ["information/mutual_information", "information/active_units", "test/nll"]
    headings = [info["displayName"] for info in experiment["metricInfos"]]
    assert headings[:3] == ["MI (nats), validation", "active units, validation", "NLL (nats), test"]
    columns = [{"hparam": name} for name in kinds] + [{"metric": info["name"]} for info in experiment["metricInfos"]]
    asked = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": columns,
        "startIndex": 0,
        "sliceSize": 9,
    }
    groups = tensorboard("plugin/hparams/session_groups", asked)["sessionGroups"]
    assert len(groups) == 2
    by_method = {group["hparams"]["method"]: group for group in groups}
    assert by_method["contrastive"]["hparams"]["model.gamma"] == 1.0
    assert by_method["contrastive"]["hparams"]["train.clip_norm"] == 5.0
    assert not {"model.gamma", "train.clip_norm"} & set(by_method["vae"]["hparams"])
    assert set(by_method["contrastive"]["hparams"]) <= set(kinds)
    for method, group in by_method.items():
        last = metrics_file.rows(runs[0] / method / "metrics.jsonl")[-1]
        values = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        held_out = {tag: last[f"val_{tag.split('/')[1].split()[0]}"] for tag in tags if not tag.startswith("test/")}
        found = RunDirectory(runs[0] / method).figures("test")
        tested = {f"test/{name}": found[name]["value"] for name in found if f"test/{name}" in tags}
        assert values == pytest.approx(held_out | tested)
        assert set(tested) == ({"test/nll", "test/elbo"} if method == "vae" else set())


def test_custom_scalars_are_grouped(tensorboard, runs):
    layout = tensorboard("plugin/custom_scalars/layout")
    categories = {category["title"]: category["chart"] for category in layout["category"]}
    assert list(categories) == ["information", "objective", "probes", "recipe"]
    shown = {}
    for title, charts in categories.items():
        # Merged from two runs, and still each chart once.
        assert len({chart["title"] for chart in charts}) == len(charts)
        for pattern in (tag for chart in charts for tag in chart["multiline"]["tag"]):
            found = tensorboard("plugin/custom_scalars/scalars", run="contrastive", tag=pattern)
            assert found["regex_valid"]
            shown.setdefault(title, set()).update(found["tag_to_events"])
    # Training and validation share a chart.
    assert set().union(*shown.values()) == set(tensorboard("plugin/scalars/tags")["contrastive"])
    assert {"information/rate train", "information/rate validation"} <= shown["information"]
    assert {"objective/info_nce train", "objective/info_nce validation"} <= shown["objective"]


# ── Callbacks on their own ───────────────────────────────────────────────────────────────────────────────────────


class Codes:
    """Stands for a model and for the callback that encodes."""

    def __init__(self, loc, every=1):
        self.loc, self.every = loc, every

    def due(self, epoch):
        return (epoch + 1) % self.every == 0

    def posteriors(self, images):
        return types.SimpleNamespace(loc=self.loc[: len(images)])


def codes(n=40):
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 3
    return generator.standard_normal((n, 4)) + 2 * np.eye(4)[labels], labels


def test_the_probe_is_the_metric_on_halves():
    loc, labels = codes()
    logs = {}
    callbacks.Probe(Codes(loc), labels, neighbours=7).on_epoch_end(0, logs)
    expected = metrics.knn_accuracy(loc[::2], labels[::2], loc[1::2], labels[1::2], neighbours=7)
    assert logs == {"val_knn_accuracy": expected} and 0.3 < expected < 1
    few = {}
    callbacks.Probe(Codes(loc[:10]), labels[:10]).on_epoch_end(0, few)  # fewer than its neighbours
    assert few["val_knn_accuracy"] == metrics.knn_accuracy(loc[:10:2], labels[:10:2], loc[1:10:2], labels[1:10:2], 5)


@pytest.mark.parametrize("case", ["no labels", "not due", "constant", "nan", "one class"])
def test_there_is_no_probe_where_there_is_nothing_to_probe(case):
    loc, labels = codes()
    every = 2 if case == "not due" else 1
    if case == "constant":
        loc = np.ones_like(loc)
    elif case == "nan":
        loc[3] = np.nan
    given = {"no labels": None, "one class": np.zeros_like(labels)}.get(case, labels)
    logs = {}
    callbacks.Probe(Codes(loc, every), given).on_epoch_end(0, logs)
    assert logs == {}


def test_the_projector_names_what_is_missing(tmp_path):
    def missing():
        raise ValueError("data.test: no split 'test'")

    said = []
    callbacks.Projector(tmp_path / "run", missing, announce=said.append).on_train_end()
    assert said == ["no codes for TensorBoard's projector: data.test: no split 'test'"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("shape", "expected"), [((5, 7, 3), (2 * 5, 2 * 7, 3)), ((8192, 1, 1), (8192, 1))])
def test_the_sprite_of_unlabelled_images(tmp_path, shape, expected):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    projector = callbacks.Projector(tmp_path, lambda: data.Examples(images, None))
    projector.set_model(Codes(np.ones((3, 2))))
    projector.on_train_end()
    assert np.asarray(Image.open(tmp_path / "projector" / "images.png")).shape == expected
    # As many as fit a sprite that TensorBoard can show; a table of one column has no heading.
    count = 3 if shape[0] == 5 else 1
    assert (tmp_path / "projector" / "images.tsv").read_text() == "".join(f"{number}\n" for number in range(count))
    assert len((tmp_path / "projector" / "codes.tsv").read_text().splitlines()) == count
    assert f"single_image_dim: {shape[1]}\n    single_image_dim: {shape[0]}" in (
        tmp_path / "projector_config.pbtxt"
    ).read_text().replace("      ", "    ")
    assert not list(tmp_path.rglob(".*"))


def test_only_the_same_configuration_is_the_same_group(tmp_path):
    def group_of(folder, beta):
        information = callbacks.Information(np.zeros([1, 4, 4, 1], np.uint8))
        watcher = callbacks.TensorBoardMonitor(tmp_path / folder / "seed0", information, {"model.beta": beta})
        watcher.on_train_begin()
        watcher.on_train_end()
        (file,) = (tmp_path / folder / "seed0").iterdir()
        events = tf.compat.v1.train.summary_iterator(str(file))
        tags = {value.tag: value.metadata.plugin_data.content for event in events for value in event.summary.value}
        assert "_hparams_/session_end_info" in tags
        return HParamsPluginData.FromString(tags["_hparams_/session_start_info"]).session_start_info.group_name

    assert group_of("a", 1.0) == group_of("b", 1.0) != group_of("c", 2.0)
    assert group_of("d", 1.0).startswith("seed0 ")


def test_rows_have_text_where_the_column_is_text():
    given = {"model.label_dimensions": 2, "model.method": ["vae", "iwae"], "mine": 3, "data.size": None}
    kinds = {"model.label_dimensions": int | list[int], "model.method": str, "data.size": int | None, "other": float}
    table = pages.columns(given, kinds)
    assert list(table) == ["model.label_dimensions", "model.method", "mine", "data.size", "other"]
    assert pages.session(given, table) == {"model.label_dimensions": "2", "model.method": "vae+iwae", "mine": 3}


def test_columns_are_ones_own_unless_others_are_given():
    assert pages.columns({"beta": 0.5, "deep": True, "name": "mine"}) == {
        "beta": api_pb2.DATA_TYPE_FLOAT64,
        "deep": api_pb2.DATA_TYPE_BOOL,
        "name": api_pb2.DATA_TYPE_STRING,
    }


def test_an_experiments_columns_are_those_of_every_run_and_say_nothing_of_watching():
    ours, theirs = (configurations.load(f"digits/{name}", SETTINGS) for name in ("vae", "triplet"))
    assert hparams.columns(ours) == hparams.columns(theirs)
    assert {*hparams.values(ours), *hparams.values(theirs)} <= {*hparams.columns(ours)}
    assert not any(key.startswith("watch.") for key in hparams.values(ours))
    assert {"triplet", "info_nce"} <= {*hparams.terms()}


@pytest.mark.parametrize("fast", ["true", "false"])
def test_an_epoch_that_is_done_again_takes_the_place_of_the_first(tmp_path, fast):
    """Killed when its third epoch was shown but not saved, and resumed; with both of TensorBoard's readers."""
    for first, last, offset in ((0, 3, 0.0), (2, 4, 10.0)):
        monitor = callbacks.TensorBoardMonitor(tmp_path / "run", callbacks.Information(np.zeros([0, 4, 4, 1])), {})
        monitor.on_train_begin()
        for epoch in range(first, last):
            monitor.on_epoch_begin(epoch)
            monitor.on_epoch_end(epoch, {"loss": epoch + 1 + offset})
        monitor.writer.close()
        # TensorBoard reads files in the order of their names, which begin with the second.
        time.sleep(1.1)
    shown = program.TensorBoard()
    flags = ["--logdir", str(tmp_path), "--port", "0", "--host", "127.0.0.1", "--load_fast", fast]
    shown.configure(argv=[None, *flags])
    url = f"{shown.launch()}data/plugin/scalars/scalars?run=run&tag=objective/loss%20train"
    deadline, points = time.monotonic() + 60, []
    while len(points) < 4 and time.monotonic() < deadline:
        time.sleep(0.3)
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                points = json.loads(answer.read())
        except urllib.error.HTTPError:
            pass
    assert [point[1:] for point in points] == [[1, 1.0], [2, 2.0], [3, 13.0], [4, 14.0]]


# ── Our own launch ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pages_of_the_installed_tensorboard_take_our_defaults():
    original = assets.get_default_assets_zip_provider()
    with original() as before, board.webfiles(original)() as after:
        old, new = ({name: pages.read(name) for name in pages.namelist()} for pages in map(ZipFile, (before, after)))
    assert set(new) == set(old) | {"zoo.js"}
    assert {name for name in old if old[name] != new[name]} == {"index.html", "index.js"}
    assert b"maxNamesToEnableByDefault=500," in new["index.js"] and b"ToEnableByDefault=40," not in new["index.js"]
    assert b"{defaultValue:.6}" not in new["index.js"] and len(new["index.js"]) == len(old["index.js"]) - 4 + 1
    page = new["index.html"]
    assert 0 < page.index(b'<script src="zoo.js">') < page.index(b'<script src="index.js?zoo&_file_hash=')
    # What the script asks for is there, under the names that TensorBoard reads.
    for name in (b"_tb_global_settings", b"ignoreOutliers", b"scalarSmoothing", b"_ignoreYOutliers"):
        assert name in new["zoo.js"] and name in old["index.js"]
    assert b"timeSeriesSettingsPaneOpened" in old["index.js"]


def test_pages_that_are_not_known_are_refused():
    other = io.BytesIO()
    with ZipFile(other, "w") as pages:
        pages.writestr("index.html", '<head><script src="index.js?1">')
        pages.writestr("index.js", "maxNamesToEnableByDefault=50,")
    with pytest.raises(ValueError, match="not those that the zoo knows; run: tensorboard --logdir"):
        board.webfiles(lambda: io.BytesIO(other.getvalue()))


def test_a_folder_that_is_not_there_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["zoo", "tensorboard", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    out, err = capsys.readouterr()
    assert (leaving.value.code, out) == (2, "") and err == f"zoo: tensorboard: no such folder {tmp_path}/none\n"
    with pytest.raises(ValueError, match="no such folder"):
        board.serve(tmp_path / "none", "localhost", 0)
