"""Exports of tables, sequences and models of one's own: the model's answers without the zoo, errors that say why."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from tensorflow_probability import distributions as tfd

import zoo
from zoo.domains import Features
from zoo.export.card import CARD, Card
from zoo.export.encoding import encode_file, load_export
from zoo.latents.posterior import Posterior
from zoo.latents.prior import Prior

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
LOC, SCALE = [5.0, -50.0, 0.0], [10.0, 100.0, 0.5]
WORDS, STEPS = 7, 6

# Runs with nothing but TensorFlow: what each endpoint gives, and the README's layer.
ALONE = """
import sys
import numpy as np
import keras
import tensorflow as tf


folder, given, to = sys.argv[1:]
model, given, out = tf.saved_model.load(folder), np.load(given), {}
for dtype in given["types"]:
    for n in (0, 1, 7):
        x = given["x"][:n].astype(dtype)
        codes = model.encode(x)
        out[f"loc {n} {dtype}"], out[f"scale {n} {dtype}"] = codes["loc"], codes["scale"]
        out[f"reconstruct {n} {dtype}"] = model.reconstruct(x)["mean"]
for n in (0, 5):
    out[f"decode {n}"] = model.decode(given["z"][:n])["mean"]
    out[f"sample {n}"] = model.sample(n, 3)["mean"]
out["signature"] = model.signatures["serving_default"](x=tf.constant(given["x"].astype(given["types"][0])))["loc"]
code = open(f"{folder}/README.md").read().split("```python\\n")[2].split("```")[0]
names = {"keras": keras}
exec(code.replace("path/to/this/folder", folder), names)
assert code.count("\\n") == 3, code
classifier = names["classifier"]
classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x = given["x"].astype(given["types"][0])
features = keras.Model(classifier.input, names["codes"])
classifier.fit(x, np.arange(len(x)) % 3, verbose=0)
out["layer"] = features.predict(x, verbose=0)["loc"]
np.savez(to, **out)
assert not [name for name in ("zoo", "tensorflow_probability") if name in sys.modules]
"""


def randomised(model):
    """Gives every weight a value of its own."""
    model.build_if_known()
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return model


def table_model(method=zoo.VAE, **arguments):
    x, z = keras.Input((3,)), keras.Input((2,))
    encoder = keras.Model(x, keras.layers.Dense(4, activation="tanh")(x))
    decoder = keras.Model(z, keras.layers.Dense(3)(z))
    return randomised(method(encoder, decoder, 2, **{"likelihood": "gaussian", "seed": 0, **arguments}))


def sequence_model(steps=STEPS):
    """An autoregressive decoder: a GRU over the words before."""
    x, z, told = keras.Input((steps,)), keras.Input((2,)), keras.Input((steps,))
    encoder = keras.Model(x, keras.layers.GRU(4)(keras.layers.Embedding(WORDS, 3)(x)))
    before = keras.layers.ZeroPadding1D((1, 0))(keras.layers.Embedding(WORDS, 3)(told))[:, :-1]
    start = keras.layers.Dense(5)(z)
    states = keras.layers.GRU(5, return_sequences=True)(before, initial_state=start)
    decoder = keras.Model([z, told], keras.layers.Dense(WORDS)(states))
    return randomised(zoo.VAE(encoder, decoder, 2, likelihood={"name": "categorical", "categories": WORDS}, seed=0))


GENERATOR = np.random.default_rng(1)
TABLE = (GENERATOR.normal(size=(7, 3)) * SCALE + LOC).astype("float32")
SEQUENCES = GENERATOR.integers(0, WORDS, (7, STEPS))


def made(kind):
    if kind == "table":
        return table_model(domain=Features(LOC, SCALE)), TABLE
    return sequence_model(), SEQUENCES


@pytest.fixture(scope="module", params=["table", "sequences"])
def case(request, tmp_path_factory):
    """(model, examples, folder of its export, what the export gave alone, the codes that were decoded)."""
    (model, x), folder = made(request.param), tmp_path_factory.mktemp(request.param)
    model.export(folder / "export")
    z = np.random.default_rng(2).normal(size=(5, 2)).astype("float32")
    np.savez(folder / "given.npz", x=x, z=z, types=model.domain.types)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", ALONE, *(str(folder / name) for name in ("export", "given.npz", "out.npz"))]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return model, x, folder / "export", dict(np.load(folder / "out.npz")), z


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_type_is_encoded_and_reconstructed_as_by_the_model(case):
    model, x, _, out, _ = case
    expected, means = model.encode(x), model.reconstruct(x)
    assert np.std(expected.loc) > 0.01 and np.std(means) > 0.01
    for dtype in model.domain.types:
        for n in (1, 7):
            np.testing.assert_allclose(out[f"loc {n} {dtype}"], expected.loc[:n], rtol=0, atol=1e-5)
            np.testing.assert_allclose(out[f"scale {n} {dtype}"], expected.scale[:n], rtol=0, atol=1e-5)
            np.testing.assert_allclose(out[f"reconstruct {n} {dtype}"], means[:n], rtol=0, atol=1e-5)
    np.testing.assert_allclose(out["signature"], expected.loc, rtol=0, atol=1e-5)


def test_codes_are_decoded_and_drawn_as_by_the_model(case):
    model, _, _, out, z = case
    np.testing.assert_allclose(out["decode 5"], model.decode(z), rtol=0, atol=1e-5)
    np.testing.assert_allclose(out["sample 5"], model.sample(5, seed=3), rtol=0, atol=1e-5)


def test_an_empty_batch_gives_an_empty_answer(case):
    model, x, _, out, _ = case
    for dtype in model.domain.types:
        assert out[f"loc 0 {dtype}"].shape == out[f"scale 0 {dtype}"].shape == (0, 2)
        assert out[f"reconstruct 0 {dtype}"].shape == (0, *x.shape[1:])
    assert out["decode 0"].shape == out["sample 0"].shape == (0, *x.shape[1:])


def test_the_readmes_layer_trains_a_classifier_and_stays_as_it_is(case):
    model, x, _, out, _ = case
    np.testing.assert_allclose(out["layer"], model.encode(x).loc, rtol=0, atol=1e-5)


def test_signatures_are_named_by_type(case):
    model, x, folder, _, _ = case
    first, *others = model.domain.types
    names = [f"{name}{ending}" for name in ("encode", "reconstruct") for ending in ("", *(f"_{t}" for t in others))]
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {*names, "decode", "sample", "serving_default"}
    for name, dtype in (("encode", first), (f"reconstruct_{others[-1]}", others[-1])):
        spec = signatures[name].structured_input_signature[1]["x"]
        assert (spec.dtype.name, spec.shape.as_list()) == (dtype, [None, *x.shape[1:]])


def test_standardised_features_come_back_in_their_own_units(tmp_path):
    """The scale is part of the graph, once: the export knows it as the domain does."""
    model = table_model(domain=Features(LOC, SCALE))
    model.export(tmp_path / "export")
    card, found = Card.read(tmp_path / "export"), load_export(tmp_path / "export")
    plain = table_model()
    np.testing.assert_allclose(found.encode(TABLE)["loc"], plain.encode((TABLE - LOC) / SCALE).loc, atol=1e-5)
    assert card.domain == {"name": "features", "loc": LOC, "scale": SCALE}


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("loaded"), {}
    x, z = keras.Input((4, 4, 1)), keras.Input((2,))
    encoder = keras.Model(x, keras.layers.Flatten()(x))
    decoder = keras.Model(z, keras.layers.Reshape((4, 4, 1))(keras.layers.Dense(16)(z)))
    models = {
        "images": zoo.VAE(encoder, decoder, 2),
        "table": table_model(),
        "sequences": sequence_model(),
    }
    for name, model in models.items():
        model.export(folder / name)
        found[name] = tf.saved_model.load(str(folder / name))
    return found


IMAGES = np.full((3, 4, 4, 1), 0.5, "float32")


def with_entry(x, value):
    x = x.copy()
    x.flat[4] = value
    return x


@pytest.mark.parametrize("through", ["attribute", "signature"])
@pytest.mark.parametrize(
    ("kind", "name", "given", "parts"),
    [
        ("images", "encode", IMAGES[:, :3], ("encode", "images", "[any, 4, 4, 1]", "[3 3 4 1]")),
        ("images", "encode", IMAGES[0], ("[any, 4, 4, 1]", "[4 4 1]")),
        ("images", "reconstruct", IMAGES[0, 0, 0, 0], ("reconstruct", "[any, 4, 4, 1]", "[]")),
        ("images", "encode", with_entry(IMAGES, np.nan), ("encode", "[0, 1]", "[1]")),
        ("images", "encode", with_entry(IMAGES, 255.0), ("[0, 1]", "[1]", "[255]")),
        ("images", "reconstruct", with_entry(IMAGES, -0.25), ("reconstruct", "[0, 1]", "[-0.25]")),
        ("images", "decode", np.zeros((2, 3), "float32"), ("decode", "codes", "[any, 2]", "[2 3]")),
        ("images", "decode", np.full((2, 2), np.inf, "float32"), ("decode", "finite", "[4]")),
        ("table", "encode", TABLE[:, :2], ("features", "[any, 3]", "[7 2]")),
        ("table", "encode", with_entry(TABLE, np.inf), ("finite", "[1]", "[inf]")),
        ("sequences", "encode", (SEQUENCES + 1).astype("int32"), ("sequences", "0 to 6", "[7]")),
        ("sequences", "encode", SEQUENCES[:, 1:].astype("int32"), ("[any, 6]", "[7 5]")),
    ],
)
def test_the_graph_says_what_is_wrong_in_one_line(loaded, through, kind, name, given, parts):
    function = getattr(loaded[kind], name) if through == "attribute" else loaded[kind].signatures[name]
    argument = {"z" if name == "decode" else "x": tf.constant(given)}
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        function(*argument.values()) if through == "attribute" else function(**argument)
    line = next(line for line in str(caught.value).splitlines() if "assertion failed" in line)
    assert all(part in line for part in parts), line


def test_other_mistakes_and_what_is_none(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 0, got"):
        loaded["table"].sample(-1, 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 to 6"):
        loaded["sequences"].signatures["encode_float32"](x=tf.constant(SEQUENCES + 0.5, tf.float32) * 0.5)
    assert np.isfinite(loaded["images"].encode(np.full((2, 4, 4, 1), 255, "uint8"))["loc"]).all()


# ── Cards ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_without_an_experiment_says_what_the_model_knows(tmp_path):
    x, z = keras.Input((3,)), keras.Input((2,))
    networks = keras.Model(x, keras.layers.Dense(4)(x)), keras.Model(z, keras.layers.Dense(3)(z))
    model = zoo.combine("consistency", "iwae")(*networks, 2, likelihood="gaussian", samples=3, beta=0.5, seed=9)
    model.export(tmp_path / "export")
    card, text = Card.read(tmp_path / "export"), (tmp_path / "export" / "README.md").read_text()
    assert (card.name, card.data, card.metrics) == ("consistency+iwae", None, {})
    assert (card.example_shape, card.latent_dim, card.noun, card.support) == ((3,), 2, "features", "real")
    assert card.types == ("float32", "float64")
    known = {"methods": ["consistency", "iwae"], "samples": 3, "beta": 0.5, "seed": 9, "latent_dim": 2}
    assert {name: card.configuration[name] for name in known} == known
    assert card.configuration["likelihood"] == {"class": "Gaussian", "variance": 1.0, "learned": False}
    assert not {"encoder", "decoder", "network"} & set(card.configuration)
    assert yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S)[1]) == card.configuration
    assert card.checksum in text and tf.__version__ in text


def test_the_card_of_another_model_is_refused(tmp_path):
    card = Card.of_model(sequence_model())
    with pytest.raises(ValueError, match=r"^card: is of another model: its example_shape is 6, but the model's is 3$"):
        table_model().export(tmp_path / "export", card=card)
    assert not list(tmp_path.iterdir())


def test_what_cannot_exist_is_left_out_and_said(tmp_path):
    """Sequences of any length: nobody says how long a drawn one is."""
    model = sequence_model(steps=None)
    with pytest.warns(UserWarning, match="has no 'sample'"):
        model.export(tmp_path / "export")
    found, card = load_export(tmp_path / "export"), Card.read(tmp_path / "export")
    assert set(card.left_out) == {"decode", "sample"} and not {"decode", "sample"} & set(found.signatures)
    assert card.example_shape == (None,)
    assert "There is no `sample`" in (tmp_path / "export" / "README.md").read_text()
    for steps in (3, 6):
        x = SEQUENCES[:, :steps]
        np.testing.assert_allclose(found.encode(x)["loc"], model.encode(x).loc, atol=1e-5)


class Mixture(Prior):
    """Two bumps, of which no function of normal noise is a sample."""

    def conditional(self, group, above, size):
        bumps = tfd.MultivariateNormalDiag(tf.stack([-tf.ones(size), tf.ones(size)]))
        return tfd.MixtureSameFamily(tfd.Categorical([0.0, 0.0]), bumps)


def test_a_prior_that_cannot_be_drawn_from(tmp_path):
    model = table_model(prior=Mixture())
    with pytest.warns(UserWarning, match="has no 'sample': Mixture"):
        model.export(tmp_path / "export")
    found = load_export(tmp_path / "export")
    assert "sample" not in found.signatures
    np.testing.assert_allclose(found.decode(np.ones((2, 2)))["mean"], model.decode(np.ones((2, 2))), atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class TwoGroups(zoo.VAE):
    """A chain of two groups.

    The second is told the first.
    """

    def build(self, input_shape):
        self.top, self.below = keras.layers.Dense(2), keras.layers.Dense(2)
        self.group_sizes = (1, 1)
        self.top.build((None, 4))
        self.below.build((None, 5))
        super().build(input_shape)

    def posterior_of(self, features):
        def group(layer, given):
            loc, scale = tf.split(layer(given), 2, axis=-1)
            return tfd.Normal(loc, tf.nn.softplus(scale))

        conditionals = [
            lambda _: group(self.top, features),
            lambda above: group(self.below, tf.concat([features, above], -1)),
        ]
        return Posterior(conditionals, [1, 1], self.prior)


def test_a_model_of_ones_own_is_exported(tmp_path):
    model = table_model(TwoGroups)
    model.export(tmp_path / "export")
    loaded, expected = load_export(tmp_path / "export"), model.encode(TABLE)
    found = loaded.encode(TABLE)
    np.testing.assert_allclose(found["loc"], expected.loc, atol=1e-5)
    np.testing.assert_allclose(found["scale"], expected.scale, atol=1e-5)
    assert Card.read(tmp_path / "export").method == "TwoGroups: A chain of two groups"
    with pytest.raises(ValueError, match="TwoGroups: encoder_model"):
        model.encoder_model()


def test_only_a_saved_model_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"^export: format must be 'tf_saved_model', got 'onnx'"):
        table_model().export(tmp_path / "export", "onnx")


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_zoo_encode_on_a_table(command, tmp_path):
    model = table_model(domain=Features(LOC, SCALE))
    model.export(tmp_path / "export")
    rows = "\n".join(",".join(map(repr, map(float, row))) for row in TABLE)
    (tmp_path / "x.csv").write_text(f"a,b,c\n{rows}\n")
    np.save(tmp_path / "x.npy", TABLE.astype("float64"))
    for name in ("x.csv", "x.npy"):
        code, _, error = command("encode", tmp_path / "export", tmp_path / name, "--to", tmp_path / "codes.npz")
        assert code == 0, error
        np.testing.assert_allclose(np.load(tmp_path / "codes.npz")["loc"], model.encode(TABLE).loc, atol=1e-5)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    code, _, error = command("encode", tmp_path / "export", tmp_path / "x.csv", "--to", tmp_path / "codes.npz")
    assert code == 2 and "holds features of 2, but 3" in error


def test_sequences_are_encoded_from_a_file(tmp_path):
    model = sequence_model()
    model.export(tmp_path / "export")
    np.save(tmp_path / "x.npy", SEQUENCES)
    encode_file(tmp_path / "export", str(tmp_path / "x.npy"), tmp_path / "codes.npz", batch_size=4)
    np.testing.assert_allclose(np.load(tmp_path / "codes.npz")["loc"], model.encode(SEQUENCES).loc, atol=1e-5)
    np.save(tmp_path / "x.npy", SEQUENCES + 1)
    with pytest.raises(ValueError, match=r"x\.npy: must lie in 0\.\.6"):
        encode_file(tmp_path / "export", str(tmp_path / "x.npy"), tmp_path / "codes.npz")


@pytest.mark.parametrize("name", ["digits/vae", "digits/contrastive"])
def test_exports_of_earlier_versions_are_read(name, tmp_path):
    export = ROOT / "exports" / name
    old = (export / CARD).read_text()
    card = Card.read(export)
    assert (card.name, card.example_shape, card.domain) == (name, (28, 28, 1), {"name": "images"})
    assert card.support == ("unit_interval" if '"unit_interval": true' in old else "real")
    images = np.arange(2 * 784, dtype="uint8").reshape(2, 28, 28, 1)
    np.save(tmp_path / "x.npy", images)
    encode_file(export, str(tmp_path / "x.npy"), tmp_path / "codes.npz")
    expected = tf.saved_model.load(str(export)).signatures["encode_uint8"](x=tf.constant(images))
    np.testing.assert_allclose(np.load(tmp_path / "codes.npz")["loc"], expected["loc"], atol=1e-5)


def test_a_card_of_an_earlier_version_that_takes_the_unit_interval():
    given = {"name": "a", "method": "b", "latent_dim": 2, "image_shape": [4, 4, 1], "unit_interval": True}
    assert Card.model_validate(given).support == "unit_interval"
    assert Card.model_validate(given | {"unit_interval": False}).support == "real"


def test_a_table_is_encoded_with_the_column_of_labels_that_it_was_trained_with(command, tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    names = np.array(["owl", "fox", "elk"])[np.arange(60) % 3]
    lines = ["a,b,c,species", *(",".join([*map(str, row), name]) for row, name in zip(rows, names, strict=True))]
    (tmp_path / "my.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "data": {"name": "files", "path": str(tmp_path / "my.csv"), "label_column": "species"},
        "model": {"method": "vae", "network": {"name": "mlp", "width": 8}, "likelihood": "gaussian", "latent_dim": 2},
        "train": {"epochs": 1, "batch_size": 16},
    }
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    code, _, err = command("train", tmp_path / "my.yaml", "--run-dir", tmp_path / "run", "--quiet")
    assert code == 0, err
    code, _, err = command("encode", tmp_path / "run" / "export", tmp_path / "my.csv", "--to", tmp_path / "codes.npz")
    assert code == 0, err
    codes = np.load(tmp_path / "codes.npz")
    assert codes["loc"].shape == (60, 2) and codes["labels"].tolist() == [2, 1, 0] * 20
    for name in ("rows.csv", "rows.npy", "rows.png"):
        code, _, err = command("sample", tmp_path / "run", "--n", 5, "--to", tmp_path / name)
        assert code == 0, err
    drawn = np.load(tmp_path / "rows.npy")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "rows.csv", delimiter=","), drawn, rtol=1e-5)
    assert drawn.shape == (5, 3)
