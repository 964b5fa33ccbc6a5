"""Exports for TensorFlow Serving, LiteRT and ONNX: the numbers of the model, by the runtimes that will run them."""

import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.export import converted, litert, onnx_files, serving
from zoo.export.card import CARD, Card, checksum
from zoo.export.encoding import load_export
from zoo.export.formats import FORMS
from zoo.export.plain_graph import plain
from zoo.export.saved_model import export_model

RUNTIMES = {"litert": litert, "onnx": onnx_files}


def installed(name):
    missing = [module for module in FORMS[name].modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"without {', '.join(missing)}")


both = pytest.mark.parametrize("name", [pytest.param(name, marks=installed(name)) for name in RUNTIMES])


def randomised(model):
    """Gives every weight a value of its own, batch normalisation's moments included."""
    generator = np.random.default_rng(0)
    model.build_if_known()
    for weight in (*model.encoder.weights, *model.decoder.weights, *model.head.weights):
        noise = generator.normal(0, 0.1, weight.shape)
        weight.assign(1 + np.abs(noise) if "variance" in weight.path else weight.numpy() + noise)
    return model


def image_model(network="mlp", shape=(8, 6, 1), **arguments):
    keras.utils.set_random_seed(0)
    encoder, decoder = networks.build(network, shape, 3, **arguments)
    return randomised(zoo.VAE(encoder, decoder, 3, likelihood="bernoulli"))


def text_model():
    """Tokens to tokens by LSTMs, which know what is padding."""
    keras.utils.set_random_seed(0)
    x, z = keras.Input((6,)), keras.Input((3,))
    encoded = keras.layers.LSTM(4)(keras.layers.Embedding(5, 4, mask_zero=True)(x))
    decoded = keras.layers.Dense(5)(keras.layers.LSTM(4, return_sequences=True)(keras.layers.RepeatVector(6)(z)))
    likelihood, domain = {"name": "categorical", "categories": 5}, zoo.domains.Tokens(5, padding=0)
    return zoo.VAE(keras.Model(x, encoded), keras.Model(z, decoded), 3, likelihood=likelihood, domain=domain)


NETWORKS = {
    "mlp": {"width": 16},
    "conv": {"network": "conv", "shape": (28, 28, 1)},
    "conv, 32 pixels": {"network": "conv", "shape": (32, 32, 3)},
    "wae_conv": {"network": "wae_conv", "shape": (28, 28, 1), "filters": 8},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Models and their exports by network, made at the first use."""
    made = {}

    def get(network, half=False):
        if (network, half) not in made:
            model = image_model(**NETWORKS[network])
            folder = tmp_path_factory.mktemp("exports") / "export"
            made[network, half] = model, export_model(model, folder, half=half)
        return made[network, half]

    return get


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ── LiteRT and ONNX ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@both
@pytest.mark.parametrize("network", NETWORKS)
def test_codes_and_images_are_the_models(name, network, exported, tmp_path):
    model, export = exported(network)
    files = contents(converted.write(export, name, tmp_path / name))
    generator = np.random.default_rng(3)
    for n in (1, 5, 2):
        x, z = generator.random((n, *model.example_shape), "f4"), generator.normal(size=(n, 3)).astype("f4")
        codes, expected = RUNTIMES[name].answers(files, "encode", {"x": x}), model.encode(x)
        np.testing.assert_allclose(codes["loc"], expected.loc, rtol=0, atol=1e-4)
        np.testing.assert_allclose(codes["scale"], expected.scale, rtol=0, atol=1e-4)
        mean = RUNTIMES[name].answers(files, "decode", {"z": z})["mean"]
        np.testing.assert_allclose(mean, model.decode(z), rtol=0, atol=1e-4)
        assert np.std(expected.loc) > 0.01 and np.std(mean) > 0.01


@pytest.mark.slow
@installed("onnx")
def test_what_a_transposed_convolution_pads_is_no_negative_pad(exported, tmp_path):
    import onnx

    _, export = exported("conv")
    graph = onnx.load(converted.write(export, "onnx", tmp_path / "onnx") / "decode.onnx").graph
    found = [{a.name: list(a.ints) for a in node.attribute} for node in graph.node if node.op_type == "ConvTranspose"]
    assert len(found) == 4 and all(min(each["pads"]) >= 0 for each in found)
    assert [each["output_padding"] for each in found if "output_padding" in each] == [[1, 1]]
    assert [axis.dim_param for axis in graph.input[0].type.tensor_type.shape.dim] == ["n", ""]


@pytest.mark.slow
@both
def test_a_half_export_has_its_own_numbers(name, exported, tmp_path):
    model, export = exported("mlp", half=True)
    files = contents(converted.write(export, name, tmp_path / name))
    x = np.random.default_rng(3).random((4, *model.example_shape), "f4")
    expected = load_export(export).encode(x)["loc"].numpy()
    loc = RUNTIMES[name].answers(files, "encode", {"x": x})["loc"]
    np.testing.assert_allclose(loc, expected, rtol=0, atol=1e-5)
    assert np.abs(expected - model.encode(x).loc).max() > 1e-4


@pytest.mark.slow
@both
def test_its_readme_says_how_it_is_loaded_and_that_it_refuses_nothing(name, exported, tmp_path):
    model, export = exported("mlp")
    folder = converted.write(export, name, tmp_path / name)
    text = (folder / "README.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)
    x = np.random.default_rng(3).random((2, *model.example_shape), "f4")
    found = {"x": x}
    exec(code.replace("path/to/this/folder", str(folder)), found)
    loc = found["loc"] if name == "onnx" else found["codes"]["loc"]
    np.testing.assert_allclose(loc, model.encode(x).loc, rtol=0, atol=1e-4)
    assert "float32: from 0 to 1, bytes divided by 255" in text and "It has no assertions" in text
    assert np.isnan(RUNTIMES[name].answers(contents(folder), "encode", {"x": np.full_like(x, np.nan)})["loc"]).all()


@pytest.mark.slow
@both
def test_examples_in_their_own_units_are_converted_and_the_readme_says_so(name, tmp_path):
    encoder, decoder = networks.build("mlp", (2,), 3, width=8)
    domain = zoo.domains.get({"name": "features", "loc": [100.0, -5.0], "scale": [50.0, 2.0]})
    model = randomised(zoo.VAE(encoder, decoder, 3, likelihood="bernoulli", domain=domain))
    folder = converted.write(export_model(model, tmp_path / "export"), name, tmp_path / name)
    x = np.array([[110.0, -4.0], [140.0, -3.5]], "f4")
    codes = RUNTIMES[name].answers(contents(folder), "encode", {"x": x})
    np.testing.assert_allclose(codes["loc"], model.encode(x).loc, rtol=0, atol=1e-5)
    text = (folder / "README.md").read_text()
    assert "float32: in their own units" in text and "What `decode` gives is standardised, (x − loc) / scale" in text


@pytest.mark.slow
@installed("litert")
def test_litert_names_the_operation_that_it_does_not_have(tmp_path):
    export = export_model(text_model(), tmp_path / "export")
    with pytest.raises(ValueError, match="litert: cannot be written: encode: it has the operation TensorListReserve,"):
        converted.write(export, "litert", tmp_path / "litert")
    assert os.listdir(tmp_path) == ["export"]


@pytest.mark.slow
@installed("onnx")
def test_onnx_has_lstms(tmp_path):
    model = text_model()
    files = contents(converted.write(export_model(model, tmp_path / "export"), "onnx", tmp_path / "onnx"))
    x = np.random.default_rng(3).integers(0, 5, (4, 6)).astype("int32")
    expected = model.encode(x)
    np.testing.assert_allclose(onnx_files.answers(files, "encode", {"x": x})["loc"], expected.loc, rtol=0, atol=1e-5)
    mean = onnx_files.answers(files, "decode", {"z": np.asarray(expected.loc)})["mean"]
    np.testing.assert_allclose(mean, model.decode(expected.loc), rtol=0, atol=1e-5)


@pytest.mark.slow
@both
def test_a_decoder_that_cannot_be_converted_is_left_out_and_named(name, exported, tmp_path, monkeypatch):
    _, export = exported("mlp")

    def without_counterpart(signature):
        function, (specs,) = plain(signature), [signature.structured_input_signature[1]]
        if "z" not in specs:
            return function
        made = tf.function(lambda **codes: {"mean": tf.math.bessel_i0e(function(**codes)["mean"])}, autograph=False)
        return made.get_concrete_function(**specs)

    monkeypatch.setattr("zoo.export.plain_graph.plain", without_counterpart)
    with pytest.warns(UserWarning, match=f"{name}: has no 'decode': it has the operation BesselI0e"):
        folder = converted.write(export, name, tmp_path / name)
    assert "There is no `decode`: it has the operation BesselI0e" in (folder / "README.md").read_text()
    assert "decode.onnx" not in os.listdir(folder)


@pytest.mark.slow
@both
def test_other_numbers_than_the_exports_are_not_written(name, exported, tmp_path, monkeypatch):
    _, export = exported("mlp")
    answers = RUNTIMES[name].answers

    def wrong(files, endpoint, inputs):
        found = answers(files, endpoint, inputs)
        return {**found, "mean": found["mean"] + np.float32(2e-4)} if endpoint == "decode" else found

    monkeypatch.setattr(RUNTIMES[name], "answers", wrong)
    with pytest.raises(ValueError, match=r"decode gives other numbers than the export, 0\.0002 apart"):
        converted.write(export, name, tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.slow
@both
def test_a_runtime_that_fails_is_one_line(name, exported, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("node 3 failed to prepare\nmore")

    monkeypatch.setattr(RUNTIMES[name], "answers", fails)
    with pytest.raises(ValueError, match=r"cannot be written: the runtime fails on encode: node 3 failed to prepare$"):
        converted.write(exported("mlp")[1], name, tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_a_plain_graph_asserts_nothing_and_gives_the_same(exported):
    model, export = exported("conv, 32 pixels")
    loaded = load_export(export)
    function = plain(loaded.signatures["encode"])
    found = {node.op for node in function.graph.as_graph_def().node}
    assert not found & {"Assert", "EnsureShape", "PlaceholderWithDefault", "StatefulPartitionedCall"}
    x = tf.random.stateless_uniform((3, *model.example_shape), (0, 0))
    np.testing.assert_allclose(function(x=x)["scale"], loaded.encode(x)["scale"], rtol=0, atol=1e-5)
    # A network's own padding stays: that of `conv` stands in front of even sizes.
    assert "Pad" in found


@pytest.mark.slow
@installed("litert")
def test_a_run_has_its_file_beside_its_export_until_it_has_more_epochs(command, tmp_path):
    run = tmp_path / "run"
    short = ("data.train=train[:128]", "model.network={name: mlp, width: 8}", "train.epochs=1", "train.batch_size=64")
    settings = [word for value in (*short, "watch.images=64") for word in ("--set", value)]
    assert command("train", "digits/vae", "--run-dir", run, *settings)[0] == 0
    code, out, err = command("export", run, "--format", "litert")
    assert (code, out.strip()) == (0, str(run / "litert")), err
    x = np.random.default_rng(3).random((2, 28, 28, 1), "f4")
    loc = litert.answers(contents(run / "litert"), "encode", {"x": x})["loc"]
    np.testing.assert_allclose(loc, zoo.load(run).encode(x).loc, rtol=0, atol=1e-4)
    # A second one replaces it; what is for SavedModels alone is refused.
    assert command("export", run, "--format", "litert")[0] == 0
    assert "--half: is for SavedModels" in command("export", run, "--format", "litert", "--half")[2]
    assert command("train", "--resume", run, "--epochs", "2")[0] == 0
    assert (run / "export").is_dir() and not (run / "litert").exists()


# ── TensorFlow Serving ───────────────────────────────────────────────────────────────────────────────────────────


def saved_model_cli(*arguments):
    script = Path(sys.executable).with_name("saved_model_cli")
    done = subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_serving_reads_its_folder_and_answers_as_the_model_does(exported, tmp_path):
    model, export = exported("mlp")
    version = converted.write(export, "serving", tmp_path / "models" / "mnist_vae")
    assert version == tmp_path / "models" / "mnist_vae" / "1"
    for signature, inputs, outputs in (
        ("encode", {"x": ("DT_FLOAT", "(-1, 8, 6, 1)")}, {"loc": "(-1, 3)", "scale": "(-1, 3)"}),
        ("encode_uint8", {"x": ("DT_UINT8", "(-1, 8, 6, 1)")}, {"loc": "(-1, 3)", "scale": "(-1, 3)"}),
        ("decode", {"z": ("DT_FLOAT", "(-1, 3)")}, {"mean": "(-1, 8, 6, 1)"}),
    ):
        shown = saved_model_cli("show", "--dir", version, "--tag_set", "serve", "--signature_def", signature)
        pattern = r"\['(\w+)'\] tensor_info:\s+dtype: (\w+)\s+shape: (\(.*?\))"
        found = {name: (kind, shape) for name, kind, shape in re.findall(pattern, shown)}
        assert found == inputs | {name: ("DT_FLOAT", shape) for name, shape in outputs.items()}
    x = np.random.default_rng(3).random((4, 8, 6, 1), "f4")
    np.save(tmp_path / "x.npy", x)
    saved_model_cli(
        *("run", "--dir", version, "--tag_set", "serve", "--signature_def", "encode"),
        *("--inputs", f"x={tmp_path / 'x.npy'}", "--outdir", tmp_path / "out"),
    )
    np.testing.assert_allclose(np.load(tmp_path / "out" / "loc.npy"), model.encode(x).loc, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "scale.npy"), model.encode(x).scale, rtol=0, atol=1e-6)


def an_export(folder):
    (folder / "assets.extra").mkdir(parents=True)
    (folder / CARD).write_text("{}")
    return folder


def test_versions_count_up_from_the_greatest_and_each_is_whole(tmp_path):
    export, model = an_export(tmp_path / "export"), tmp_path / "models" / "vae"
    assert [serving.put(export, model).name for _ in range(2)] == ["1", "2"]
    (model / "10").mkdir()
    (model / "notes").mkdir()
    assert serving.put(export, model) == model / "11" and (model / "11" / CARD).is_file()
    with ThreadPoolExecutor(8) as several:
        found = list(several.map(lambda _: serving.put(export, model), range(16)))
    assert sorted(int(path.name) for path in found) == [*range(12, 28)]
    assert not [name for name in os.listdir(model) if name.startswith(".")]


def test_a_version_without_an_endpoint_is_announced(tmp_path):
    export = an_export(tmp_path / "export")
    shown = {"name": "own", "method": "own", "example_shape": (4,), "latent_dim": 2}
    Card(**shown, left_out={"sample": "no prior"}, checksum=checksum(export)).write(export)
    with pytest.warns(UserWarning, match="model/1: has no 'sample': no prior"):
        converted.write(export, "serving", tmp_path / "model")


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def everything_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--format", "onix"],
            "--format: no 'onix'; did you mean 'onnx'? (one of: litert, onnx, saved_model, serving)",
        ),
        (["--format", "serving"], "needs --to, models/NAME, under which the server finds versions"),
        (["--format", "litert"], "needs --to, a folder"),
        (["--format", "onnx", "--to", "encode.onnx"], "must be a folder, which gets encode.onnx, decode.onnx"),
        (["--format", "litert", "--to", "full"], "--to full: holds something else; name another folder"),
        (["--format", "litert", "--to", "mine"], "--to mine: holds something else; name another folder"),
        (["--format", "serving", "--to", "export"], "--to export: is an export itself; name the folder of a model"),
        (["--format", "serving", "--to", "export/models"], "--to export/models: lies in an export; name the folder"),
        (["--format", "litert", "--to", "new"], "export/assets.extra/card.json: damaged"),
    ],
)
def test_mistakes_are_one_line(command, tmp_path, monkeypatch, everything_is_installed, arguments, message):
    monkeypatch.chdir(tmp_path)
    an_export(tmp_path / "export")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    (tmp_path / "mine").mkdir()
    for file in ("model.tflite", "labels.txt"):
        (tmp_path / "mine" / file).touch()
    code, out, err = command("export", "export", *arguments)
    assert code == 2 and not out and message in err and len(err.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == ["export", "full", "mine"] and len(os.listdir(tmp_path / "export")) == 1


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_missing_package_is_named_with_what_installs_it(command, monkeypatch, name):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, _, err = command("export", "run", "--format", name)
    assert code == 2 and f"needs the package{'s' * (name == 'onnx')} {', '.join(FORMS[name].modules)}; pip" in err
    assert err.rstrip().endswith(f"pip install 'vae-zoo[{name}]'") and len(err.splitlines()) == 1


def test_a_name_that_is_neither_run_nor_export(command, tmp_path, everything_is_installed):
    code, _, err = command("export", "digits/vea", "--format", "litert", "--to", tmp_path / "new")
    assert code == 2 and "digits/vea: no run, and no export 'digits/vea'; did you mean 'digits/vae'?" in err


def test_a_folder_of_ones_own_comes_before_the_zoos_export_of_that_name(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits" / "vae").mkdir(parents=True)
    code, _, err = command("export", "digits/vae", "--format", "serving", "--to", "models")
    assert code == 2 and "digits/vae: not the directory of a run" in err and os.listdir(tmp_path) == ["digits"]


@pytest.mark.slow
def test_mistakes_are_found_and_exports_are_copied_without_tensorflow(exported, tmp_path):
    _, export = exported("mlp")
    code = (
        "import sys\nsys.argv = ['zoo', 'export', *sys.argv[1:]]\nfrom zoo.cli import main\n"
        "try:\n    main()\nfinally:\n    assert not {'tensorflow', 'keras'} & {*sys.modules}\n"
    )
    for arguments, expected in (
        ([export, "--format", "serving", "--to", tmp_path / "model"], 0),
        ([tmp_path / "none", "--format", "serving", "--to", tmp_path / "model"], 2),
        ([export, "--format", "serving", "--to", tmp_path / "model", "--half"], 2),
    ):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
    assert os.listdir(tmp_path / "model") == ["1"]
