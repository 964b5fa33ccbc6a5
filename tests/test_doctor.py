"""The doctor: linear VAEs against their theory, verdicts against figures, figures against `zoo evaluate`."""

import json
import pathlib
import shlex
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg, optimize

import zoo
from zoo import experiments, metrics
from zoo.doctor import advice, examination, outlook, rehearsal
from zoo.doctor.diagnosis import diagnose, suspect
from zoo.experiments import building, configurations
from zoo.experiments.evaluation import Measured
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.metrics.linear import Spectrum, beta_limits, kept_units, learned_variance, spectrum

pytestmark = pytest.mark.slow

VARIANCES = np.array([4.0, 2.0, 1.2, 0.7, 0.4, 0.2, 0.1, 0.05])


@pytest.fixture(scope="module")
def gaussian():
    """Images whose principal components, and their variances, are known exactly: (images, components in columns)."""
    generator = np.random.default_rng(0)
    components = linalg.qr(generator.standard_normal((8, 8)))[0]
    x = generator.standard_normal((400, 8))
    whitened = linalg.svd(x - x.mean(axis=0), full_matrices=False)[0] * np.sqrt(400)
    images = whitened * np.sqrt(VARIANCES) @ components.T + 0.3
    return images.astype(np.float32).reshape(400, 2, 4, 1), components


def linear_vae(images, variance, beta, learned=False, steps=1500):
    """A linear VAE of five units, trained on all images at once until it moves no more."""
    keras.utils.set_random_seed(1)
    encoder = keras.Sequential([keras.Input((2, 4, 1)), keras.layers.Flatten()])
    decoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8), keras.layers.Reshape((2, 4, 1))])
    likelihood = {"name": "gaussian", "variance": variance, "learned": learned}
    model = zoo.VAE(encoder, decoder, 5, likelihood=likelihood, beta=beta, seed=0)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.03, steps)))
    model.fit(tf.data.Dataset.from_tensors(images).repeat(steps), verbose=0)
    return model


def assert_keeps(model, images, components, threshold):
    """The units, their space and their lengths are those of the components whose variance is above β·σ²."""
    kept = int((VARIANCES[:5] > threshold).sum())
    loc, scale = model.posteriors(images)
    assert metrics.active_units(loc) == kept
    active = metrics.unit_variances(loc) > 0.01
    np.testing.assert_allclose(scale[:, ~active], 1, atol=0.05)  # the prior's
    columns = model.decoder.layers[0].kernel.numpy()[active].T
    lengths = np.sort(np.linalg.norm(columns, axis=0))[::-1]
    np.testing.assert_allclose(lengths, np.sqrt(VARIANCES[:kept] - threshold), atol=0.07)
    if kept:
        assert linalg.subspace_angles(columns, components[:, :kept]).max() < 0.1


@pytest.mark.parametrize(("variance", "beta"), [(0.5, 1.0), (0.1, 3.0), (1.0, 1.0), (0.25, 4.0), (2.5, 2.0)])
def test_a_linear_vae_keeps_the_components_above_beta_times_the_variance(gaussian, variance, beta):
    images, components = gaussian
    kept = kept_units(spectrum(images, 5).variances, 5, variance, beta)
    assert kept == {0.5: 4, 0.1: 5, 1.0: 3, 0.25: 3, 2.5: 0}[variance]
    assert_keeps(linear_vae(images, variance, beta), images, components, variance * beta)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_a_linear_vae_learns_the_variance_that_is_foretold(gaussian, beta):
    images, components = gaussian
    model = linear_vae(images, 1.0, beta, learned=True)
    foretold = learned_variance(spectrum(images, 5), 5, beta)
    assert float(np.exp(model.likelihood.log_variance.numpy())) == pytest.approx(foretold, rel=0.02)
    assert_keeps(model, images, components, beta * foretold)


def test_the_spectrum_is_that_of_the_covariance(gaussian):
    images, _ = gaussian
    found = spectrum(images, 3)
    np.testing.assert_allclose(found.variances, VARIANCES[:3], rtol=1e-5)
    assert found.total == pytest.approx(VARIANCES.sum(), rel=1e-5)
    assert (found.features, found.examples) == (8, 400)
    pixels = np.random.default_rng(1).integers(0, 256, (30, 2, 3, 1)).astype(np.uint8)
    exact = np.linalg.eigvalsh(np.cov(pixels.reshape(30, -1).T / 255, bias=True))[::-1]
    np.testing.assert_allclose(spectrum(pixels, 9).variances, exact, rtol=1e-4)
    # Too many features for the exact solver: random directions.
    wide = np.random.default_rng(2).standard_normal((600, 700)).astype(np.float32) * np.linspace(3, 0.1, 700) ** 2
    exact = np.linalg.eigvalsh(np.cov(wide.T, bias=True))[::-1][:3]
    np.testing.assert_allclose(spectrum(wide, 3).variances, exact, rtol=0.05)
    with pytest.raises(ValueError, match="two images"):
        spectrum(pixels[:1], 2)
    with pytest.raises(ValueError, match="finite"):
        spectrum(np.full((3, 2), np.nan), 2)


def test_a_component_at_the_threshold_is_not_kept():
    assert kept_units([0.5, 2.0, 1.0], 3, 0.5, 2.0) == 1
    assert kept_units([0.5, 2.0, 1.0], 3, 0.4, 1.0) == 3
    assert kept_units([0.5, 2.0, 1.0], 2, 0.4, 1.0) == 2
    assert kept_units([1.0, 0.0], 2, 7.0, 0.0) == 1
    for wrong in ({"variance": 0.0}, {"variance": 1.0, "beta": -1.0}):
        with pytest.raises(ValueError, match="must be"):
            kept_units([1.0], 1, **wrong)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("units", [1, 3, 6])
def test_the_learned_variance_is_where_the_loss_is_least(units, beta):
    def loss(log_variance):
        # Of the optimal W, V and D for this σ².
        variance, leading = np.exp(log_variance), VARIANCES[:units]
        if beta == 0:  # no rate: what the units hold is free
            return 4 * log_variance + VARIANCES[units:].sum() / variance / 2
        kept = leading > beta * variance
        left = VARIANCES.sum() - leading[kept].sum()
        return 4 * log_variance + (beta * (np.log(leading[kept] / (beta * variance)) + 1).sum() + left / variance) / 2

    least = optimize.minimize_scalar(loss, bounds=(-6, 4), method="bounded", options={"xatol": 1e-7})
    found = Spectrum(VARIANCES[:units], VARIANCES.sum(), 8, 400)
    assert learned_variance(found, units, beta) == pytest.approx(np.exp(least.x), rel=1e-4)


def test_units_that_hold_everything_leave_no_variance_to_learn():
    found = Spectrum(VARIANCES, VARIANCES.sum(), 8, 400)
    assert learned_variance(found, 8, 0.5) == 0.0
    # At β = 1 seven units and the noise describe eight components exactly.
    assert learned_variance(found, 8, 1.0) == pytest.approx(0.05)


@pytest.mark.parametrize("variance", [0.3, None])
def test_the_limits_of_beta_are_where_a_unit_is_lost(variance):
    found = Spectrum(VARIANCES[:5], VARIANCES.sum(), 8, 400)
    limits = beta_limits(found, 5, variance)
    assert (np.diff(limits) < 0).all()
    for units, limit in enumerate(limits, start=1):
        for beta, expected in ((0.999 * limit, units), (1.001 * limit, units - 1)):
            fitted = variance or learned_variance(found, 5, beta)
            assert kept_units(found.variances, 5, fitted, beta) == expected
    np.testing.assert_array_equal(beta_limits(found, 7, 1.0)[5:], 0)


# ── Verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def figures(rates, variances, information=3.0, sensitivity=0.4):
    """What an evaluation would give, on 1,000 images."""
    scalars = {
        "rate": sum(rates),
        "mutual_information": information,
        "active_units": sum(v > 0.01 for v in variances),
        "decoder_sensitivity": sensitivity,
    }
    found = {name: Measured(value, "nats", 1000) for name, value in scalars.items()}
    vectors = {"rate_per_unit": rates, "unit_variances": variances}
    return found | {name: Measured(sum(values), "nats", 1000, values=values) for name, values in vectors.items()}


def row(epoch, units, information, elbo=-100.0):
    return {"epoch": epoch, "val_active_units": units, "val_mutual_information": information, "val_elbo": elbo}


HEALTHY = figures([2.0, 1.0, 0.5], [0.9, 0.6, 0.3])
DEAD = figures([0.02, 0.01, 0.01], [0.004, 0.003, 0.01], 0.03, 1e-9)


def test_healthy():
    found = diagnose(HEALTHY, [row(1, 0, 0.0), row(2, 3, 2.0)])
    assert (found.verdict, found.posterior, found.decoder, found.since) == ("healthy", False, False, None)
    assert "of at most log n = 6.91" in " ".join(found.findings)
    assert not any("collapsed" in text or "lost" in text for text in found.findings)


def test_collapsed_and_dead():
    found = diagnose(DEAD, [row(1, 0, 0.1), row(2, 0, 0.0)])
    assert (found.verdict, found.posterior, found.decoder, found.dead) == ("collapsed", True, True, True)
    assert found.since == 1 and "collapsed from the first epoch on" in found.findings
    assert [unit.number for unit in found.units] == [0, 1, 2]
    assert {unit.state for unit in found.units} == {"dead"}


@pytest.mark.parametrize(
    ("rows", "since", "words"),
    [
        (
            [row(1, 3, 2.0), row(2, 2, 0.9), row(3, 0, 0.9), row(4, 3, 0.4)],
            3,
            "since epoch 3; after epoch 2 there were",
        ),
        ([row(1, 0, 0.0), row(2, 3, 2.0), row(3, 0, 0.0)], 3, "since epoch 3"),
        ([{"epoch": 4}, row(5, 0, 0.0)], 5, "from the first measurement on, after epoch 5"),
        ([row(1, 3, 2.0)], None, "not known"),
    ],
)
def test_since_when(rows, since, words):
    found = diagnose(DEAD, rows)
    assert found.since == since
    assert words in " ".join(found.findings)


def test_without_a_history_nothing_is_said_of_it():
    assert diagnose(DEAD).since is None
    assert not any("known" in text or "epoch" in text for text in diagnose(DEAD).findings)


def test_either_symptom_is_a_collapse():
    assert diagnose(figures([2.0], [0.5], information=0.49)).verdict == "collapsed"
    assert diagnose(figures([2.0], [0.5], information=0.5)).verdict == "healthy"
    few = diagnose(figures([2.0, 2.0], [0.009, 0.001], information=3.0))
    assert few.verdict == "collapsed" and few.posterior and not few.decoder


def test_a_rate_that_buys_nothing_is_named():
    assert any("without being the prior" in text for text in diagnose(figures([9.0], [0.0], 0.1)).findings)
    assert not any("without being the prior" in text for text in diagnose(DEAD).findings)


def test_a_decoder_that_ignores_good_codes():
    found = diagnose(figures([2.0, 1.0], [0.9, 0.6], sensitivity=0.009))
    assert found.verdict == "collapsed" and found.decoder and not (found.posterior or found.dead)
    assert "decoder ignores" in found.summary and found.since is None


def test_some_dead_units_are_partial():
    rows = [row(1, 3, 2.0), row(2, 2, 2.0)]
    found = diagnose(figures([0.05, 2.0, 0.001], [0.02, 0.9, 0.002]), rows)
    assert found.verdict == "partial" and "1 of 3" in found.summary
    assert [(unit.number, unit.state) for unit in found.units] == [(1, "informative"), (0, "faint"), (2, "dead")]
    text = "\n".join(found.findings)
    assert "dead: unit 2" in text and "below 0.1 nats: unit 0" in text
    assert "3 were active after epoch 1, 2 after epoch 2" in text


def test_the_ceiling_of_the_estimate_is_named():
    assert any("ceiling" in text for text in diagnose(figures([9.0], [0.9], 6.85)).findings)
    assert not any("ceiling" in text for text in diagnose(HEALTHY).findings)


def measured(*figures, step=18):
    """Epochs by (mutual information, rate, ELBO)."""
    return [
        {**row(epoch, int(information > 0.1), information, elbo), "val_rate": rate, "step": step * epoch}
        for epoch, (information, rate, elbo) in enumerate(figures, start=1)
    ]


NOT_YET = figures([0.3, 0.2, 0.2], [0.1, 0.05, 0.02], 0.3, 0.02)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (measured((0.3, 0.7, -500)), "undertrained"),  # 18 steps tell nothing
        (measured((0.3, 0.7, -500), step=100), "collapsed"),
        (measured((0.1, 0.7, -500), (0.3, 0.7, -490), step=900), "undertrained"),  # information still grows
        (measured((0.3, 0.3, -500), (0.3, 0.7, -490), step=900), "undertrained"),  # the rate does
        (measured((0.3, 0.7, -500), (0.3, 0.7, -490), step=900), "collapsed"),  # only the ELBO does
        (measured((2.0, 3.0, -500), (0.2, 0.3, -510), (0.3, 0.7, -500)), "collapsed"),  # it knew more before
        (measured((0.1, 0.7, -500), (0.3, 0.9, -1100), step=900), "diverged"),
        ([], "collapsed"),
        # A table's recipe measures information every ten epochs.
        ([{"epoch": 2, "step": 8, "val_rate": 0.7, "val_elbo": -500.0}], "undertrained"),
        ([{"epoch": 2, "step": 800, "val_rate": 0.7, "val_elbo": -500.0}], "collapsed"),
    ],
)
def test_not_yet_is_told_from_no_longer(rows, verdict):
    found = diagnose(NOT_YET, rows)
    assert found.verdict == verdict
    assert ("train longer" in found.summary) == (verdict == "undertrained")
    assert ("collapsed" in found.summary.replace("not collapsed", "")) == (verdict == "collapsed")


def test_a_posterior_that_is_the_prior_or_a_dead_output_is_not_called_undertrained():
    rows = measured((0.01, 0.03, -500))
    assert diagnose(DEAD, rows).verdict == "collapsed"
    assert diagnose(figures([0.03], [0.02], 0.03, 0.02), rows).verdict == "collapsed"
    growing = measured((0.1, 0.7, -500), (0.3, 0.9, -490))
    assert diagnose(figures([0.7], [0.1], 0.3, 1e-9), growing).verdict == "collapsed"


def test_units_are_judged_by_their_rate_too():
    """β = 8 on digits: all units active, none informative."""
    found = diagnose(figures([0.06, 0.05, 0.04], [0.1, 0.09, 0.08], 0.92))
    assert found.verdict == "partial" and "none of 3 units is informative" in found.summary
    assert {unit.state for unit in found.units} == {"faint"}


VERDICTS = json.loads((pathlib.Path(__file__).parent / "verdicts.json").read_text())


@pytest.mark.parametrize("run", VERDICTS, ids=[run["name"] for run in VERDICTS])
def test_runs_whose_state_is_known(run):
    """As `benchmarks/verdicts.py` recorded them."""
    found = diagnose({name: Measured(**known) for name, known in run["figures"].items()}, run["rows"])
    if run["clear"]:
        assert found.verdict == run["verdict"]
    remedies = advice.remedies(found, configurations.load("digits/vae"), "digits/vae", "runs/x")
    assert bool(remedies) == (found.verdict != "healthy")
    text = " ".join(found.findings)
    assert found.verdict != "healthy" or not ("faint" in text or "dead" in text)


# ── Advice ───────────────────────────────────────────────────────────────────────────────────────────────────────


def remedies(diagnosis, settings=(), source="digits/vae"):
    return advice.remedies(diagnosis, configurations.load(source, list(settings)), source, "runs/x")


def test_every_command_is_a_valid_one():
    found = remedies(diagnose(DEAD), ["train.clip_norm=null"])
    assert found[0].settings == ["train.clip_norm=5"]
    assert {"model.method=contrastive", "model.method=critic"} <= {s for each in found for s in each.settings}
    for remedy in found[:-1]:
        words = shlex.split(remedy.command)
        assert words[:3] == ["zoo", "train", "digits/vae"] and "train.clip_norm=5" in words
        configurations.load(words[2], [words[i + 1] for i, word in enumerate(words) if word == "--set"])
    assert found[-1].command == "zoo doctor digits/vae"


def test_advice_follows_the_configuration():
    settings = {s for each in remedies(diagnose(DEAD), ["model.beta=4", "train.kl_warmup=2"]) for s in each.settings}
    assert "model.beta=1" in settings and not any("kl_warmup" in s or "clip_norm" in s for s in settings)
    assert "train.optimizer.learning_rate=0.0001" in settings  # a dead output in spite of clipping
    assert remedies(diagnose(HEALTHY)) == []
    learning = diagnose(figures([0.1], [0.0], 0.1, 0.001), [row(1, 0, 0.0, -200.0), row(2, 0, 0.0, -150.0)])
    settings = {s for each in remedies(learning) for s in each.settings}
    assert "train.epochs=80" in settings and "train.optimizer.learning_rate=0.0001" not in settings


def test_an_error_averaged_over_pixels_is_named_before_other_cures():
    def first(*settings):
        return remedies(diagnose(figures([0.1], [0.0], 0.1, 0.001)), settings)[0].settings

    assert first("model.likelihood.variance=392") == ["model.likelihood.variance=0.5"]
    assert "a mean over them" in remedies(diagnose(DEAD), ["model.likelihood.variance=1.5"])[1].why
    for fine in (["model.likelihood.variance=1"], ["model.likelihood.learned=true", "model.likelihood.variance=392"]):
        assert first(*fine) == ["model.beta=0.5"]


def test_methods_are_added_to_those_that_the_run_has():
    found = remedies(diagnose(DEAD), source="digits/critic")
    settings = [s for each in found for s in each.settings if s.startswith("model.method")]
    assert "model.method=[critic,contrastive]" in settings and "model.method=[critic,iwae]" in settings
    assert not any("critic,critic" in s for s in settings)


def test_the_alarm_names_what_this_run_lacks_first():
    plain = configurations.load("digits/vae", ["train.clip_norm=null", "model.beta=4", "train.epochs=20"])
    assert advice.in_short(plain)[:4] == [
        "train.clip_norm=5",
        "model.beta=1",
        "train.kl_warmup=4",
        "model.method=contrastive",
    ]
    cured = configurations.load("digits/contrastive", ["train.kl_warmup=2", "model.beta=0"])
    assert advice.in_short(cured)[0] == "model.method=[contrastive,critic]"


def test_after_a_collapse_the_doctor_comes_next():
    assert suspect([row(1, 3, 2.0), row(2, 0, 0.0)]) and suspect([row(1, 3, 0.4)])
    assert not suspect([row(1, 0, 0.0), row(2, 3, 2.0)]) and not suspect([])


# ── The command ──────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = ["model.network={name: mlp, depth: 1, width: 64}", "model.latent_dim=3", "watch.pictures=false"]
ADAM = ["train.optimizer={name: adam, learning_rate: 0.002}", "train.schedule=constant"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A healthy run, and one that cannot but collapse."""
    runs = {}
    for name, settings in {
        "healthy": [*ADAM, "train.epochs=5"],
        "collapsed": [*ADAM, "model.beta=1000", "train.epochs=3", "data.train=train[:320]"],
    }.items():
        path = tmp_path_factory.mktemp("runs") / name
        experiments.train(
            configurations.load("digits/vae", [*SMALL, *settings]), RunDirectory(path), quiet=True, announce=str
        )
        runs[name] = path
    return runs


@pytest.mark.parametrize(("name", "code"), [("healthy", 0), ("collapsed", 1)])
def test_a_run_is_judged_by_the_figures_of_its_evaluation(command, trained, name, code):
    path = trained[name]
    ended, out, _ = command("doctor", path, "--json")
    found = json.loads(out)
    assert (ended, found["verdict"]) == (code, name)
    epochs = examination.history(RunDirectory(path))
    assert [one["step"] for one in epochs] == [epochs[0]["step"] * number for number in range(1, len(epochs) + 1)]
    assert epochs[0]["step"] == {"healthy": 18, "collapsed": 5}[name]
    written = json.loads((path / "evaluation.json").read_text())["test"]
    assert all(written[key] == figure for key, figure in found["figures"].items())
    command("evaluate", path, "--metrics", "terms,information", "--quiet")
    again = json.loads((path / "evaluation.json").read_text())["test"]
    assert all(again[key]["value"] == pytest.approx(f["value"], rel=1e-6) for key, f in found["figures"].items())
    assert [unit["rate"] for unit in sorted(found["units"], key=lambda u: u["number"])] == pytest.approx(
        again["rate_per_unit"]["values"]
    )
    assert (found["since"] == 1) == (name == "collapsed")
    ended, out, _ = command("doctor", path)
    assert ended == code and out.startswith(f"{path}: ")
    assert ("what to try" in out) == (name == "collapsed")
    assert (f"zoo train {path}/config.yaml --set model.beta=1 " in out) == (name == "collapsed")


def test_figures_that_are_there_are_not_measured_again(command, trained, monkeypatch):
    command("doctor", trained["healthy"])
    file = trained["healthy"] / "evaluation.json"
    before = file.read_text()
    content = json.loads(before)
    del content["sha256"]
    content["test"]["mutual_information"]["value"] = 0.25
    content["test"]["knn_accuracy"] = {"value": 0.5, "unit": "fraction", "examples": 300, "note": ""}
    file.write_text(json.dumps(content))
    assert "mutual information 0.25 nats" in command("doctor", trained["healthy"])[1]
    # Figures of an older zoo have no values for units: measured anew, and what else was there stays.
    del content["test"]["rate_per_unit"]["values"]
    file.write_text(json.dumps(content))
    assert command("doctor", trained["healthy"])[0] == 0
    after = json.loads(file.read_text())["test"]
    assert after["knn_accuracy"]["value"] == 0.5
    assert after["mutual_information"]["value"] == json.loads(before)["test"]["mutual_information"]["value"]
    file.write_text(before)


def test_a_model_file_is_judged_on_the_images_of_a_configuration(command, trained, tmp_path):
    path = trained["healthy"] / "model.keras"
    code, out, _ = command("doctor", path, "--data", "digits/vae", "--json")
    found, written = json.loads(out), json.loads((trained["healthy"] / "evaluation.json").read_text())["test"]
    assert code == 0 and found["figures"]["rate"]["value"] == pytest.approx(written["rate"]["value"], rel=1e-6)
    model = keras.saving.load_model(path)
    bias = next(layer for layer in model.decoder.layers[::-1] if layer.weights).bias
    bias.assign(np.full(bias.shape, -500.0))  # nothing gets through the last sigmoid
    model.save(tmp_path / "dead.keras")
    code, out, _ = command("doctor", tmp_path / "dead.keras", "--data", "digits/vae")
    assert code == 1 and "collapsed at the decoder" in out and "the output is dead" in out


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ([], 0, "would keep all 16 of 16 units"),
        (["model.beta=2"], 0, "would keep only 11 of 16 units"),
        (["model.beta=20", "model.likelihood.variance=1"], 1, "would collapse"),
        (["model.likelihood=bernoulli"], 0, "no statement on units"),
        (["model.likelihood.learned=true"], 0, "as it would be learned"),
    ],
)
def test_a_configuration_is_judged_by_its_data(command, settings, code, words):
    ended, out, _ = command("doctor", "digits/vae", "--set", *settings) if settings else command("doctor", "digits/vae")
    assert ended == code and words in out


def test_the_settings_that_would_keep_more_do(command):
    given = ["model.beta=20", "model.likelihood.variance=1"]
    found = json.loads(command("doctor", "digits/vae", "--set", *given, "--json")[1])
    assert found["kept"] == 0 and len(found["rows"]) == 16
    assert len(found["remedies"]) == 2
    for remedy in found["remedies"]:
        experiment = configurations.load("digits/vae", remedy["settings"])
        assert outlook.foresee(experiment).kept == 16
    for line in found["rows"]:
        for key, value in (("model.beta", line["beta"]), ("model.likelihood.variance", line["variance"])):
            experiment = configurations.load("digits/vae", [*given, f"{key}={outlook.below(value)}"])
            model = experiment.model
            variances = found["spectrum"]["variances"]
            assert kept_units(variances, 16, model.likelihood["variance"], model.beta) >= line["units"]


def test_images_that_are_binarised_anew_are_looked_at_binarised():
    grey = outlook.foresee(configurations.load("digits/vae"))
    binary = outlook.foresee(configurations.load("digits/vae", ["data.binarize=dynamic"]))
    assert binary.spectrum.total > 1.3 * grey.spectrum.total


def test_a_table_is_looked_at_as_it_is_trained_on():
    """Standardised: each of the 13 columns has variance 1, so the components have 13 in all."""
    found = outlook.foresee(configurations.load("wine/vae")).spectrum
    assert found.total == pytest.approx(13, rel=1e-4)


def test_many_images_are_sampled_and_it_is_said(monkeypatch):
    monkeypatch.setattr(outlook, "EXAMPLES", 500)
    found = outlook.foresee(configurations.load("digits/vae"))
    assert found.spectrum.examples == 500 and any("500 of 1,197" in note for note in found.notes)


def test_the_first_steps_are_those_of_the_training(monkeypatch):
    """Without momentum and clipping SGD moves the weights by its rate times the gradient's norm."""
    sgd = "train.optimizer={name: sgd, learning_rate: 0.0001, momentum: 0, weight_decay: 0}"
    experiment = configurations.load("digits/vae", [*SMALL, sgd, "train.clip_norm=null", "train.schedule=constant"])
    models, before = [], []
    build = building.build_model

    def caught(*arguments):
        models.append(build(*arguments))
        before.extend(weight.numpy() for weight in models[0].trainable_variables)
        return models[0]

    monkeypatch.setattr(building, "build_model", caught)
    found = rehearsal.rehearse(experiment, building.load_split(experiment, "train"), 1)
    moves = [a - b.numpy() for a, b in zip(before, models[0].trainable_variables, strict=True)]
    assert found.norms == pytest.approx([np.sqrt(sum(np.square(move).sum() for move in moves)) / 1e-4], rel=1e-3)
    assert found.verdict == "healthy" and len(found.norms) == len(found.losses) == 1


def test_steps_that_ruin_a_training_are_foreseen(command):
    given = ["train.clip_norm=null", "train.optimizer.learning_rate=0.05"]
    code, out, _ = command("doctor", "digits/vae", "--set", *given, "--steps", "18", "--json")
    found = json.loads(out)
    assert code == 1 and found["verdict"] in ("diverged", "collapsed") and found["verdict"] in found["summary"]
    assert "train.clip_norm=5" in found["remedies"][0]["settings"]
    assert "train.clip_norm=null" not in found["remedies"][0]["command"]
    code, out, _ = command("doctor", "digits/vae", "--steps", "2")
    assert code == 0 and "gradients of the first 2 steps" in out and "not clipped" not in out
    assert "gradients are not clipped" in command("doctor", "digits/vae", "--set", "train.clip_norm=null")[1]


def test_a_run_that_ended_in_no_number_is_judged(command, tmp_path):
    settings = ["train.clip_norm=null", "train.optimizer.learning_rate=10", "watch.pictures=false"]
    experiment = configurations.load("digits/vae", [*SMALL, *settings])
    with pytest.raises(RunError, match=r"NaN|infinite"):
        experiments.train(experiment, RunDirectory(tmp_path / "run"), quiet=True, announce=str)
    code, out, _ = command("doctor", tmp_path / "run")
    assert code == 1 and "training diverged: epoch 1, step" in out and "train.clip_norm=5" in out
    assert json.loads(command("doctor", tmp_path / "run", "--json")[1])["verdict"] == "diverged"


def test_mistakes_are_one_line(command, trained, tmp_path):
    unfinished, untrained = tmp_path / "unfinished", tmp_path / "untrained"
    RunDirectory.create(unfinished, configurations.load("digits/vae"))
    RunDirectory.create(untrained, configurations.load("digits/vae"))
    (untrained / "metrics.jsonl").write_text(json.dumps(row(1, 0, 0.0)) + "\n")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    for arguments, words in {
        (unfinished,): "no finished epoch",
        (untrained,): "no trained model yet",
        (tmp_path,): "not the directory of a run",
        ("digits/vea",): "did you mean 'digits/vae'",
        (trained["healthy"] / "model.keras",): "needs --data CONFIG",
        (tmp_path / "none.keras", "--data", "digits/vae"): "no such file",
        (tmp_path / "other.keras", "--data", "digits/vae"): "no model of the zoo",
        (trained["healthy"], "--data", "digits/vae"): "only a .keras file",
        (trained["healthy"], "--set", "model.beta=2"): "keeps its own",
        ("digits/vae", "digits/critic"): "takes one TARGET",
    }.items():
        code, out, err = command("doctor", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), (arguments, err)
        assert words in err


def test_a_mistake_is_answered_without_tensorflow(tmp_path):
    RunDirectory.create(tmp_path / "run", configurations.load("digits/vae"))
    for target in ("digits/vea", str(tmp_path / "run")):
        script = f"""
import sys
sys.argv = ["zoo"]
from zoo import cli

sys.argv = ["zoo", "doctor", {target!r}]
try:
    cli.main()
except SystemExit as leaving:
    assert leaving.code == 2
print(sorted({{"tensorflow", "keras", "sklearn", "matplotlib"}} & set(sys.modules)))
"""
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "[]"
