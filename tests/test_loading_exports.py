"""Exports by name, folder and address: found, checked, loaded to encode and to train on, in every format so far."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import zoo
from zoo.export import finding, fixture, hub
from zoo.export.card import CARD, FORMAT, MODEL, README, Card, NewerFormatError, checksum
from zoo.export.half import can_be_halved, light_copy
from zoo.export.index import entries
from zoo.export.readme import markdown
from zoo.export.saved_model import export_model
from zoo.files import NamedBytes

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).integers(0, 256, (300, *SHAPE), np.uint8)


def a_model(method=zoo.VAE, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*zoo.networks.build("mlp", SHAPE, 3, depth=1, width=16), 3, **arguments)
    model.compile("adam")
    model.fit(X, epochs=2, batch_size=50, verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    return a_model(zoo.ContrastiveVAE, queue_size=64)


@pytest.fixture(scope="module")
def light(model, tmp_path_factory):
    """An export in half precision with everything in it."""
    return export_model(model, tmp_path_factory.mktemp("exports") / "light", half=True, trainable=True, examples=X)


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    return export_model(model, tmp_path_factory.mktemp("exports") / "plain", trainable=True)


# ── Half precision ──


def test_halves_move_no_weight_by_more_than_a_thousandth_of_the_greatest():
    assert can_be_halved(np.array([1.0, 0.1, 1e-9], np.float32))
    # Beyond the greatest float16, or of another type.
    assert not can_be_halved(np.array([7e4, 1.0], np.float32))
    assert not can_be_halved(np.array([1, 2]))
    assert not can_be_halved(np.array([np.nan], np.float32))
    # All below the least float16.
    assert not can_be_halved(np.array([1e-9], np.float32))


def test_a_light_model_has_the_weights_in_half_and_no_optimiser(model, light):
    whole = NamedBytes("m.keras")
    model.save(whole)
    content = (light / MODEL).read_bytes()
    assert len(content) < len(whole.getvalue()) / 3
    # The same file gives the same bytes.
    assert light_copy(whole.getvalue()) == light_copy(whole.getvalue())
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert "compile_config" not in json.loads(parts.read("config.json"))
        names = []
        with h5py.File(io.BytesIO(parts.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, one: names.append((name, one.dtype)) if isinstance(one, h5py.Dataset) else None
            )
    assert {np.float16} <= {dtype.type for _, dtype in names} and not any("optimizer" in name for name, _ in names)


@keras.saving.register_keras_serializable("tests")
class OptimizerOfUnits(keras.layers.Dense):
    """A layer; Keras names its weights after its class."""


def test_a_light_copy_keeps_a_layer_whose_name_speaks_of_an_optimizer(tmp_path):
    one = keras.Sequential([keras.Input((4,)), OptimizerOfUnits(3)])
    one.compile(keras.optimizers.Adam(), "mse")
    one.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
    one.save(tmp_path / "whole.keras")
    (tmp_path / "light.keras").write_bytes(light_copy((tmp_path / "whole.keras").read_bytes(), half=False))
    light = keras.models.load_model(tmp_path / "light.keras")
    np.testing.assert_array_equal(light.get_weights()[0], one.get_weights()[0])


def test_the_export_computes_in_float32_with_halved_weights(model, light, plain):
    halved, whole = zoo.load_encoder(light), zoo.load_encoder(plain)
    codes = model.posteriors(X)
    np.testing.assert_allclose(whole.encode(X)["loc"], codes.loc, rtol=1e-4, atol=1e-5)
    for part, expected in zip(("loc", "scale"), codes, strict=True):
        found = halved.encode(X)[part].numpy()
        assert found.dtype == np.float32 and 0 < np.abs(found - expected).max() < 0.01
    np.testing.assert_allclose(halved.decode(codes.loc)["mean"], whole.decode(codes.loc)["mean"], atol=0.01)
    size = sum(path.stat().st_size for path in (light / "variables").iterdir())
    assert size < 0.6 * sum(path.stat().st_size for path in (plain / "variables").iterdir())
    assert (Card.read(light).stored, Card.read(plain).stored) == ("float16", "float32")


# ── To train on ──


def test_a_loaded_model_is_the_model_and_trains_on(model, light, plain):
    for folder, tolerance in ((plain, 1e-6), (light, 0.01)):
        loaded = zoo.load(folder)
        assert type(loaded) is zoo.ContrastiveVAE and loaded.gamma == model.gamma
        np.testing.assert_allclose(loaded.posteriors(X).loc, model.posteriors(X).loc, atol=tolerance)
    loaded.compile(keras.optimizers.Adam(1e-3))
    before = loaded.evaluate(X, verbose=0, return_dict=True)["loss"]
    loaded.fit(X, epochs=5, batch_size=50, verbose=0)
    assert loaded.evaluate(X, verbose=0, return_dict=True)["loss"] < before


def test_an_export_without_a_model_says_how_to_get_one(model, tmp_path):
    folder = export_model(model, tmp_path / "bare")
    with pytest.raises(ValueError, match=r"bare: holds no model\.keras, which alone .* zoo export RUN --trainable"):
        zoo.load(folder)


# ── Found and checked ──


def test_the_zoos_own_exports_have_names():
    assert finding.find("digits/vae") == finding.EXPORTS / "digits" / "vae"
    with pytest.raises(ValueError, match=r"no export 'digits/vea'; did you mean 'digits/vae'\?"):
        zoo.load("digits/vea")
    with pytest.raises(ValueError, match="no export"):
        zoo.load_encoder("nothing/like/it")


def test_a_folder_that_is_no_export_is_said_to_be_none(tmp_path):
    (tmp_path / "export").mkdir()
    with pytest.raises(ValueError, match=r"not an export \(it has no assets\.extra/card\.json\)"):
        zoo.load_encoder(tmp_path)


@pytest.mark.parametrize("part", ["variables/variables.data-00000-of-00001", MODEL, "saved_model.pb"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_export_is_refused(light, tmp_path, part, damage):
    folder = tmp_path / "damaged"
    shutil.copytree(light, folder)
    file = folder / part
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:-1] + b"x")
    for load in (zoo.load, zoo.load_encoder):
        with pytest.raises(ValueError, match=r"damaged: its files do not have the checksum|it has no saved_model"):
            load(folder)


def test_a_newer_format_is_refused_and_named(light, tmp_path):
    folder = tmp_path / "newer"
    shutil.copytree(light, folder)
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**content, "format": FORMAT + 1, "unheard": "of"}))
    expected = rf"newer: was written by a newer version of the zoo, in format {FORMAT + 1}; .* up to {FORMAT}: update"
    with pytest.raises(NewerFormatError, match=expected):
        zoo.load(folder)


FORMATS = sorted((Path(__file__).parent / "exports").glob("format*.tar.gz"))


@pytest.mark.parametrize("archive", FORMATS, ids=lambda path: path.name.partition(".")[0])
def test_exports_and_models_of_earlier_versions_load(archive, tmp_path):
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    number = int(archive.name.removeprefix("format").partition(".")[0])
    assert Card.read(tmp_path / "export").format == number
    expected = np.load(tmp_path / "codes.npz")
    found = zoo.load_encoder(tmp_path / "export").encode(expected["x"])
    loaded = zoo.load_model(tmp_path / "model.keras")
    for part, own in zip(("loc", "scale"), loaded.encode(expected["x"]), strict=True):
        np.testing.assert_allclose(found[part], expected[part], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(own, expected[part], rtol=1e-4, atol=1e-5)


def test_there_is_an_export_of_every_format():
    assert [int(path.name.removeprefix("format").partition(".")[0]) for path in FORMATS] == [*range(1, FORMAT + 1)]


# ── Does it encode here as there? ──

ALONE = """
import re, subprocess, sys
code = re.search(r"Does it encode here.*?```python\\n(.*?)```", open(sys.argv[1] + "/README.md").read(), re.S)[1]
exec(code.replace("path/to/this/folder", sys.argv[1]))
assert "zoo" not in sys.modules
"""


@pytest.mark.parametrize("where", ["light", *(f"exports/{entry['name']}" for entry in entries(finding.EXPORTS))])
def test_with_tensorflow_alone_the_codes_have_the_checksum_of_the_card(light, where, tmp_path):
    folder = light if where == "light" else finding.EXPORTS.parent / where
    told = Card.read(folder).codes
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert told and done.stdout.strip() == told


def test_the_examples_keep_clear_of_where_rounding_turns(light):
    x = np.load(light / fixture.FIXTURE)["x"]
    codes = zoo.load_encoder(light).encode(x)
    loc, scale = codes["loc"].numpy(), codes["scale"].numpy()
    assert len(x) == 8 and Card.read(light).codes == fixture.codes_checksum(loc, scale)
    # Another processor's rounding changes nothing, and a code that is off by a tenth does.
    assert fixture.codes_checksum(loc + 1e-3, scale - 1e-3) == fixture.codes_checksum(loc, scale)
    assert fixture.codes_checksum(loc + 0.1, scale) != fixture.codes_checksum(loc, scale)


def test_where_no_example_keeps_the_margin_there_is_no_checksum(tmp_path):
    turning = np.full((5, 2), 0.05)
    assert fixture.write(tmp_path, X[:5], lambda x: (turning, turning)) == ""
    assert not (tmp_path / fixture.FIXTURE).exists()


# ── The zoo's own exports ──


def test_the_index_is_that_of_the_cards():
    listed = json.loads((finding.EXPORTS / "index.json").read_text(encoding="utf-8"))["exports"]
    assert listed == entries(finding.EXPORTS)
    for entry in listed:
        folder = finding.EXPORTS / entry["name"]
        assert entry["checksum"] == checksum(folder)
        assert (folder / README).read_text(encoding="utf-8") == markdown(Card.read(folder))
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) == entry["bytes"]
    assert sum(entry["bytes"] for entry in listed) < 60e6


@pytest.mark.parametrize("name", [entry["name"] for entry in entries(finding.EXPORTS)])
def test_the_figures_of_an_export_are_its_models(name):
    """What needs no draw is measured again, with the weights as they are stored."""
    card = Card.read(finding.find(name))
    if card.data.name != "digits":
        pytest.skip(f"{card.data.name} is not embedded")
    test, loaded = zoo.data.load("digits", "test").images, zoo.load(name)
    loc, scale = loaded.posteriors(test)
    told = card.metrics["test"]
    assert zoo.metrics.rate(loc, scale).mean() == pytest.approx(told["rate"].value, rel=0.01)
    assert zoo.metrics.mutual_information(loc, scale) == pytest.approx(told["mutual_information"].value, rel=0.02)
    assert zoo.metrics.active_units(loc) == told["active_units"].value
    assert zoo.metrics.rate_per_unit(loc, scale) == pytest.approx(told["rate_per_unit"].values, rel=0.05, abs=0.02)


# ── The hub ──


def test_an_address_must_be_one():
    for address in ("hf://", "hf://owner", "hf://owner/name/more", "hf://owner/na me"):
        with pytest.raises(ValueError, match="must be hf://owner/name"):
            finding.find(address)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"hf://owner/name: needs the package huggingface_hub; pip install"):
        zoo.load_encoder("hf://owner/name")
    with pytest.raises(ValueError, match="needs the package huggingface_hub"):
        hub.push(Path(), "hf://owner/name")
