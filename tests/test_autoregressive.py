"""Decoders that look at x: a recurrent one over tokens and a masked convolution, written as a user writes them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, logsumexp

import zoo
from zoo.augmentation.view import View

VOCABULARY, STEPS, LATENTS, PADDING = 7, 6, 2, 0
register = keras.saving.register_keras_serializable("tests")


# ── What a user writes ───────────────────────────────────────────────────────────────────────────────────────────────


@register
class GRUDecoder(keras.Model):
    """Logits of each token given z and the tokens before it: what is known at a place is what stands left of it."""

    autoregressive = True

    def __init__(self, vocabulary, width=12, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary, self.width = vocabulary, width
        # One more than the vocabulary: the mark that begins a sequence.
        self.embedding = keras.layers.Embedding(vocabulary + 1, width)
        self.recurrent = keras.layers.GRU(width, return_sequences=True)
        self.logits = keras.layers.Dense(vocabulary, dtype="float32")

    def build(self, input_shape):
        (_, latents), (_, steps) = input_shape
        self.embedding.build((None, steps))
        self.recurrent.build((None, steps, self.width + latents))
        self.logits.build((None, steps, self.width))
        self.built = True

    def call(self, inputs):
        z, x = inputs
        x = tf.cast(x, tf.int32)
        before = tf.concat([tf.fill(tf.shape(x[:, :1]), self.vocabulary), x[:, :-1]], axis=1)
        everywhere = tf.repeat(z[:, None], tf.shape(x)[1], axis=1)
        return self.logits(self.recurrent(tf.concat([self.embedding(before), everywhere], axis=-1)))

    def get_config(self):
        return {**super().get_config(), "vocabulary": self.vocabulary, "width": self.width}


def bag_of_words(steps):
    """The encoder: the mean embedding of the tokens that are no padding."""
    x = keras.Input((steps,))
    words = keras.layers.Embedding(VOCABULARY, 8, mask_zero=True)(x)
    return keras.Model(x, keras.layers.GlobalAveragePooling1D()(words))


@register
class MaskedConvolution(keras.layers.Conv2D):
    """A convolution that sees what lies above and to the left of a pixel, and the pixel itself with `own`."""

    def __init__(self, filters, kernel_size, own, **kwargs):
        super().__init__(filters, kernel_size, padding="same", **kwargs)
        self.own = own

    def call(self, x):
        size = self.kernel_size[0]
        seen = np.zeros((size, size, 1, 1), "float32")
        seen[: size // 2] = 1
        seen[size // 2, : size // 2 + self.own] = 1
        return tf.nn.bias_add(tf.nn.conv2d(x, self.kernel * seen, 1, "SAME"), self.bias)

    def get_config(self):
        config = {**super().get_config(), "own": self.own}
        config.pop("padding")
        return config


def pixel_cnn(shape):
    """Z and an image → logits of each pixel given those before it, row by row: a model with two inputs."""
    z, x = keras.Input((LATENTS,)), keras.Input(shape)
    told = keras.layers.Reshape((*shape[:2], 4))(keras.layers.Dense(shape[0] * shape[1] * 4)(z))
    hidden = MaskedConvolution(8, 3, own=False)(x)
    hidden = keras.layers.Activation("tanh")(keras.layers.Concatenate()([hidden, told]))
    return keras.Model([z, x], MaskedConvolution(shape[2], 3, own=True)(hidden))


@register
class Truncate(View):
    """Cuts off the second half of a sequence."""

    def transform(self, x, draws, stream):
        return tf.where(tf.range(tf.shape(x)[1]) < tf.shape(x)[1] // 2, x, float(PADDING))


@register
class Forget(View):
    """Puts token 1 in the place of words."""

    def transform(self, x, draws, stream):
        hidden = (draws.uniform(stream, tf.shape(x)) < 0.3) & (x != float(PADDING))
        return tf.where(hidden, tf.ones_like(x), x)


# ── Models ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def text(n=48, steps=STEPS, seed=0):
    """Sequences of 2 to `steps` tokens, filled up with padding."""
    generator = np.random.default_rng(seed)
    x = generator.integers(1, VOCABULARY, (n, steps))
    lengths = generator.integers(2, steps + 1, (n, 1))
    lengths[0] = steps
    return np.where(np.arange(steps) < lengths, x, PADDING)


def over_text(method=zoo.VAE, steps=STEPS, seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    model = method(
        bag_of_words(steps),
        GRUDecoder(VOCABULARY),
        LATENTS,
        likelihood={"name": "categorical", "categories": VOCABULARY},
        domain=zoo.domains.Tokens(VOCABULARY, padding=PADDING),
        seed=0,
        **arguments,
    )
    model.compile(keras.optimizers.Adam(0.01))
    return model


def over_images(shape=(4, 3, 1), **arguments):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(8, activation="relu")])
    model = zoo.VAE(encoder, pixel_cnn(shape), LATENTS, seed=0, **arguments)
    model.compile(keras.optimizers.Adam(0.01))
    # As they start, biases are 0 and weights small.
    generator = np.random.default_rng(0)
    model.decoder.set_weights([generator.normal(0, 0.7, w.shape) for w in model.decoder.get_weights()])
    return model


def codes(n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, LATENTS)).astype("float32")


def single_steps(model, x, z):
    """Log p(x|z) of each place, one pass of the decoder a place, which is told what stands before it and no more."""
    found = np.zeros(x.shape)
    for step in range(x.shape[1]):
        known = np.where(np.arange(x.shape[1]) < step, x, PADDING).astype("float32")
        logits = np.asarray(model.decoder([z, tf.constant(known)]))[:, step]
        found[:, step] = log_softmax(logits, axis=-1)[np.arange(len(x)), x[:, step]]
    return found


# ── Tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_teacher_forcing_is_the_sum_of_single_steps():
    model, x, z = over_text(), text(), codes(48)
    expected = np.where(x == PADDING, 0, single_steps(model, x, z)).sum(1)
    np.testing.assert_allclose(model.log_likelihood(x, z), expected, atol=1e-5)
    # Several codes of an example at once, as importance sampling has them.
    many = np.stack([z, codes(48, seed=2), codes(48, seed=3)])
    found = model.log_likelihood(x, many)
    assert found.shape == (3, 48)
    for of_one, one in zip(found, many, strict=True):
        expected = np.where(x == PADDING, 0, single_steps(model, x, one)).sum(1)
        np.testing.assert_allclose(of_one, expected, atol=1e-5)
    # And in the step.
    batch = model.batch(x, training=False)
    latents = model.infer(batch)
    expected = -np.where(x == PADDING, 0, single_steps(model, x, np.asarray(latents.z))).sum(1)
    np.testing.assert_allclose(model.objective(x, training=False)["distortion"], expected, atol=1e-5)


def test_log_probabilities_of_all_sequences_add_up_to_one():
    model = over_text()
    every = np.array(list(itertools.product(range(VOCABULARY), repeat=3)), "float32")
    given = tf.constant(np.pad(every, ((0, 0), (0, 3))))
    logits = model.decoder([np.repeat(codes(1), len(every), 0), given])[:, :3]
    likelihood = zoo.likelihoods.Categorical(VOCABULARY)
    assert logsumexp(likelihood.log_prob(logits, every)) == pytest.approx(0, abs=1e-5)


def test_padding_never_counts():
    short, long = over_text(steps=None), text()
    longer = np.pad(long, ((0, 0), (0, 4)), constant_values=PADDING)
    z = codes(48)
    np.testing.assert_allclose(short.log_likelihood(long, z), short.log_likelihood(longer, z), atol=1e-5)
    np.testing.assert_allclose(
        zoo.metrics.negative_log_likelihood(short, long, samples=20),
        zoo.metrics.negative_log_likelihood(short, longer, samples=20),
        atol=1e-4,
    )
    whole, more = (short.objective(x, training=False) for x in (long, longer))
    for name in ("distortion", "rate", "elbo"):
        np.testing.assert_allclose(whole[name], more[name], atol=1e-4)
    # What the decoder would say of padding is of no account.
    fixed = over_text()
    before = fixed.log_likelihood(long, z)
    bias = fixed.decoder.logits.bias
    bias.assign(tf.tensor_scatter_nd_add(bias.value, [[PADDING]], [-50.0]))
    assert np.all(fixed.log_likelihood(long, z) >= before)


def test_a_transformation_has_a_mask_of_its_own():
    """The bound on shortened sequences counts the tokens that are left."""
    model = over_text(zoo.ConsistencyVAE, transformations=[Truncate()])
    x = text()
    halves = np.where(np.arange(STEPS) < STEPS // 2, x, PADDING)
    terms = model.objective(x, training=True)
    batch = model.batch(halves, training=True).of(tf.constant(halves, tf.float32), "transformed")
    z = np.asarray(model.infer(batch).z)
    expected = -np.where(halves == PADDING, 0, single_steps(model, halves, z)).sum(1)
    np.testing.assert_allclose(terms["transformed_distortion"], expected, atol=1e-5)


METHODS = {
    "iwae": (zoo.IWAE, {"samples": 3}),
    "critic, self": (zoo.InferenceCriticVAE, {}),
    "critic of the model": (zoo.InferenceCriticVAE, {"side": "model"}),
    "consistency": (zoo.ConsistencyVAE, {"transformations": [Forget()]}),
    "noise from the decoder": (zoo.NoiseContrastiveVAE, {"noise": "decoder"}),
}
SLOW = {
    "plain": (zoo.VAE, {}),
    "critic, hybrid": (zoo.InferenceCriticVAE, {"critic": "hybrid"}),
    "contrastive": (zoo.ContrastiveVAE, {"queue_size": 32, "views": [Forget()]}),
    "triplet": (zoo.TripletVAE, {"transformations": [Forget()]}),
    "combined": (zoo.combine("consistency", "critic", "iwae"), {"transformations": [Forget()], "samples": 2}),
}


@pytest.mark.parametrize("name", [*METHODS, *(pytest.param(name, marks=pytest.mark.matrix) for name in SLOW)])
@pytest.mark.slow
def test_methods_run_unchanged(name, tmp_path):
    method, arguments = {**METHODS, **SLOW}[name]
    model, x = over_text(method, **arguments), text()
    history = model.fit(x, epochs=4, batch_size=16, verbose=0).history
    assert history["distortion"][-1] < history["distortion"][0]
    held_out = model.evaluate(x, batch_size=20, verbose=0, return_dict=True)
    assert all(np.isfinite(value) for value in held_out.values())
    nll = zoo.metrics.negative_log_likelihood(model, x, samples=50)
    assert held_out["elbo"] <= -nll.mean() + 0.05
    if name == "iwae":
        assert -held_out["elbo"] + 0.1 > held_out["negative_bound"] > nll.mean() - 0.1
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    z = codes(48)
    np.testing.assert_array_equal(again.log_likelihood(x, z), model.log_likelihood(x, z))
    assert again.domain.padding == PADDING


@pytest.mark.filterwarnings("ignore::zoo.metrics.likelihood.UnreliableEstimateWarning")
@pytest.mark.slow
def test_both_likelihoods_are_the_integral_over_codes():
    model, x = over_text(), text(6)
    # So that z matters.
    model.decoder.set_weights([2 * w for w in model.decoder.get_weights()])
    # Q is the prior: broad enough for weights without heavy tails.
    kernel, zero = np.zeros((8, LATENTS)), np.zeros(LATENTS)
    model.head.set_weights([kernel, zero, kernel, zero + np.log(np.expm1(1.0))])
    axis = np.linspace(-6, 6, 61)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2).astype("float32")
    log_joint = model.log_likelihood(x, np.repeat(grid, 6, 1)) + model.log_prior(np.repeat(grid, 6, 1))
    exact = -logsumexp(log_joint, axis=0) - 2 * np.log(axis[1] - axis[0])
    weighted = zoo.metrics.negative_log_likelihood(model, x, samples=4000)
    np.testing.assert_allclose(weighted, exact, atol=0.2)
    assert weighted.mean() == pytest.approx(exact.mean(), abs=0.02)
    annealed = zoo.metrics.annealed_negative_log_likelihood(model, x, steps=200, chains=16, leapfrog_steps=2)
    assert annealed.mean() == pytest.approx(exact.mean(), abs=0.02)


@pytest.mark.slow
def test_generation_goes_step_by_step():
    model, z = over_text(seed=3), codes(5)
    expected = np.zeros((5, STEPS), "float32")
    for step in range(STEPS):
        expected[:, step] = np.asarray(model.decoder([z, tf.constant(expected)]))[:, step].argmax(-1)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(model.decode(z), expected)
    np.testing.assert_array_equal(tf.function(model.decode)(tf.constant(z)), expected)
    # Told an example, each place is the likeliest after the example's own tokens.
    x = text(5)
    told = np.asarray(model.decoder([z, tf.constant(x, tf.float32)])).argmax(-1)
    np.testing.assert_array_equal(model.decode(z, tf.constant(x, tf.float32)), told)
    reconstructed = np.asarray(model.decoder([model.encode(x).loc, tf.constant(x, tf.float32)])).argmax(-1)
    np.testing.assert_array_equal(model.reconstruct(x), reconstructed)


def test_samples_follow_the_model():
    """First two tokens of many samples against their probabilities, z being the same for all."""
    model, n = over_text(seed=3), 4000
    model.decoder.set_weights([2 * w for w in model.decoder.get_weights()])
    z = np.repeat(codes(1), n, 0)
    drawn = np.asarray(model.generate(tf.constant(z)).sample(zoo.randomness.Draws(0, 5, "sample"), "x"))
    assert drawn.shape == (n, STEPS) and set(np.unique(drawn)) <= set(range(VOCABULARY))
    pairs = np.array(list(itertools.product(range(VOCABULARY), repeat=2)), "float32")
    given = tf.constant(np.pad(pairs, ((0, 0), (0, STEPS - 2))))
    logits = model.decoder([z[: len(pairs)], given])[:, :2]
    p = np.exp(zoo.likelihoods.Categorical(VOCABULARY).log_prob(logits, pairs))
    found = np.bincount((drawn[:, 0] * VOCABULARY + drawn[:, 1]).astype(int), minlength=len(pairs)) / n
    assert np.all(np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-3)
    tokens = model.sample(20, seed=1, mean=False)
    np.testing.assert_array_equal(tokens, model.sample(20, seed=1, mean=False))
    assert np.any(tokens != model.sample(20, seed=2, mean=False))


def test_a_later_token_changes_no_earlier_conditional():
    model, x, z = over_text(), text(), tf.constant(codes(48))
    logits = model.generate(z, tf.constant(x, tf.float32)).parameters.numpy()
    for step in range(STEPS):
        other = x.copy()
        other[:, step:] = (other[:, step:] + 1) % VOCABULARY
        changed = model.generate(z, tf.constant(other, tf.float32)).parameters.numpy()
        np.testing.assert_array_equal(changed[:, : step + 1], logits[:, : step + 1])
        if step + 1 < STEPS:
            assert np.abs(changed[:, step + 1] - logits[:, step + 1]).min() > 0


def test_a_decoder_that_is_not_told_says_so():
    model, z = over_text(), codes(3)
    with pytest.raises(ValueError, match="given"):
        model.generate(tf.constant(z)).log_prob(tf.constant(text(3), tf.float32))
    with pytest.raises(ValueError, match="fixed size"):
        over_text(steps=None).sample(3)


TOKEN_MISTAKES = {
    "beyond the vocabulary": (np.full((4, STEPS), VOCABULARY), "vocabulary"),
    "negative": (np.full((4, STEPS), -1), "vocabulary"),
    "fractions": (np.full((4, STEPS), 0.5), "whole numbers"),
    "rank": (np.ones((4, STEPS, 2), int), f"{STEPS}×2"),
    "length": (np.ones((4, STEPS + 1), int), str(STEPS + 1)),
}


@pytest.mark.parametrize("mistake", TOKEN_MISTAKES)
@pytest.mark.slow
def test_mistakes_are_one_line(mistake):
    x, cause = TOKEN_MISTAKES[mistake]
    for call in ("fit", "evaluate", "encode", "log_prob"):
        with pytest.raises(ValueError, match=cause) as error:
            getattr(over_text(), call)(x)
        assert "\n" not in str(error.value)


# ── Pixels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def pixels(n, shape=(4, 3, 1), seed=0):
    return (np.random.default_rng(seed).random((n, *shape)) < 0.4).astype("float32")


def test_probabilities_of_all_images_add_up_to_one():
    model = over_images((2, 3, 1))
    every = np.array(list(itertools.product((0, 1), repeat=6)), "float32").reshape(-1, 2, 3, 1)
    z = np.repeat(codes(1), len(every), 0)
    assert logsumexp(model.log_likelihood(every, z)) == pytest.approx(0, abs=1e-5)
    # Nothing here factorises: else the next test would show nothing.
    p = np.exp(model.log_likelihood(every, z))
    flat = every.reshape(-1, 6)
    independent = np.prod(np.where(flat == 1, p @ flat, 1 - p @ flat), axis=1)
    assert np.abs(p - independent).max() > 0.01
    n = 5000
    drawn = np.asarray(
        model.generate(tf.constant(np.repeat(codes(1), n, 0))).sample(zoo.randomness.Draws(0, 5, "sample"), "x")
    )
    places = drawn.reshape(n, 6).astype(int) @ (2 ** np.arange(5, -1, -1))
    found = np.bincount(places, minlength=64) / n
    assert np.all(np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-3)


def test_row_by_row():
    model, x, z = over_images(), pixels(3), codes(3)
    logits = model.generate(tf.constant(z), tf.constant(x)).parameters.numpy().reshape(3, 12)
    for place in range(12):
        other = x.reshape(3, 12).copy()
        other[:, place:] = 1 - other[:, place:]
        changed = model.generate(tf.constant(z), tf.constant(other.reshape(x.shape))).parameters.numpy().reshape(3, 12)
        np.testing.assert_array_equal(changed[:, : place + 1], logits[:, : place + 1])
    assert np.abs(changed[:, 1:] - logits[:, 1:]).max() == 0
    expected = np.zeros((3, 12), "float32")
    for place in range(12):
        given = tf.constant(expected.reshape(3, 4, 3, 1))
        now = np.asarray(model.decoder([tf.constant(z), given])).reshape(3, 12)
        expected[:, place] = 1 / (1 + np.exp(-now[:, place]))
    np.testing.assert_allclose(np.reshape(model.decode(z), (3, 12)), expected, atol=1e-6)


@pytest.mark.slow
def test_images_are_fitted_and_saved(tmp_path):
    model, x = over_images(), pixels(64)
    history = model.fit(x, epochs=5, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    held_out = model.evaluate(x, verbose=0, return_dict=True)
    assert held_out["elbo"] <= -zoo.metrics.negative_log_likelihood(model, x, samples=50).mean() + 0.05
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    np.testing.assert_array_equal(again.sample(3, seed=1, mean=False), model.sample(3, seed=1, mean=False))
    assert model.sample(3).shape == (3, 4, 3, 1)
