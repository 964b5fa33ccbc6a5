"""Exports: equal to the model without the zoo, whole or not at all, and with a card that is true."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import data, networks
from zoo.experiments import configurations
from zoo.experiments.building import build_model
from zoo.experiments.finished import card_of
from zoo.export.card import CARD, Card, Figure, checksum
from zoo.export.encoding import encode_file, load_export
from zoo.export.index import update_index
from zoo.export.saved_model import export_model
from zoo.models.vae import VAE

pytestmark = pytest.mark.slow

METRICS = {
    "test": {
        "rate": {"value": 12.5, "unit": "nats", "examples": 300, "note": ""},
        "mutual_information": {"value": 5.25, "unit": "nats", "examples": 300, "note": "cannot exceed log n = 5.70"},
    }
}
BATCHES = (1, 7, 256)
DTYPES = ("uint8", "float32", "float64")

# Runs with nothing but TensorFlow: outputs for all batches and types go into a file that the tests compare.
ALONE = """
import sys
import numpy as np
import tensorflow as tf


model = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
images = given["images"]
out = {}
for n in (1, 7, 256):
    for dtype in ("uint8", "float32", "float64"):
        x = images[:n] if dtype == "uint8" else (images[:n] / 255).astype(dtype)
        codes = model.encode(x)
        out[f"loc {n} {dtype}"], out[f"scale {n} {dtype}"] = codes["loc"], codes["scale"]
        out[f"reconstruct {n} {dtype}"] = model.reconstruct(x)["mean"]
x = tf.constant(images[:7] / 255, tf.float32)
out["serving_default"] = model.signatures["serving_default"](x=x)["loc"]
out["signature encode"] = model.signatures["encode"](x=x)["loc"]
out["signature encode_uint8"] = model.signatures["encode_uint8"](x=tf.constant(images[:7]))["loc"]
out["signature reconstruct"] = model.signatures["reconstruct"](x=x)["mean"]
out["signature reconstruct_uint8"] = model.signatures["reconstruct_uint8"](x=tf.constant(images[:7]))["mean"]
out["decode float32"] = model.decode(given["z"].astype("float32"))["mean"]
out["decode float64"] = model.decode(given["z"])["mean"]
out["signature decode"] = model.signatures["decode"](z=tf.constant(given["z"], tf.float32))["mean"]
out["sample"] = model.sample(5, 3)["mean"]
out["sample again"] = model.sample(n=5, seed=3)["mean"]
out["sample other"] = model.sample(5, 4)["mean"]
out["signature sample"] = model.signatures["sample"](n=tf.constant(5), seed=tf.constant(3))["mean"]
np.savez(sys.argv[3], **out)
loaded = [name for name in ("zoo", "tensorflow_probability", "tf_keras", "keras_tuner") if name in sys.modules]
assert not loaded, loaded
"""


def card_for(name, model):
    return card_of(configurations.load(name, [f"model.latent_dim={model.latent_dim}"]), model, METRICS)


def randomised(model):
    """Gives every weight a value of its own, batch normalisation's moments included."""
    generator = np.random.default_rng(0)
    model.build_if_known()
    for weight in (*model.encoder.weights, *model.decoder.weights, *model.head.weights):
        noise = generator.normal(0, 0.1, weight.shape)
        weight.assign(1 + np.abs(noise) if "variance" in weight.path else weight.numpy() + noise)
    return model


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "train[:256]").images


@pytest.fixture(scope="module")
def contrastive():
    return randomised(build_model(configurations.load("digits/contrastive"), (28, 28, 1), 10))


@pytest.fixture(scope="module")
def exported(contrastive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "digits" / "contrastive"
    return export_model(contrastive, folder, card_for("digits/contrastive", contrastive))


@pytest.fixture(scope="module")
def alone(exported, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    np.savez(folder / "given.npz", images=images, z=np.random.default_rng(1).normal(size=(9, 16)))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", ALONE, str(exported), str(folder / "given.npz"), str(folder / "out.npz")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(folder / "out.npz")) | {"z": np.load(folder / "given.npz")["z"]}


def small(likelihood="bernoulli"):
    encoder, decoder = networks.build("mlp", (8, 6, 1), 3, depth=1, width=8)
    return randomised(VAE(encoder, decoder, 3, likelihood=likelihood, seed=0))


@pytest.fixture(scope="module")
def small_export(tmp_path_factory):
    model = small()
    return model, export_model(model, tmp_path_factory.mktemp("small") / "export", card_for("digits/vae", model))


# ── Equality ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_without_the_zoo_codes_and_reconstructions_are_the_models(alone, contrastive, images, n, dtype):
    x = images[:n] if dtype == "uint8" else (images[:n] / 255).astype(dtype)
    expected = contrastive.encode(x)
    np.testing.assert_allclose(alone[f"loc {n} {dtype}"], expected.loc, rtol=0, atol=1e-5)
    np.testing.assert_allclose(alone[f"scale {n} {dtype}"], expected.scale, rtol=0, atol=1e-5)
    np.testing.assert_allclose(alone[f"reconstruct {n} {dtype}"], contrastive.reconstruct(x), rtol=0, atol=1e-5)
    assert np.std(expected.loc) > 0.01


def test_signatures_are_the_endpoints(alone, contrastive, images):
    expected = contrastive.encode(images[:7]).loc
    for name in ("serving_default", "signature encode", "signature encode_uint8"):
        np.testing.assert_allclose(alone[name], expected, rtol=0, atol=1e-5)
    for name in ("signature reconstruct", "signature reconstruct_uint8"):
        np.testing.assert_allclose(alone[name], contrastive.reconstruct(images[:7]), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(alone["signature decode"], alone["decode float32"])
    np.testing.assert_array_equal(alone["signature sample"], alone["sample"])


def test_decoding_is_the_models(alone, contrastive):
    expected = contrastive.decode(alone["z"])
    for dtype in ("float32", "float64"):
        np.testing.assert_allclose(alone[f"decode {dtype}"], expected, rtol=0, atol=1e-5)


def test_samples_are_the_models_and_the_same_for_the_same_seed(alone, contrastive):
    np.testing.assert_allclose(alone["sample"], contrastive.sample(5, seed=3), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(alone["sample"], alone["sample again"])
    assert np.abs(alone["sample"] - alone["sample other"]).max() > 1e-3


def test_signatures_by_name_and_type(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    found = {
        name: {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in f.structured_input_signature[1].items()}
        for name, f in signatures.items()
    }
    image = [None, 28, 28, 1]
    assert found == {
        "encode": {"x": ("float32", image)},
        "serving_default": {"x": ("float32", image)},
        "encode_uint8": {"x": ("uint8", image)},
        "encode_float64": {"x": ("float64", image)},
        "reconstruct": {"x": ("float32", image)},
        "reconstruct_uint8": {"x": ("uint8", image)},
        "reconstruct_float64": {"x": ("float64", image)},
        "decode": {"z": ("float32", [None, 16])},
        "sample": {"n": ("int32", []), "seed": ("int32", [])},
    }
    assert set(signatures["encode"].structured_outputs) == {"loc", "scale"}


def test_only_the_networks_are_exported_and_the_model_stays_as_it_was(exported, contrastive, tmp_path):
    stored = [shape for name, shape in tf.train.list_variables(exported / "variables" / "variables") if "/" in name]
    wanted = (*contrastive.encoder.weights, *contrastive.decoder.weights, *contrastive.head.weights)
    assert sorted(stored) == sorted(list(w.shape) for w in wanted)  # no queue, no key encoder, no counters
    before = [w.numpy() for w in contrastive.weights]
    export_model(contrastive, tmp_path / "again", card_for("digits/contrastive", contrastive))
    for old, new in zip(before, contrastive.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_an_export_names_no_path_of_this_machine(exported):
    places = [str(Path(__file__).parent.parent), str(exported.parent), "site-packages", sys.prefix, ".py"]
    for path in exported.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [place for place in places if place.encode() in content], path


# ── The card ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_card_says_what_the_export_is(exported):
    card = Card.read(exported)
    assert card.name == "digits/contrastive"
    assert card.data.licence == "CC BY 4.0"
    assert card.data.splits == {"train": "train", "validation": "validation", "test": "test"}
    assert card.metrics["test"]["rate"] == Figure(value=12.5, unit="nats", examples=300)
    assert card.configuration == configurations.load("digits/contrastive").model_dump()
    assert card.versions["tensorflow"] == tf.__version__
    assert card.versions["keras"] == keras.__version__
    assert set(card.versions) == {"python", "zoo", "tensorflow", "keras", "tensorflow-probability"}
    assert card.licence == "Apache-2.0"
    assert (card.example_shape, card.latent_dim, card.support) == ((28, 28, 1), 16, "real")
    assert (card.domain, card.noun, card.left_out) == ({"name": "images"}, "images", {})
    text = (exported / "README.md").read_text()
    for part in ("mutual_information", "5.25", "nats", "300", "CC BY 4.0", "gamma: 1.0", tf.__version__, card.checksum):
        assert part in text


def test_the_readme_says_how_to_load_it(exported, contrastive, images):
    text = (exported / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0].replace("path/to/this/folder", str(exported))
    names = {"x": images[:5]}
    exec(code, names)
    np.testing.assert_allclose(names["codes"]["loc"], contrastive.encode(images[:5]).loc, rtol=0, atol=1e-5)


def test_the_checksum_is_over_the_saved_models_files(exported):
    digest = hashlib.sha256()
    files = ["fingerprint.pb", "saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]
    for name in files:
        content = (exported / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    assert Card.read(exported).checksum == f"sha256:{digest.hexdigest()}"


def test_the_card_keeps_the_users_path_to_itself():
    settings = ["model.latent_dim=3", "data.name=files", "data.path=/home/ada/secret/faces.npz"]
    experiment = configurations.load("digits/vae", settings)
    card = card_of(experiment, small())
    assert card.configuration["data"]["path"] == "faces.npz"
    assert "secret" not in card.model_dump_json()


def test_versions_are_those_of_the_training():
    experiment = configurations.load("digits/vae", ["model.latent_dim=3"])
    card = card_of(experiment, small(), environment={"tensorflow": "2.99.0", "cores": 64})
    assert card.versions["tensorflow"] == "2.99.0"
    assert card.versions["keras"] == keras.__version__
    assert "cores" not in card.versions


# ── Whole or not at all ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_export_is_replaced(tmp_path):
    first, second = small(), small()
    second.decoder.weights[-1].assign_add([1.0] * 48)
    folder = tmp_path / "export"
    old = Card.read(export_model(first, folder, card_for("digits/vae", first))).checksum
    export_model(second, folder, card_for("digits/vae", second))
    assert Card.read(folder).checksum == checksum(folder) != old
    loaded = load_export(folder)
    np.testing.assert_allclose(loaded.sample(2, 0)["mean"], second.sample(2, seed=0), atol=1e-6)
    assert os.listdir(tmp_path) == ["export"]


@pytest.mark.parametrize("step", ["writing", "renaming"])
def test_a_failure_leaves_the_old_export(small_export, tmp_path, monkeypatch, step):
    model, _ = small_export
    folder = export_model(model, tmp_path / "export", card_for("digits/vae", model))
    old = checksum(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    rename = Path.rename
    if step == "writing":
        monkeypatch.setattr(Card, "write", full)
    else:
        monkeypatch.setattr(Path, "rename", lambda old, to: full() if old.name == to.name else rename(old, to))
    with pytest.raises(ValueError, match=r"export: cannot be written: No space left on device$"):
        export_model(model, folder, card_for("digits/vae", model))
    assert Card.read(folder).checksum == checksum(folder) == old
    assert os.listdir(tmp_path) == ["export"]


def test_what_is_no_export_is_not_replaced(small_export, tmp_path):
    model, _ = small_export
    (tmp_path / "thesis.tex").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(ValueError, match="holds something else than an export"):
            export_model(model, place, card_for("digits/vae", model))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_model_without_weights_is_refused(tmp_path):
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    model = VAE(encoder, networks.build("mlp", (8, 6, 1), 3).decoder, 3)
    with pytest.raises(ValueError, match="VAE: has no weights yet"):
        export_model(model, tmp_path / "export", card_for("digits/vae", small()))


def test_the_index_lists_all_exports_in_order(exported, small_export, tmp_path):
    for name, source in (("digits/vae", small_export[1]), ("digits/contrastive", exported)):
        (tmp_path / name).mkdir(parents=True)
        Card.read(source).write(tmp_path / name)
    (tmp_path / "digits" / ".vae.new").mkdir()
    Card.read(small_export[1]).write(tmp_path / "digits" / ".vae.new")
    index = update_index(tmp_path)
    content = index.read_text()
    entries = json.loads(content)["exports"]
    assert [entry["name"] for entry in entries] == ["digits/contrastive", "digits/vae"]
    assert entries[0]["checksum"] == checksum(exported)
    assert entries[0]["metrics"] == METRICS
    assert "test MI 5.25 nats" in entries[0]["summary"]
    assert update_index(tmp_path).read_text() == content
    (tmp_path / "digits/vae" / CARD).write_text("{}")
    with pytest.raises(ValueError, match=r"card\.json: damaged"):
        update_index(tmp_path)
    assert index.read_text() == content


# ── Encoding files ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_encode_file_gives_the_models_codes(small_export, tmp_path, dtype):
    model, export = small_export
    x = np.random.default_rng(0).integers(0, 256, (70, 8, 6, 1), dtype=np.uint8)
    given = x if dtype == "uint8" else (x / 255).astype(dtype)
    np.savez(tmp_path / "x.npz", images=given, labels=np.arange(70))
    to = encode_file(export, str(tmp_path / "x.npz"), tmp_path / "codes.npz", batch_size=32)
    codes = np.load(to)
    expected = model.encode(given)
    np.testing.assert_allclose(codes["loc"], expected.loc, rtol=0, atol=1e-5)
    np.testing.assert_allclose(codes["scale"], expected.scale, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(codes["labels"], np.arange(70))
    np.save(tmp_path / "x.npy", given)
    encode_file(export, str(tmp_path / "x.npy"), to)
    assert set(np.load(to)) == {"loc", "scale"}
    assert sorted(os.listdir(tmp_path)) == ["codes.npz", "x.npy", "x.npz"]


GOOD = np.zeros((4, 8, 6, 1), np.float32)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GOOD[:, :7], "holds images of 7x6x1, but 8x6x1"),
        (np.repeat(GOOD, 3, -1), "holds images of 8x6x3, but 8x6x1"),
        (GOOD[0, 0], "rank 4"),
        (GOOD[:0], "no images"),
        (GOOD.astype(complex), "pixels of type complex128"),
        (np.where(np.arange(6)[:, None] == 2, np.nan, GOOD), "NaN"),
        (GOOD + 2, r"must lie in \[0, 1\]"),
    ],
)
def test_encode_file_refuses_what_the_signature_does_not_take(small_export, tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    (tmp_path / "codes.npz").write_text("of yesterday")
    with pytest.raises(ValueError, match=message) as caught:
        encode_file(small_export[1], str(tmp_path / "x.npy"), tmp_path / "codes.npz")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "codes.npz").read_text() == "of yesterday"
    assert sorted(os.listdir(tmp_path)) == ["codes.npz", "x.npy"]


def test_floats_beyond_the_unit_interval_are_for_the_likelihood_to_refuse(tmp_path):
    model = small("gaussian")
    export = export_model(model, tmp_path / "export", card_for("digits/vae", model))
    np.save(tmp_path / "x.npy", GOOD + 2)
    to = encode_file(export, str(tmp_path / "x.npy"), tmp_path / "codes.npz")
    np.testing.assert_allclose(np.load(to)["loc"], model.encode(GOOD + 2).loc, rtol=0, atol=1e-5)


def test_encode_file_names_what_is_wrong_with_the_export_or_the_target(small_export, tmp_path):
    model, good = small_export
    np.save(tmp_path / "x.npy", GOOD)
    source = str(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="not an export"):
        encode_file(tmp_path / "nothing", source, tmp_path / "codes.npz")
    with pytest.raises(ValueError, match="no such folder"):
        encode_file(good, source, tmp_path / "nowhere" / "codes.npz")
    with pytest.raises(ValueError, match="a folder has this name"):
        encode_file(good, source, tmp_path)
    damaged = export_model(model, tmp_path / "export", card_for("digits/vae", model))
    with (damaged / "variables" / "variables.data-00000-of-00001").open("r+b") as file:
        file.write(b"\xff")
    with pytest.raises(ValueError, match="damaged"):
        encode_file(damaged, source, tmp_path / "codes.npz")
    assert sorted(os.listdir(tmp_path)) == ["export", "x.npy"]


def test_names_are_no_markup_in_a_card():
    from zoo.export import readme
    from zoo.export.card import Card, DataSet

    evil = "<script>alert(1)</script> [x](y) `z` | _w_ &lt;"
    card = Card(
        name=evil,
        method=evil,
        data=DataSet(name=evil, description=evil, splits={"train": evil}, licence=evil, homepage=""),
        example_shape=(2, 2, 1),
        latent_dim=3,
        metrics={evil: {evil: {"value": 1.0, "unit": evil, "examples": 3, "note": evil}}},
        configuration={"data": {"path": "a\n```\n<script>"}},
        left_out={"sample": evil},
        versions={"zoo": evil},
    )
    text = readme.markdown(card)
    # A fence that a value cannot close holds the configuration; within a line of code nothing is markup.
    before, configuration, after = text.split("````")
    assert "```\n" in configuration and "<script>" in configuration
    for line in re.sub(r"```python.*?```", "", before + after, flags=re.DOTALL).splitlines():
        outside = "".join(line.replace("\\`", "").split("`")[::2])
        assert not re.search(r"(?<!\\)[<>]", outside) and "[x](y)" not in outside, line
    rows = [line for line in text.splitlines() if line.startswith("| \\<script")]
    assert len(rows) == 1 and len(re.findall(r"(?<!\\)\|", rows[0])) == 7
