"""What users do with a VAE: their own networks, every kind of data, every call, and their mistakes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.networks import build

SHAPE, LATENTS = (5, 4, 1), 3
TERMS = ["loss", "distortion", "rate", "elbo"]


def make(likelihood="bernoulli", **arguments):
    networks = build("mlp", SHAPE, LATENTS, depth=1, width=16)
    return zoo.VAE(*networks, LATENTS, likelihood=likelihood, **{"seed": 0, **arguments})


def compiled(**arguments):
    keras.utils.set_random_seed(0)
    model = make(**arguments)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def images(n=12, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).random((n, *shape)).astype("float32")


def assert_weights_equal(these, those, **tolerance):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_allclose(this, that, **({"rtol": 0, "atol": 1e-6} | tolerance))


def assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


# ── What users call ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_shapes_and_ranges(likelihood):
    model, x = make(likelihood), images(7)
    loc, scale = model.encode(x)
    assert loc.shape == scale.shape == (7, LATENTS)
    assert np.min(scale) > 0
    for mine, whole in zip(model.posteriors(x, batch_size=3), (loc, scale), strict=True):
        np.testing.assert_allclose(mine, whole, atol=1e-6)
    decoded, reconstructed, predicted = model.decode(loc), model.reconstruct(x), model.predict(x, verbose=0)
    assert decoded.shape == reconstructed.shape == predicted.shape == (7, *SHAPE)
    np.testing.assert_allclose(decoded, reconstructed)
    np.testing.assert_allclose(predicted, reconstructed, atol=1e-6)
    raw = model.decoder(loc).numpy()
    np.testing.assert_allclose(decoded, 1 / (1 + np.exp(-raw)) if likelihood == "bernoulli" else raw, rtol=1e-5)
    assert model.sample(5).shape == (5, *SHAPE)
    assert model.log_prob(x, samples=4).shape == (7,)
    pixels = np.round(x * 255).astype("uint8")
    np.testing.assert_allclose(model.encode(pixels).loc, model.encode(pixels / 255).loc, atol=1e-6)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), model.reconstruct(pixels), atol=1e-6)


def test_samples_follow_their_seed():
    model = make()
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1))
    assert np.abs(model.sample(4, seed=1) - model.sample(4, seed=2)).min() > 0
    assert np.abs(model.sample(4) - model.sample(4)).min() > 0


@keras.saving.register_keras_serializable("tests")
class OwnEncoder(keras.Model):
    """A subclass without `build` or `compute_output_shape`, as most are."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(8, "relu")

    def call(self, x):
        return self.dense(self.flatten(x))


def unbuilt(kind):
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(8, "relu")])
    decoder = keras.Sequential([keras.layers.Dense(20), keras.layers.Reshape(SHAPE)])
    return zoo.VAE(OwnEncoder() if kind == "subclass" else encoder, decoder, LATENTS, seed=0)


@pytest.mark.parametrize("kind", ["sequential", "subclass"])
@pytest.mark.slow
def test_networks_that_learn_their_input_in_fit(kind, tmp_path):
    model = unbuilt(kind)
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(images(), epochs=8, verbose=0, validation_data=(images(seed=1),)).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {*TERMS, *(f"val_{name}" for name in TERMS)}
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded.encode(images()).loc, model.encode(images()).loc, atol=1e-6)


CALLS = {
    **{name: lambda model, data, name=name: getattr(model, name)(data, verbose=0) for name in ("fit", "evaluate")},
    "predict": lambda model, data: model.predict(data, verbose=0),
    **{
        name: lambda model, _, name=name: getattr(model, name)(images(4))
        for name in ("encode", "posteriors", "reconstruct", "log_prob", "train_on_batch", "test_on_batch", "__call__")
    },
    "objective": lambda model, _: model.objective(images(4), training=True),
    "infer": lambda model, _: model.infer(model.batch(images(4), training=False)),
    "own loop": lambda model, _: model.apply_gradients(model.compute_gradients(images(4))),
    "own loop in a graph": lambda model, _: tf.function(lambda x: model.apply_gradients(model.compute_gradients(x)))(
        tf.constant(images(4))
    ),
}


@pytest.mark.parametrize("kind", ["sequential", "subclass", "known"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.slow
def test_networks_that_learn_their_input_in_any_call(kind, call):
    model = make() if kind == "known" else unbuilt(kind)
    assert not model.built
    if call in {"fit", "evaluate", "predict", "train_on_batch", "test_on_batch"} or "loop" in call:
        model.compile(keras.optimizers.SGD(0.1))
    CALLS[call](model, tf.data.Dataset.from_tensor_slices((images(4), np.arange(4))).batch(2))
    assert model.built and len(model.trainable_variables) >= 6
    assert model.sample(2).shape == (2, *SHAPE)


@pytest.mark.parametrize("call", ["sample", "decode"])
def test_a_model_is_used_before_it_is_compiled(call):
    found = getattr(make(), call)(2 if call == "sample" else np.zeros((2, LATENTS)))
    assert found.shape == (2, *SHAPE)


def test_a_loop_of_ones_own_is_traced_without_a_warning(caplog):
    model = compiled()
    step = tf.function(lambda x: model.apply_gradients(model.compute_gradients(x)))
    theirs = compiled()
    for _ in range(3):
        logs = step(tf.constant(images()))
        expected = theirs.train_on_batch(images(), return_dict=True)
        model.reset_metrics()
    assert not [record for record in caplog.records if "AutoGraph" in record.message]
    assert {name: pytest.approx(float(value), rel=1e-5) for name, value in logs.items()} == expected
    assert_weights_equal(model.trainable_variables, theirs.trainable_variables)
    assert int(model.step.value) == 3


def test_gradients_that_are_never_applied_are_noticed():
    model = compiled()
    model.compute_gradients(images())
    with pytest.raises(tf.errors.InvalidArgumentError, match="never applied"):
        model.compute_gradients(images())


def test_a_loop_needs_a_compiled_model():
    with pytest.raises(ValueError, match=r"compile\(\) first"):
        make().compute_gradients(images())


def test_gradients_that_are_applied_twice_are_noticed():
    model = compiled()
    gradients = model.compute_gradients(images())
    model.apply_gradients(gradients)
    with pytest.raises(tf.errors.InvalidArgumentError, match="applied already"):
        model.apply_gradients(gradients)
    assert int(model.step.value) == int(model.optimizer.iterations) == 1


@pytest.mark.slow
def test_fit_takes_arrays_and_datasets_of_every_kind():
    pixels = np.random.default_rng(0).integers(0, 256, (12, *SHAPE)).astype("uint8")
    x, y, w = (pixels / 255).astype("float32"), np.arange(12), np.linspace(1, 2, 12).astype("float32")

    def fitted(*data, **arguments):
        model = compiled()
        model.fit(*data, epochs=2, shuffle=False, verbose=0, **arguments)
        return [variable.numpy() for variable in model.trainable_variables]

    def batches(*parts):
        return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0]).batch(6)

    plain = fitted(x, batch_size=6)
    for data in ([x, y], [pixels], [x.astype("float64")], [x.astype("float16").astype("float64")]):
        tolerance = {"atol": 1e-3} if data[0].dtype == "float64" and len(data) == 1 else {}
        assert_weights_equal(fitted(*data, batch_size=6), plain, **tolerance)
    for data in (batches(x), batches(x, y), batches(pixels), batches(x.astype("float64"), y)):
        assert_weights_equal(fitted(data), plain)
    weighted = fitted(x, y, batch_size=6, sample_weight=w)
    assert np.abs(weighted[0] - plain[0]).max() > 1e-5
    assert_weights_equal(fitted(batches(x, y, w)), weighted)
    black_and_white = pixels > 127
    assert_weights_equal(fitted(black_and_white, batch_size=6), fitted(black_and_white.astype("float32"), batch_size=6))


@pytest.mark.slow
def test_however_the_step_is_run_it_is_the_same_step():
    def fitted(method="VAE", **arguments):
        keras.utils.set_random_seed(0)
        model = getattr(zoo, method)(*build("mlp", SHAPE, LATENTS, depth=1, width=16), LATENTS, seed=0)
        model.compile(keras.optimizers.SGD(0.1), **arguments)
        model.fit(images(), batch_size=4, shuffle=False, verbose=0)
        return [variable.numpy() for variable in model.trainable_variables]

    for arguments in ({"run_eagerly": True}, {"steps_per_execution": 3}):
        assert_weights_equal(fitted(**arguments), fitted(), atol=1e-5)
    # XLA makes other numbers of the same random bits.
    assert all(np.isfinite(weight).all() for weight in fitted("ContrastiveVAE", jit_compile=True))


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"beta": -1}, ("VAE", "beta", "-1")),
        ({"beta": float("nan")}, ("VAE", "beta")),
        ({"warmup_steps": -1}, ("warmup_steps",)),
        ({"seed": 2**31}, ("seed",)),
        ({"likelihood": "gausian"}, ("gausian", "did you mean 'gaussian'?", "bernoulli")),
        ({"likelihood": {"name": "gaussian", "variance": 0}}, ("variance", "greater than 0")),
        ({"likelihood": {"name": "gaussian", "varience": 1}}, ("varience",)),
        ({"likelihood": {"variance": 1}}, ("likelihood", "gaussian")),
    ],
)
def test_bad_hyperparameters(arguments, parts):
    with pytest.raises(ValueError) as error:
        make(**arguments)
    assert_one_line(error, *parts)


@pytest.mark.parametrize("latent_dim", [0, -2, 1.5, True, "many"])
def test_bad_latent_dim(latent_dim):
    with pytest.raises(ValueError) as error:
        zoo.VAE(*build("mlp", SHAPE, LATENTS, depth=0), latent_dim)
    assert_one_line(error, "VAE: latent_dim")


def test_networks_that_do_not_fit():
    encoder = build("mlp", SHAPE, LATENTS, depth=0).encoder
    for decoder, part in (
        (build("mlp", (5, 4, 3), LATENTS, depth=0).decoder, "decoder gives 5×4×3, but the encoder takes 5×4×1"),
        (build("mlp", SHAPE, 7, depth=0).decoder, "latent_dim is 3, but the decoder takes 7"),
        (keras.Sequential([keras.layers.Dense(20)]), "decoder gives 20, but"),
    ):
        with pytest.raises(ValueError) as error:
            zoo.VAE(encoder, decoder, LATENTS).compile("sgd")
        assert_one_line(error, "VAE: ", part)


@pytest.mark.parametrize("name", ["loss", "metrics", "weighted_metrics", "loss_weights"])
def test_compile_takes_no_objective(name):
    with pytest.raises(ValueError) as error:
        make().compile("sgd", **{name: "mse"})
    assert_one_line(error, "VAE.compile", name)


BAD_IMAGES = {
    "rank": (images()[..., 0], "5×4, but the encoder takes 5×4×1"),
    "size": (images(shape=(5, 5, 1)), "5×5×1, but the encoder takes 5×4×1"),
    "channels": (images(shape=(5, 4, 3)), "5×4×3, but the encoder takes 5×4×1"),
    "nan": (np.where(images() < 0.01, np.nan, images()), "NaN"),
    "range": (images() * 255, "[0, 1]"),
    "negative": (images() - 0.5, "[0, 1]"),
    "integers": (np.full((2, *SHAPE), 256), "0..255"),
    "empty": (images(0), "no images"),
    "text": (np.full((2, *SHAPE), "a"), "type"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_bad_images(kind):
    model = compiled()
    x, part = BAD_IMAGES[kind]
    calls = {
        "fit": lambda: model.fit(x, verbose=0),
        "validation_data": lambda: model.fit(images(), verbose=0, validation_data=(x, None)),
        "evaluate": lambda: model.evaluate(x, verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "encode": lambda: model.encode(x),
        "reconstruct": lambda: model.reconstruct(x),
        "log_prob": lambda: model.log_prob(x),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError) as error:
            call()
        assert_one_line(error, part, "encode" if name == "reconstruct" else name)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_datasets_of_the_wrong_shape(method):
    model = compiled()
    dataset = tf.data.Dataset.from_tensor_slices((images(shape=(5, 5, 1)), np.zeros(12))).batch(4)
    with pytest.raises(ValueError) as error:
        getattr(model, method)(dataset, verbose=0)
    assert_one_line(error, method, "5×5×1, but the encoder takes 5×4×1")


def test_a_gaussian_takes_any_finite_float():
    model = compiled(likelihood="gaussian")
    assert np.isfinite(model.fit(images() * 9 - 4, verbose=0).history["loss"][0])
