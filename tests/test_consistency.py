"""The consistency term against TFP, the two bounds against NumPy, alone, with IWAE and beside the triplet."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from tensorflow_probability import distributions as tfd

import zoo
from zoo.augmentation.affine import RandomAffine
from zoo.augmentation.images import RandomFlip
from zoo.augmentation.view import apply_views
from zoo.networks import build

SHAPE, LATENTS = (6, 5, 1), 3


class ConsistencyIWAE(zoo.ConsistencyVAE, zoo.IWAE):
    pass


class ConsistencyTriplet(zoo.ConsistencyVAE, zoo.TripletVAE):
    pass


class TripletConsistency(zoo.TripletVAE, zoo.ConsistencyVAE):
    pass


class Recorder(keras.layers.Layer):
    """Keeps what passes through."""

    def __init__(self):
        super().__init__()
        self.__dict__["seen"] = []

    def call(self, x):
        self.seen.append(x)
        return x


def make(method=zoo.ConsistencyVAE, recorder=None, **arguments):
    keras.utils.set_random_seed(0)
    encoder, decoder = build("mlp", SHAPE, LATENTS, depth=1, width=16)
    if recorder:
        encoder = keras.Sequential([keras.Input(SHAPE), recorder, *encoder.layers[1:]])
    model = method(encoder, decoder, LATENTS, **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(0.1))
    if recorder:
        recorder.seen.clear()
    return model


def images(n=8, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE)).astype("float32")


def posteriors(model, x, training=True):
    """(x̃, loc and scale of x, loc and scale of x̃), from the networks alone."""
    transformed = apply_views(model.transformations, tf.constant(x), model.draws(training), "transformed")
    found = [model.head(model.encoder(batch)) for batch in (x, transformed)]
    return transformed, *[[part.numpy() for part in pair] for pair in found]


def distortion(model, x, z):
    logits = model.decoder(z).numpy().astype("float64")
    x = np.asarray(x)
    return (x * np.logaddexp(0, -logits) + (1 - x) * np.logaddexp(0, logits)).sum((1, 2, 3))


def rate(loc, scale):
    return 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).sum(1)


# ── The terms ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("training", [True, False])
def test_the_term_is_tfps_divergence_from_the_transformations_to_the_images_posterior(training):
    model, x = make(rotate=40, scale=0.4), images()
    # Posteriors that differ in scale too, or the direction would hardly show.
    model.head.scale.kernel.assign(3 * model.head.scale.kernel)
    transformed, *pairs = posteriors(model, x, training)
    original, other = (tfd.MultivariateNormalDiag(loc, scale) for loc, scale in pairs)
    assert np.abs(transformed - x).max() > 0.1
    found = model.objective(tf.constant(x), training)["consistency"].numpy()
    np.testing.assert_allclose(found, tfd.kl_divergence(other, original), rtol=1e-4)
    assert np.abs(found / tfd.kl_divergence(original, other) - 1).min() > 0.01


@pytest.mark.parametrize(("beta", "strength"), [(1.0, 0.1), (4.0, 0.4), (0.1, 0.0), (0.0, 2.0)])
def test_the_loss_is_both_bounds_and_the_term(beta, strength):
    model, x = make(beta=beta, consistency_lambda=strength), images()
    transformed, (loc, scale), (other_loc, other_scale) = posteriors(model, x)
    noise = [model.draws(True).normal(stream, [8, LATENTS]).numpy() for stream in ("posterior", "transformed")]
    expected = {
        "distortion": distortion(model, x, loc + scale * noise[0]),
        "rate": rate(loc, scale),
        "transformed_distortion": distortion(model, transformed, other_loc + other_scale * noise[1]),
        "transformed_rate": rate(other_loc, other_scale),
    }
    terms = model.objective(tf.constant(x), training=True)
    for name, term in expected.items():
        np.testing.assert_allclose(terms[name], term, rtol=1e-4)
    # λ = 0 is “+Aug”: the two bounds, and nothing else.
    bounds = sum(term * (beta if "rate" in name else 1) for name, term in expected.items())
    np.testing.assert_allclose(terms["loss"], bounds + strength * terms["consistency"], rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -expected["distortion"] - expected["rate"], rtol=1e-4)
    assert set(terms) == {"loss", *expected, "consistency", "elbo"}
    assert make().consistency_lambda == 0.1


def test_warm_up_weighs_both_rates():
    model, x = make(beta=2.0, warmup_steps=4), tf.constant(images())
    model.step.assign(1)
    terms = model.objective(x, training=True)
    bounds = terms["distortion"] + terms["transformed_distortion"] + 0.5 * (terms["rate"] + terms["transformed_rate"])
    np.testing.assert_allclose(terms["loss"], bounds + 0.1 * terms["consistency"], rtol=1e-5)


def test_both_images_have_noise_of_their_own():
    model, x = make(transformations=[]), np.repeat(images(1), 2000, axis=0)
    seen = []
    model.generate = lambda z, *rest: seen.append(z.numpy()) or zoo.VAE.generate(model, z, *rest)
    model.objective(tf.constant(x), training=True)
    loc, scale = (part.numpy() for part in model.head(model.encoder(x)))
    noise = np.concatenate([(z - loc) / scale for z in seen], axis=1)
    np.testing.assert_allclose(np.cov(noise.T), np.eye(2 * LATENTS), atol=0.1)


def test_the_gradient_goes_through_both_posteriors():
    model, x = make(consistency_lambda=3.0, beta=0.5), images()
    transformed = posteriors(model, x)[0]
    noise = [model.draws(True).normal(stream, [8, LATENTS]) for stream in ("posterior", "transformed")]
    with tf.GradientTape() as tape:
        loss, found = 0.0, []
        for batch, eps in zip((tf.constant(x), transformed), noise, strict=True):
            loc, scale = model.head(model.encoder(batch))
            cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(batch, model.decoder(loc + scale * eps))
            loss += tf.reduce_sum(cross_entropy) / 8
            loss += 0.25 * tf.reduce_sum(loc**2 + scale**2 - 1 - 2 * tf.math.log(scale)) / 8
            found.append((loc, scale))
        (loc, scale), (other_loc, other_scale) = found
        ratio = (other_scale / scale) ** 2
        loss += 3.0 * 0.5 * tf.reduce_sum(ratio + ((other_loc - loc) / scale) ** 2 - 1 - tf.math.log(ratio)) / 8
    variables = model.trainable_variables
    expected = [v - 0.1 * g for v, g in zip(variables, tape.gradient(loss, variables), strict=True)]
    assert model.train_on_batch(x, return_dict=True)["loss"] == pytest.approx(float(loss), rel=1e-5)
    for variable, wanted in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, wanted, atol=1e-5)


# ── The transformation ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_switches_reach_the_transformation():
    (layer,) = make(translate=1.5, rotate=0, scale=0.25).transformations
    assert (layer.translate, layer.rotate, layer.scale) == (1.5, 0, 0.25)
    (layer,) = make().transformations
    assert type(layer) is RandomAffine and (layer.translate, layer.rotate, layer.scale) == (2, 15, 0.1)
    terms = make(translate=0, rotate=0, scale=0).objective(tf.constant(images()), training=True)
    np.testing.assert_array_equal(terms["consistency"], np.zeros(8))
    np.testing.assert_array_equal(terms["transformed_rate"], terms["rate"])


@pytest.mark.parametrize("layer", [RandomFlip(1.0), keras.layers.RandomFlip("horizontal", seed=1)])
def test_other_transformations_take_the_affines_place(layer):
    recorder = Recorder()
    model, x = make(recorder=recorder, transformations=[layer]), images()
    model.objective(tf.constant(x), training=True)
    first, second = recorder.seen
    np.testing.assert_array_equal(first, x)
    # Keras's layer mirrors half of the images.
    mirrored = np.all(second == x[:, :, ::-1], axis=(1, 2, 3))
    assert np.all(mirrored | np.all(second == x, axis=(1, 2, 3))) and mirrored.any()
    assert mirrored.all() == isinstance(layer, RandomFlip)


def test_every_step_transforms_anew():
    recorder = Recorder()
    model, x = make(recorder=recorder), tf.constant(images())
    for training in (True, True, False):
        model.objective(x, training)
        model.step.assign_add(1)
    transformed = recorder.seen[1::2]
    assert all(np.abs(transformed[i] - transformed[j]).max() > 0.01 for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.slow
def test_evaluation_is_that_of_the_vae_on_the_images_as_they_are():
    model, x = make(), images(9)
    before = model.get_weights()
    found = model.evaluate(x, batch_size=4, verbose=0, return_dict=True)
    assert model.evaluate(x, batch_size=4, verbose=0, return_dict=True) == found
    for weight, old in zip(model.weights, before, strict=True):
        assert weight is model.evaluation_step or (weight.numpy() == old).all()
    expected = make(zoo.VAE).evaluate(x, batch_size=4, verbose=0, return_dict=True)
    assert {name: found[name] for name in ("distortion", "rate", "elbo")} == pytest.approx(
        {name: expected[name] for name in ("distortion", "rate", "elbo")}, rel=1e-5
    )


# ── With other methods ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_with_iwae_both_images_get_its_bound(beta):
    model, x = make(ConsistencyIWAE, samples=4, beta=beta, consistency_lambda=0.3), images()
    transformed, *pairs = posteriors(model, x)
    terms = model.objective(tf.constant(x), training=True)
    draws, noises = model.draws(True), []
    for batch, (loc, scale), stream, prefix in (
        (x, pairs[0], "posterior", ""),
        (transformed, pairs[1], "transformed", "transformed_"),
    ):
        further = draws.normal(f"{stream}/importance", [8, 3, LATENTS]).numpy().transpose(1, 0, 2)
        noise = np.concatenate([draws.normal(stream, [8, LATENTS]).numpy()[None], further])
        z = loc + scale * noise
        ratio = (stats.norm.logpdf(z) - stats.norm(loc, scale).logpdf(z)).sum(-1)
        log_weights = beta * ratio - np.stack([distortion(model, batch, sample) for sample in z])
        bound = special.logsumexp(log_weights, axis=0) - np.log(4)
        np.testing.assert_allclose(terms[f"{prefix}negative_bound"], -bound, rtol=1e-4)
        np.testing.assert_allclose(terms[f"{prefix}rate"], rate(loc, scale), rtol=1e-4)
        noises.append(noise)
    assert len(np.unique(noises)) > 0.99 * 2 * 4 * 8 * LATENTS
    bounds = terms["negative_bound"] + terms["transformed_negative_bound"]
    np.testing.assert_allclose(terms["loss"], bounds + 0.3 * terms["consistency"], rtol=1e-6)


@pytest.mark.parametrize("method", [ConsistencyTriplet, TripletConsistency])
def test_the_triplet_shares_the_transformation_and_its_code(method):
    recorder, x = Recorder(), tf.constant(images())
    arguments = {"margin": 5.0, "triplet_weight": 0.7}
    both = make(method, recorder, consistency_lambda=0.2, **arguments).objective(x, training=True)
    first, second = recorder.seen
    np.testing.assert_array_equal(first, x)
    for alone, name, own in ((zoo.ConsistencyVAE, "consistency", {}), (zoo.TripletVAE, "triplet", arguments)):
        recorder = Recorder()
        terms = make(alone, recorder, **own).objective(x, training=True)
        np.testing.assert_array_equal(both[name], terms[name])
        np.testing.assert_array_equal(recorder.seen, [first, second])
        assert np.all(terms[name] > 0)
    bounds = sum(both[name] for name in ("distortion", "rate", "transformed_distortion", "transformed_rate"))
    np.testing.assert_allclose(both["loss"], bounds + 0.2 * both["consistency"] + 0.7 * both["triplet"], rtol=1e-6)


def test_the_order_of_methods_changes_nothing():
    losses = [make(m).objective(tf.constant(images()), True)["loss"] for m in (ConsistencyTriplet, TripletConsistency)]
    np.testing.assert_array_equal(*losses)


# ── Round trips and mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("custom", [True, False])
@pytest.mark.slow
def test_models_round_trip(custom, tmp_path):
    layers = [RandomFlip(0.25), RandomAffine(1.0, 5.0, 0.2, 0.5), keras.layers.RandomTranslation(0.1, 0.2, seed=3)]
    own = {"consistency_lambda": 0.7, "translate": 1.0, "rotate": 3.0, "scale": 0.3}
    model = make(beta=2.0, warmup_steps=3, transformations=layers if custom else None, **own)
    model.fit(images(), batch_size=4, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for copy in (zoo.ConsistencyVAE.from_config(model.get_config()), loaded):
        assert type(copy) is zoo.ConsistencyVAE
        copy.build_if_known()
        assert {name: getattr(copy, name) for name in own} == own
        assert (copy.beta, copy.warmup_steps, copy.seed) == (2.0, 3, 0)
        if custom:
            assert [layer.get_config() for layer in copy.transformations] == [layer.get_config() for layer in layers]
        else:
            assert [layer.scale for layer in copy.transformations] == [0.3]
        assert (copy.get_config()["transformations"] is None) == (not custom)
    if not custom:
        found, expected = (each.evaluate(images(), verbose=0, return_dict=True) for each in (loaded, model))
        assert found == pytest.approx(expected, rel=1e-6)
    assert zoo.ConsistencyVAE.from_config(make(transformations=[]).get_config()).transformations == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"consistency_lambda": -0.1}, ("consistency_lambda", "at least 0", "-0.1")),
        ({"consistency_lambda": float("nan")}, ("consistency_lambda", "nan")),
        ({"translate": -1}, ("translate", "-1")),
        ({"rotate": -1, "transformations": []}, ("rotate", "-1")),
        ({"scale": 1}, ("scale", "below 1")),
        ({"translate": 5}, ("translate", "6×5×1")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        make(**arguments)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)
