"""What a user can get wrong about data and networks is one line before the first step, or one in the step."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.augmentation.images import ColorJitter, RandomFlip
from zoo.networks import build

SHAPE, LATENTS = (5, 4, 1), 3


def networks():
    return build("mlp", SHAPE, LATENTS, depth=1, width=8)


def make(method=zoo.VAE, **arguments):
    model = method(*networks(), LATENTS, **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(0.01))
    return model


def images(n=12):
    return np.random.default_rng(0).random((n, *SHAPE)).astype("float32")


def refused(call, *parts, error=ValueError):
    """Calls, and checks that it fails in one line that has all parts."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


# ── However data come ────────────────────────────────────────────────────────────────────────────────────────────


class Sequence(keras.utils.PyDataset):
    """Batches of four, as Keras's own data loaders give them."""

    def __init__(self, x, labels=True):
        super().__init__()
        self.x, self.labels = x, labels

    def __len__(self):
        return len(self.x) // 4

    def __getitem__(self, i):
        batch = self.x[4 * i : 4 * i + 4]
        return (batch, np.zeros(len(batch))) if self.labels else (batch,)


def generator(x, form=lambda batch: (batch,)):
    for i in range(0, len(x), 4):
        yield form(x[i : i + 4])


FORMS = {
    "array": lambda x: x,
    "tensor": tf.constant,
    "numbered": lambda x: {"x": x, "index": np.arange(len(x))},
    "generator": generator,
    "generator of labels": lambda x: generator(x, lambda batch: (batch, np.zeros(len(batch)))),
    "PyDataset": Sequence,
    "PyDataset without labels": lambda x: Sequence(x, labels=False),
    "tf.data": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(4),
    "tf.data with labels": lambda x: tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)))).batch(4),
    "tf.data, numbered": lambda x: zoo.data.with_index(tf.data.Dataset.from_tensor_slices(x)).batch(4),
    "tf.data of unknown shape": lambda x: tf.data.Dataset.from_generator(
        lambda: generator(x, lambda batch: batch), output_signature=tf.TensorSpec(None)
    ),
}
WHOLE = ("array", "tensor", "numbered")


def with_bad(place, value, n=12):
    x = images(n)
    x[place] = value
    return x


# By what is wrong: pixels, and words of the message.
BAD = {
    "NaN": (lambda place: with_bad((place, 0, 0, 0), np.nan), ("NaN",)),
    "infinite": (lambda place: with_bad((place, 1, 2, 0), np.inf), ("infinite",)),
    "negative": (lambda place: with_bad((place, 1, 2, 0), -0.5), ("[0, 1]",)),
    "0…255": (lambda place: with_bad(place, 200.0), ("[0, 1]",)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.slow
def test_good_data_pass_whole(form):
    """The look at the first batch takes nothing away from the training."""
    model = make()
    if form == "tf.data of unknown shape":
        model.build_if_known()
    history = model.fit(FORMS[form](images()), batch_size=4 if form in WHOLE else None, verbose=0, shuffle=False)
    # Not one more, where only the generator knows its end.
    assert int(model.step.value) == 3
    assert np.isfinite(history.history["loss"]).all()


def make_again():
    keras.utils.set_random_seed(0)
    return make()


@pytest.mark.parametrize("form", [form for form in FORMS if form not in WHOLE])
@pytest.mark.slow
def test_every_form_trains_on_the_same_batches(form):
    found = []
    for data in (FORMS[form](images()), images()):
        model = make_again()
        size = {"batch_size": 4} if isinstance(data, np.ndarray) else {}
        model.fit(data, verbose=0, shuffle=False, **size)
        found.append([variable.numpy() for variable in model.trainable_variables])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("form", FORMS)
def test_bad_values_in_the_first_batch(form, kind):
    make_bad, words = BAD[kind]
    model = make()
    before = [variable.numpy() for variable in model.trainable_variables]
    refused(lambda: model.fit(FORMS[form](make_bad(2)), verbose=0), "fit", *words)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data", "tf.data with labels", "tf.data, numbered"])
@pytest.mark.slow
def test_bad_values_in_a_later_batch(form, kind):
    """Found in the step, which stops before it moves a weight by them."""
    make_bad, words = BAD[kind]
    model, good = make_again(), make_again()
    refused(lambda: model.fit(FORMS[form](make_bad(9)), verbose=0, shuffle=False), "fit", *words)
    good.fit(images(8), batch_size=4, verbose=0, shuffle=False)
    assert int(model.step.value) == int(good.step.value) == 2
    for mine, theirs in zip(model.trainable_variables, good.trainable_variables, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("form", ["array", "generator", "PyDataset", "tf.data"])
@pytest.mark.parametrize("place", [0, 9])
@pytest.mark.slow
def test_evaluation_looks_too(form, place):
    model, data = make(), FORMS[form](BAD["NaN"][0](place))
    refused(lambda: model.evaluate(data, verbose=0), "evaluate", "NaN")
    data = FORMS[form](BAD["NaN"][0](place))
    given = (data, None) if form == "array" else data
    refused(lambda: model.fit(images(), verbose=0, validation_data=given), "validation_data", "NaN")


@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data"])
@pytest.mark.slow
def test_no_batch_of_the_validation_data_is_lost(form):
    found = []
    for data in (FORMS[form](images()), (images(), None)):
        model = make_again()
        history = model.fit(images(), verbose=0, validation_data=data, validation_batch_size=4).history
        found.append({name: values[0] for name, values in history.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_gaussian_stops_at_nan_but_takes_any_finite_number():
    model = make(likelihood="gaussian")
    data = tf.data.Dataset.from_tensor_slices(images() * 9 - 4).batch(4)
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()
    later = FORMS["tf.data"](BAD["NaN"][0](9))
    refused(lambda: model.fit(later, verbose=0), "fit", "NaN")


def test_one_batch_at_a_time():
    model = make()
    refused(lambda: model.train_on_batch(BAD["NaN"][0](2)), "train_on_batch", "NaN")
    refused(lambda: model.train_on_batch(images() * 255), "train_on_batch", "[0, 1]")
    assert int(model.step.value) == 0


@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data"])
def test_empty_data(form):
    refused(lambda: make().fit(FORMS[form](images(0)), verbose=0), "fit", "empty" if form != "generator" else "nothing")


@pytest.mark.parametrize("form", ["generator", "PyDataset", "tf.data", "tf.data of unknown shape"])
def test_batches_of_the_wrong_shape(form):
    x = np.zeros((12, 5, 5, 1), "float32")
    refused(lambda: make().fit(FORMS[form](x), verbose=0), "fit", "5×5×1, but the encoder takes 5×4×1")


@pytest.mark.slow
def test_integers_that_are_0_or_1():
    black = (images() > 0.5).astype("uint8")
    for form in ("array", "generator", "PyDataset", "tf.data"):
        with pytest.warns(UserWarning, match=r"fit.*all 0 or 1"):
            make().fit(FORMS[form](black), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fine in (black.astype(bool), black * 255, np.zeros_like(black), black.astype("float32")):
            make().encode(fine)


# ── One axis too few, or too many arrays ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_an_unbatched_data_set(call):
    single = tf.data.Dataset.from_tensor_slices((images(), np.arange(12)))
    refused(lambda: getattr(make(), call)(single, verbose=0), call, "single images", "batch(n)")


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "encode", "reconstruct", "log_prob", "posteriors"])
def test_one_image_without_a_batch_axis(call):
    model = make()
    arguments = {"verbose": 0} if call in ("fit", "evaluate", "predict") else {}
    refused(lambda: getattr(model, call)(images()[0], **arguments), "without a batch axis", "x[None]", "1×5×4×1")


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "encode", "log_prob"])
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_arrays(call, kind):
    model = make()
    arguments = {"verbose": 0} if call in ("fit", "evaluate", "predict") else {}
    refused(lambda: getattr(model, call)(kind(images()), **arguments), call, f"a {kind.__name__} of 12", "np.stack")


def test_other_keys_than_x_and_index():
    refused(lambda: make().fit({"image": images()}, verbose=0), "'x'", "'index'", "'image'")


# ── Networks ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("network", [None, "conv", lambda x: x, np.zeros(3)])
@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_what_is_no_network(which, network):
    given = {**networks()._asdict(), which: network}
    refused(lambda: zoo.VAE(**given, latent_dim=LATENTS), which, "must be a Keras model", type(network).__name__)


def decoder_ending_in(activation, shape=SHAPE, separate=""):
    last = keras.layers.Dense(int(np.prod(shape)), activation=None if separate == "activation" else activation)
    layers = [keras.Input((LATENTS,)), last, keras.layers.Reshape(shape)]
    if separate == "activation":
        layers = [*layers, keras.layers.Activation(activation)]
    if separate == "network":
        return keras.Sequential([keras.Input((LATENTS,)), keras.Sequential(layers)])
    return keras.Sequential(layers)


@pytest.mark.parametrize("separate", ["", "activation", "network"])
@pytest.mark.parametrize(
    ("likelihood", "activation", "shape"),
    [
        ("bernoulli", "sigmoid", SHAPE),
        ({"name": "categorical", "categories": 20}, "softmax", (*SHAPE, 20)),
    ],
)
def test_probabilities_where_logits_are_wanted(likelihood, activation, shape, separate):
    decoder = decoder_ending_in(activation, shape, separate)
    model = zoo.VAE(networks().encoder, decoder, LATENTS, likelihood=likelihood, seed=0)
    refused(lambda: model.compile("sgd"), "VAE", "logits", activation)


def test_a_sigmoid_is_right_under_a_gaussian():
    zoo.VAE(networks().encoder, decoder_ending_in("sigmoid"), LATENTS, likelihood="gaussian").compile("sgd")


def test_an_encoder_that_scales_pixels_again():
    layers = [keras.Input(SHAPE), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(8)]
    model = zoo.VAE(keras.Sequential(layers), networks().decoder, LATENTS, seed=0)
    with pytest.warns(UserWarning, match="Rescaling") as found:
        model.compile("sgd")
    assert "\n" not in str(found[0].message)


def test_an_encoder_with_two_outputs():
    x = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(x)
    encoder = keras.Model(x, [keras.layers.Dense(LATENTS)(flat), keras.layers.Dense(LATENTS)(flat)])
    model = zoo.VAE(encoder, networks().decoder, LATENTS, seed=0)
    refused(lambda: model.compile("sgd"), "VAE", "encoder has 2 outputs", "loc and scale")

    class Pair(keras.Model):
        """Nobody can tell its outputs before it is called."""

        def call(self, x):
            return x, x

    model = zoo.VAE(Pair(), networks().decoder, LATENTS, seed=0)
    model.compile("sgd")
    refused(lambda: model.fit(images(), verbose=0), "VAE", "encoder has 2 outputs")


class Sampling(keras.layers.Layer):
    """As in Keras's VAE example."""

    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


def test_an_encoder_that_samples():
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(LATENTS), Sampling(name="z")]
    model = zoo.VAE(keras.Sequential(layers), networks().decoder, LATENTS, seed=0)
    with pytest.warns(UserWarning, match="'z', which seems to sample"):
        model.compile("sgd")


@pytest.mark.parametrize("name", [None, "last", "resample", "down_sampling"])
def test_an_upsampling_layer_does_not_sample(name):
    layers = [keras.Input(SHAPE), keras.layers.UpSampling2D(name=name)]
    model = zoo.VAE(keras.Sequential(layers), networks().decoder, LATENTS, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.compile("sgd")


def test_good_networks_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("VAE", "ConsistencyVAE", "ContrastiveVAE"):
            make(getattr(zoo, name))


# ── Views ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["array", "generator", "PyDataset", "tf.data"])
@pytest.mark.parametrize("pixels", [images() * 2 - 0.5, images() * 255])
@pytest.mark.slow
def test_gaussian_floats_beyond_what_the_views_keep(form, pixels):
    arguments = {"likelihood": "gaussian", "queue_size": 0}
    refused(
        lambda: make(zoo.ContrastiveVAE, **arguments).fit(FORMS[form](pixels), verbose=0),
        "fit",
        "ColorJitter",
        "[0, 1]",
    )
    own = make(zoo.ContrastiveVAE, views=[RandomFlip()], **arguments)
    assert np.isfinite(own.fit(FORMS[form](pixels / 255), verbose=0).history["loss"]).all()
    plain = make(likelihood="gaussian")
    assert np.isfinite(plain.fit(FORMS[form](pixels / 255), verbose=0).history["loss"]).all()


def test_views_of_ones_own_are_looked_at_too():
    model = make(zoo.ConsistencyVAE, likelihood="gaussian", transformations=[ColorJitter()])
    refused(lambda: model.fit(images() - 0.5, verbose=0), "fit", "ColorJitter", "[-0.4")
    assert np.isfinite(model.fit(images(), verbose=0).history["loss"]).all()


# ── What comes in by other ways ──────────────────────────────────────────────────────────────────────────────────


class Brighter(keras.layers.Layer):
    """A view that leaves the unit interval, as Keras's RandomBrightness does with its default value range."""

    def call(self, x, training=None):
        return x + 0.5


@pytest.mark.parametrize("method", [zoo.ContrastiveVAE, zoo.ConsistencyVAE])
def test_a_view_that_leaves_the_unit_interval_stops_the_step(method):
    views = {"views": [Brighter()]} if method is zoo.ContrastiveVAE else {"transformations": [Brighter()]}
    model = make(method, **views)
    refused(lambda: model.fit(images(), batch_size=4, verbose=0), "fit: the view", "leaves [0, 1]")
    gaussian = make(method, likelihood="gaussian", **views)
    assert np.isfinite(gaussian.fit(images(), batch_size=4, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("method", [zoo.ContrastiveVAE, zoo.ConsistencyVAE, zoo.TripletVAE])
@pytest.mark.slow
def test_the_default_views_of_a_binary_table_stay_binary(method):
    x = np.random.default_rng(0).integers(0, 2, (16, 6)).astype("float32")
    model = method(*build("mlp", (6,), LATENTS, depth=1, width=8), LATENTS, seed=0)
    model.compile(keras.optimizers.SGD(0.01))
    history = model.fit(x, batch_size=8, verbose=0).history
    assert history["distortion"][0] > 0
    for layer in model.view_layers():
        view = layer(tf.constant(x), draws=zoo.randomness.Draws(0, 0, "training"), stream="view").numpy()
        assert set(np.unique(view)) == {0.0, 1.0}


@pytest.mark.parametrize("kind", BAD)
def test_a_loop_of_ones_own_is_looked_at_too(kind):
    make_bad, words = BAD[kind]
    model = make()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s).*{re.escape(words[0])}"):
        model.compute_gradients(make_bad(0)[:4])
    # What failed does not count as forgotten.
    model.apply_gradients(model.compute_gradients(images(4)))
    assert int(model.step.value) == 1


def test_under_xla_only_the_first_batch_is_looked_at():
    model = zoo.VAE(*networks(), LATENTS, seed=0)
    model.compile("sgd", jit_compile=True)
    with pytest.warns(UserWarning, match="only the first batch"):
        model.fit(FORMS["tf.data"](images(4)), verbose=0)


def test_bytes_that_were_cast_on_the_way_to_an_encoder_model():
    encoder = make(likelihood="gaussian").encoder_model()
    bytes_ = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype("uint8")
    encoder(bytes_)
    encoder(images(4) * 3 - 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="uint8"):
        encoder(bytes_.astype("float32"))


def test_an_argument_that_nobody_takes():
    with pytest.raises(ValueError, match=r"^VAE: no argument 'bta'; did you mean 'beta'\?"):
        zoo.VAE(*networks(), LATENTS, bta=3.0)
