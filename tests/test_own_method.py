"""A method, a network and a likelihood from outside: from YAML to the report, in other folders and processes."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest
import yaml

import zoo
from zoo.cli.listing import description
from zoo.experiments import configurations
from zoo.experiments.building import build_model
from zoo.experiments.run_directory import RunDirectory
from zoo.experiments.schema import ConfigurationError

pytestmark = pytest.mark.slow

METHOD = '''
import keras
import tensorflow as tf
import zoo


class CovarianceVAE(zoo.VAE):
    """The VAE whose codes must not covary.

    loss = ELBO + w · sum of the squared covariances between units of z over the batch
    """

    adds = ("covariance",)
    covariance_weight = zoo.Live()

    def __init__(self, *args, covariance_weight: float = FACTOR, **kwargs):
        super().__init__(*args, **kwargs)
        self.covariance_weight = covariance_weight

    def loss_terms(self, batch, latents):
        z = latents.z - tf.reduce_mean(latents.z, 0)
        covariance = tf.matmul(z, z, transpose_a=True) / tf.cast(tf.shape(z)[0], z.dtype)
        off = tf.reduce_sum(tf.linalg.set_diag(covariance, tf.zeros(tf.shape(z)[1])) ** 2)
        term = zoo.Term(tf.repeat(off, tf.shape(z)[0]), self.covariance_weight)
        return {**super().loss_terms(batch, latents), "covariance": term}

class Scaled(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x

def small(example_shape, latent_dim, output_activation, width: int = 8):
    """One hidden layer."""
    x = keras.Input(example_shape)
    features = keras.layers.Dense(width, "relu")(Scaled()(keras.layers.Flatten()(x)))
    z = keras.Input((latent_dim,))
    pixels = keras.layers.Dense(28 * 28, output_activation)(z)
    return keras.Model(x, features), keras.Model(z, keras.layers.Reshape(example_shape)(pixels))

class Tempered(zoo.likelihoods.Bernoulli):
    """A Bernoulli whose logits are divided by a temperature."""

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def log_prob(self, parameters, x, mask=None):
        return super().log_prob(parameters / self.temperature, x, mask)

    def mean(self, parameters):
        return super().mean(parameters / self.temperature)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
'''
# What goes wrong, each in a module of its own name.
WRONG = {
    "fails": "import zoo\nx = 1\nprint(undefined)\n",
    "lacks": "import zoo\nimport no_such_package.part\n",
    "unreadable": "import zoo\ndef f(:\n",
    "others": (
        "import zoo\n"
        "def one(shape): pass\n"
        "def three(shape, dim, activation): return None\n"
        "class Plain: pass\n"
        "class Tight(zoo.VAE):\n    def __init__(self, encoder, decoder, latent_dim, w: float = 1.0): pass\n"
        "class Bare(zoo.VAE):\n    def __init__(self, *args, w=1.0, **kwargs): pass\n"
        "class Claiming(zoo.VAE):\n    adds = ('consistency',)\n"
        "class Further(zoo.ConsistencyVAE):\n    pass\n"
    ),
}
CONFIGURATION = {
    "data": {"name": "digits", "train": "train[:64]", "validation": "validation[:32]", "test": "test[:32]"},
    "model": {
        "method": "my_method:CovarianceVAE",
        "network": {"name": "my_method:small", "width": 4},
        "likelihood": {"name": "my_method:Tempered", "temperature": 2},
        "latent_dim": 3,
        "covariance_weight": 0.5,
    },
    "train": {"epochs": 1, "batch_size": 32},
    "watch": {"pictures": False},
}
NAMES = ("my_method", *WRONG)


def forget():
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch, tmp_path):
    """Another current folder, and nothing known of the user's modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget()
    yield
    forget()


def written(folder, factor=1.0):
    folder.mkdir(exist_ok=True)
    (folder / "my_method.py").write_text(METHOD.replace("FACTOR", repr(factor)), encoding="utf-8")
    (folder / "my.yaml").write_text(yaml.safe_dump(CONFIGURATION), encoding="utf-8")
    for name, text in WRONG.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The user's folder."""
    return written(tmp_path_factory.mktemp("mine"))


def in_a_new_process(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parent.parent)}
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(mine, tmp_path_factory):
    """A run that `zoo train` left in a third folder."""
    path = tmp_path_factory.mktemp("runs") / "first"
    in_a_new_process("train", mine / "my.yaml", "--run-dir", path, "--quiet", cwd=path.parent)
    return path


def test_a_run_is_evaluated_in_a_new_process(run, tmp_path):
    found = json.loads(in_a_new_process("evaluate", run, "--quiet", "--json", "--metrics", "terms", cwd=tmp_path))
    loss = found["distortion"]["value"] + found["rate"]["value"] + 0.5 * found["covariance"]["value"]
    assert found["covariance"]["value"] > 0
    np.testing.assert_allclose(found["loss"]["value"], loss, rtol=1e-6)


def test_a_run_records_where_its_module_is(run, mine):
    assert json.loads((run / "environment.json").read_text(encoding="utf-8"))["modules"] == {"my_method": str(mine)}
    values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["model"]
    assert values["method"] == "my_method:CovarianceVAE"
    assert values["network"] == {"name": "my_method:small", "width": 4}
    assert values["likelihood"] == {"name": "my_method:Tempered", "temperature": 2.0}
    assert (values["beta"], values["covariance_weight"]) == (1.0, 0.5)


def test_a_runs_configuration_is_read_without_the_module(run):
    experiment = RunDirectory(run).experiment()
    assert "my_method" not in sys.modules
    complete = configurations.load(run / "config.yaml")
    assert experiment.flat() == complete.flat()
    assert experiment.fingerprint() == complete.fingerprint()
    assert experiment.hyperparameters() == complete.hyperparameters()


def test_a_run_is_exported_reported_and_examined(run, command, tmp_path):
    for arguments in (["export", run], ["report", run, "--to", tmp_path / "report"], ["doctor", run]):
        forget()
        code, _, err = command(*arguments)
        assert code in {0, 1} and "Traceback" not in err, err
    card = json.loads((run / "export" / "assets.extra" / "card.json").read_text(encoding="utf-8"))
    assert card["method"] == "my_method:CovarianceVAE: The VAE whose codes must not covary"
    assert "my_method:CovarianceVAE" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_a_run_is_resumed(run, command):
    before = zoo.load_model(run / "model.keras").get_weights()
    (run / "model.keras").unlink()
    forget()
    code, _, err = command("train", "--resume", run, "--quiet")
    assert code == 0, err
    for a, b in zip(before, zoo.load_model(run / "model.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_model_finds_its_classes(run, mine):
    model = zoo.load_model(run / "model.keras")
    assert type(model) is sys.modules["my_method"].CovarianceVAE
    assert (model.covariance_weight, model.likelihood.temperature) == (0.5, 2.0)
    # Without a run around the file: in the current folder, on Python's path, or beside it.
    moved = mine / "moved.keras"
    moved.write_bytes((run / "model.keras").read_bytes())
    forget()
    assert zoo.load_model(moved).covariance_weight == 0.5


def test_a_saved_model_whose_module_is_gone_is_an_error_that_names_it(run, tmp_path):
    (tmp_path / "alone.keras").write_bytes((run / "model.keras").read_bytes())
    sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "my_method.py").is_file()]
    with pytest.raises(ValueError, match=r"^no module 'my_method'; .*looked in .*\n?$"):
        zoo.load_model(tmp_path / "alone.keras")


def test_a_class_of_a_script_that_has_ended_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="method: Mine was defined in a script or a notebook"):
        zoo.combine("__main__:Mine")


def test_each_configuration_gets_the_module_beside_it(mine, tmp_path):
    other = written(tmp_path / "other", factor=7.0)
    for folder, factor in ((mine, 1.0), (other, 7.0), (mine, 1.0)):
        values = {**CONFIGURATION, "model": {"method": "my_method:CovarianceVAE", "network": "mlp", "latent_dim": 2}}
        (folder / "short.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        found = configurations.load(folder / "short.yaml")
        assert found.model.covariance_weight == factor
        assert Path(sys.modules["my_method"].__file__).parent == folder.resolve()


def test_combined_with_methods_of_the_zoo(mine, monkeypatch, tmp_path):
    settings = ["model.method=[iwae, my_method:CovarianceVAE]", "model.samples=2", "data.train=train[:32]"]
    experiment = configurations.load(mine / "my.yaml", settings)
    assert experiment.model.method == ["my_method:CovarianceVAE", "iwae"]
    model = build_model(experiment, (28, 28, 1), 1)
    theirs = sys.modules["my_method"].CovarianceVAE
    assert type(model).__bases__ == (theirs, zoo.IWAE)
    assert type(model) is zoo.combine("iwae", theirs) is zoo.combine("my_method:CovarianceVAE", zoo.IWAE)
    assert type(model) is zoo.combine(type(model), "vae")
    assert {"covariance", "negative_bound"} <= set(model.term_names())
    model.save(tmp_path / "both.keras")
    forget()
    monkeypatch.chdir(mine)
    again = zoo.load_model(tmp_path / "both.keras")
    assert (again.methods, again.covariance_weight, again.samples) == (model.methods, 0.5, 2)
    images = np.zeros((2, 28, 28, 1), "uint8")
    np.testing.assert_array_equal(again.encode(images).loc, model.encode(images).loc)


def test_a_class_that_another_one_is_derived_from_adds_nothing(mine):
    found = zoo.combine("consistency", "others:Further", folders=[mine])
    assert found is sys.modules["others"].Further


def test_a_class_of_a_function_or_notebook_is_combined_as_it_is(tmp_path):
    class Local(zoo.VAE):
        pass

    made = zoo.combine(Local, "iwae")
    assert made.__bases__ == (Local, zoo.IWAE)
    model = made(*zoo.networks.build("mlp", (4, 4, 1), 2, width=3), 2)
    model.compile("sgd")
    model.save(tmp_path / "local.keras")
    assert type(keras.saving.load_model(tmp_path / "local.keras")) is made
    with pytest.raises(ValueError, match=r"method: dict is not a subclass of zoo's VAE"):
        zoo.combine(dict, "iwae")


def test_a_module_in_the_current_folder_is_found_for_a_shipped_configuration(mine, monkeypatch):
    monkeypatch.chdir(mine)
    settings = ["model.method=my_method:CovarianceVAE", "model.covariance_weight=3"]
    assert configurations.load("digits/vae", settings).model.covariance_weight == 3.0


def test_its_hyperparameters_are_listed(mine, monkeypatch):
    monkeypatch.chdir(mine)
    text = description("my_method:CovarianceVAE")
    assert text.startswith("my_method:CovarianceVAE, a method: The VAE whose codes must not covary.")
    assert "covariance_weight  number, by default 1.0" in text and "beta               number ≥ 0 or schedule" in text
    assert "width  whole number, by default 8" in description("my_method:small")
    assert "temperature  number, by default 1.0" in description("my_method:Tempered")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.method=my_methd:CovarianceVAE", ["no module 'my_methd'", "did you mean 'my_method'", "looked in"]),
        ("model.method=my_method.part:X", ["no module 'my_method.part'"]),
        ("model.method=my_method:CovarianceVEA", ["no 'CovarianceVEA'", "did you mean 'CovarianceVAE'"]),
        ("model.method=my_method:", ["must be a name"]),
        ("model.method='my_method:2'", ["must be package.module:Name"]),
        ("model.method=fails:X", ["fails.py, line 3", "NameError"]),
        ("model.method=lacks:X", ["lacks.py, line 2", "no_such_package"]),
        ("model.method=unreadable:X", ["unreadable.py, line 2", "SyntaxError"]),
        ("model.method=others:Plain", ["others:Plain is not a subclass of zoo's VAE"]),
        ("model.method=others:Tight", ["others:Tight", "**kwargs"]),
        ("model={method: others:Bare, network: mlp, latent_dim: 2, w: 3}", ["w: Bare takes it", "annotate"]),
        ("model.method=[others:Claiming, consistency]", ["Claiming", "ConsistencyVAE", "both add 'consistency'"]),
        ("model.method=[my_method:CovarianceVAE, my_method:CovarianceVAE]", ["given twice"]),
        ("model.covariance_weight=high", ["model.covariance_weight", "number", "'high'"]),
        ("model.covariance_wight=1", ["model.covariance_wight", "did you mean 'covariance_weight'"]),
        ("model.network=my_method:smal", ["model.network", "did you mean 'small'"]),
        ("model.network=my_method:CovarianceVAE", ["model.network", "not a function"]),
        ("model.network=others:one", ["model.network", "example_shape, latent_dim, output_activation"]),
        ("model.network.wdth=3", ["model.network.wdth", "width"]),
        ("model.likelihood=my_method:CovarianceVAE", ["model.likelihood", "zoo's Likelihood"]),
        ("model.likelihood.temperature=warm", ["model.likelihood.temperature", "number"]),
    ],
)
def test_mistakes_are_one_line(mine, setting, words):
    path = mine / "wrong.yaml"
    values = CONFIGURATION
    if setting.startswith("model={"):
        values = {**CONFIGURATION, "model": {}}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        configurations.load(path, [setting])
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    for word in words:
        assert word in message


def test_a_network_that_returns_something_else(mine):
    experiment = configurations.load(mine / "my.yaml", ["model.network={name: others:three}"])
    with pytest.raises(ValueError, match=r"network: others:three must return \(encoder, decoder\)"):
        build_model(experiment, (28, 28, 1), 1)


def test_it_is_searched_over(mine, tmp_path):
    space = {"model.covariance_weight": (0.1, 10.0, "log"), "model.network.width": [2, 4]}
    hypermodel = zoo.tuning.hypermodel(mine / "my.yaml", space)
    tuner = keras_tuner.RandomSearch(hypermodel, zoo.tuning.OBJECTIVE, max_trials=2, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert len({trial.hyperparameters.values["model.covariance_weight"] for trial in trials}) == 2
    best = tuner.get_best_models(1)[0]
    assert best.covariance_weight == trials[0].hyperparameters.values["model.covariance_weight"]


# ── What a file may name ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_alone_runs_no_code(tmp_path):
    """A file that names a function of Python's as the body of a layer; Keras itself refuses it too."""
    model = zoo.VAE(*zoo.networks.build("mlp", (4, 4, 1), 2, width=3), 2)
    model.save(tmp_path / "good.keras")
    told = tmp_path / "told"
    body = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == "config.json":
                config = json.loads(content)
                layers = config["config"]["encoder"]["config"]["layers"]
                layers[1]["config"]["activation"] = body
                content = json.dumps(config)
            bad.writestr(name, content)
    with pytest.raises(ValueError, match="os:system: is no part of a model"):
        zoo.load_model(tmp_path / "bad.keras")
    assert not told.exists()


@pytest.mark.parametrize("given", ["inverse", None, [1, 2]])
def test_keywords_without_a_type_are_saved_too(tmp_path, given):
    class Loose(zoo.VAE):
        def __init__(self, *args, kernel="rbf", **kwargs):
            super().__init__(*args, **kwargs)
            self.kernel = kernel

    networks = zoo.networks.build("mlp", (4, 4, 1), 2, width=3)
    assert Loose(*networks, 2, kernel=given).get_config()["kernel"] == given
    with pytest.raises(ValueError, match="'kernel' is a Dense, which is not saved by itself; write get_config"):
        Loose(*networks, 2, kernel=keras.layers.Dense(1)).get_config()
