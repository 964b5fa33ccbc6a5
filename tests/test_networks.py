"""Networks: the sizes that the paper's table gives, and the fused normalisation against Keras's own."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import VAE, networks
from zoo.networks.normalization import FusedBatchNormalization


def test_conv_has_the_weights_of_the_table():
    encoder, decoder = networks.build("conv", (28, 28, 1), 16)
    # By hand: kernels, biases and the two trained numbers a channel of each normalisation; then both heads.
    convolutions = [(1, 32), (32, 64), (64, 128)]
    own = sum(9 * i * o + o + 2 * o for i, o in convolutions)
    transposed = [(256, 128), (128, 64), (64, 32)]
    theirs = 16 * 4096 + 4096 + sum(9 * i * o + o + 2 * o for i, o in transposed) + 9 * 32 + 1
    heads = 2 * (2048 * 16 + 16)
    assert sum(int(np.prod(w.shape)) for w in encoder.trainable_weights) == own
    assert sum(int(np.prod(w.shape)) for w in decoder.trainable_weights) == theirs
    model = VAE(encoder, decoder, latent_dim=16)
    model.build_if_known()
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == own + theirs + heads == 616_353


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_conv_takes_both_sizes_and_kinds(size, channels):
    encoder, decoder = networks.build("conv", (size, size, channels), 5)
    assert encoder.output_shape == (None, 4, 4, 128)
    assert decoder.output_shape == (None, size, size, channels)
    sizes = [layer.output.shape[1] for layer in decoder.layers if isinstance(layer, FusedBatchNormalization)]
    assert sizes == ([7, 13, 28] if size == 28 else [8, 16, 32])


def convolution(x, kernel, bias, stride=2, padding=0):
    """PyTorch's Conv2d by its definition, channels last: out[i, j] = Σ x[stride·i + a − padding, …] · kernel[a, …]."""
    size = (x.shape[1] + 2 * padding - 3) // stride + 1
    padded = np.pad(x, [(0, 0), (padding, padding + stride), (padding, padding + stride), (0, 0)])
    out = np.zeros((len(x), size, size, kernel.shape[3]))
    for i, j in np.ndindex(size, size):
        window = padded[:, stride * i : stride * i + 3, stride * j : stride * j + 3]
        out[:, i, j] = np.einsum("nabc,abco->no", window, kernel) + bias
    return out


def transposed(x, kernel, bias, stride=2, padding=1, output_padding=0):
    """PyTorch's ConvTranspose2d by its definition: x[i, j] · kernel[a, …] adds to out[stride·i + a − padding, …]."""
    n = x.shape[1]
    whole = np.zeros((len(x), stride * n + 3, stride * n + 3, kernel.shape[2]))
    for i, j in np.ndindex(n, n):
        whole[:, stride * i : stride * i + 3, stride * j : stride * j + 3] += np.einsum(
            "nc,aboc->nabo", x[:, i, j], kernel
        )
    size = (n - 1) * stride - 2 * padding + 3 + output_padding
    return whole[:, padding : padding + size, padding : padding + size] + bias


def normalised(x, gamma, beta, mean, variance):
    return np.maximum(0, gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta)


# As Table VI prints them: padding and output padding of the decoder's three layers.
@pytest.mark.parametrize(("size", "paddings"), [(28, [(1, 0), (1, 0), (0, 1)]), (32, [(1, 1)] * 3)])
def test_conv_lies_where_the_table_puts_it(size, paddings):
    generator = np.random.default_rng(0)
    encoder, decoder = networks.build("conv", (size, size, 1), 5)
    for network in (encoder, decoder):
        network.set_weights(
            [generator.uniform(0.2, 1.0, w.shape) / max(1, w.size) ** 0.25 for w in network.get_weights()]
        )
    x, z = generator.random((2, size, size, 1)), generator.normal(size=(2, 5))
    found = encoder(x).numpy(), decoder(z).numpy()

    weights = [w.astype(float) for w in encoder.get_weights()]
    for number, padding in enumerate((0, 1, 1)):
        kernel, bias, *four = weights[6 * number : 6 * number + 6]
        x = normalised(convolution(x, kernel, bias, padding=padding), *four)
    np.testing.assert_allclose(found[0], x, rtol=1e-4, atol=1e-5)

    dense, bias, *weights = (w.astype(float) for w in decoder.get_weights())
    x = (z @ dense + bias).reshape(2, 4, 4, 256)
    for number, (padding, output_padding) in enumerate(paddings):
        kernel, bias, *four = weights[6 * number : 6 * number + 6]
        x = normalised(transposed(x, kernel, bias, 2, padding, output_padding), *four)
    x = transposed(x, *weights[18:], stride=1)
    np.testing.assert_allclose(found[1], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 30, 1), (28, 32, 1), (28, 28, 2), (64, 64, 3)])
def test_conv_refuses_other_images(shape):
    with pytest.raises(ValueError, match=r"conv: takes images of 28×28 or 32×32 .* got " + "×".join(map(str, shape))):
        networks.build("conv", shape, 5)


def weights_of(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize(
    ("size", "filters", "kernel", "doublings", "first"),
    [(28, 128, 4, 2, 7), (28, 32, 4, 2, 7), (32, 32, 5, 2, 8), (64, 32, 5, 3, 8)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_wae_conv_has_the_weights_of_the_paper(size, filters, kernel, doublings, first, channels):
    encoder, decoder = networks.build("wae_conv", (size, size, channels), 50, filters=filters, kernel=kernel)
    # By hand, as above; the decoder's dense layer and its last one are not normalised.
    widths = [channels, filters, 2 * filters, 4 * filters, 8 * filters]
    own = sum(kernel**2 * i * o + o + 2 * o for i, o in itertools.pairwise(widths))
    maps = [8 * filters, 4 * filters, 2 * filters, filters][: doublings + 1]
    dense = 51 * first * first * 8 * filters
    theirs = dense + sum(kernel**2 * i * o + o + 2 * o for i, o in itertools.pairwise(maps))
    assert weights_of(encoder) == own
    assert weights_of(decoder) == theirs + kernel**2 * maps[-1] * channels + channels


def test_wae_convs_weights_in_numbers():
    model = VAE(*networks.build("wae_conv", (28, 28, 1), 50), latent_dim=50)
    model.build_if_known()
    convolutions = 16 * (1 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 3 * (128 + 256 + 512 + 1024)
    transposed = 16 * (1024 * 512 + 512 * 256 + 256 * 1) + 3 * (512 + 256) + 1
    assert weights_of(model) == convolutions + transposed + 51 * 7 * 7 * 1024 + 2 * 50 * (2 * 2 * 1024 + 1)
    assert weights_of(model) == 24_478_693


@pytest.mark.parametrize(("size", "maps"), [(28, [7, 14, 28]), (32, [8, 16, 32]), (64, [8, 16, 32, 64])])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.slow
def test_wae_conv_takes_three_sizes_and_two_kinds(size, maps, channels):
    encoder, decoder = networks.build("wae_conv", (size, size, channels), 5, "sigmoid", filters=4)
    assert encoder.output_shape == (None, 4 if size == 64 else 2, 4 if size == 64 else 2, 32)
    kinds = (keras.layers.Reshape, keras.layers.Conv2DTranspose)
    found = [layer.output.shape[1:] for layer in decoder.layers if isinstance(layer, kinds)]
    assert [shape[0] for shape in found] == [*maps, size]
    assert [shape[2] for shape in found] == [*(32, 16, 8, 4)[: len(maps)], channels]
    images = decoder(100 * np.random.default_rng(0).normal(size=(2, 5)))
    assert images.shape == (2, size, size, channels) and np.min(images) >= 0 and np.max(images) <= 1
    # What stands before a normalisation or the output is linear; behind a normalisation and the dense layer, a ReLU.
    for network, number in ((encoder, 4), (decoder, len(maps) - 1)):
        kinds = [type(layer).__name__ for layer in network.layers]
        assert "".join(kinds).count("FusedBatchNormalizationReLU") == kinds.count("ReLU") == number
        assert all(layer.activation.__name__ == "linear" for layer in network.layers if "Conv" in type(layer).__name__)
    assert decoder.layers[1].activation.__name__ == "relu" and min(decoder.layers[1](np.ones((1, 5)))[0]) == 0


@pytest.mark.parametrize("shape", [(30, 30, 1), (28, 32, 1), (28, 28, 2), (128, 128, 3)])
def test_wae_conv_refuses_other_images(shape):
    words = r"wae_conv: takes images of 28×28, 32×32 or 64×64 with 1 or 3 channels, got " + "×".join(map(str, shape))
    with pytest.raises(ValueError, match=words) as error:
        networks.build("wae_conv", shape, 5)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="wae_conv: filters must be greater than or equal to 1, got 0"):
        networks.build("wae_conv", (28, 28, 1), 5, filters=0)


def test_mlp_has_the_depth_and_width_asked_for():
    encoder, decoder = networks.build("mlp", (5, 4, 1), 3, "sigmoid", depth=2, decoder_depth=4, width=7)
    shapes = [w.shape for w in (*encoder.weights, *decoder.weights) if len(w.shape) == 2]
    assert shapes == [(20, 7), (7, 7), (3, 7), (7, 7), (7, 7), (7, 7), (7, 20)]
    images = decoder(100 * np.random.default_rng(0).normal(size=(9, 3)))
    assert images.shape == (9, 5, 4, 1) and np.min(images) >= 0 and np.max(images) <= 1
    # Depth 0 is linear in x.
    assert not networks.build("mlp", (5, 4, 1), 3, depth=0).encoder.weights


@pytest.mark.parametrize(("arguments", "words"), [({"depth": -1}, "depth"), ({"width": 0}, "width")])
def test_mistakes_name_the_hyperparameter(arguments, words):
    with pytest.raises(ValueError, match=words):
        networks.build("mlp", (5, 4, 1), 3, **arguments)
    with pytest.raises(ValueError, match="did you mean 'mlp'"):
        networks.build("mpl", (5, 4, 1), 3)


def test_the_fused_normalisation_is_that_of_keras():
    x = tf.constant(np.random.default_rng(0).normal(1, 3, (6, 5, 4, 2)).astype(np.float32))
    gradients, outputs, layers = [], [], []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-3)
        layer.build(x.shape)
        layer.set_weights(np.array([[0.5, 2.0], [0.1, -1.0], [0.3, 0.2], [2.0, 0.5]]))
        outputs.append(layer(x, training=False).numpy())
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y**3)
        outputs.append(y.numpy())
        gradients.append(tape.gradient(loss, [x, *layer.trainable_weights]))
        layers.append(layer)
    np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs[3], outputs[1], rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(*reversed(gradients), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(layers[1].moving_mean, layers[0].moving_mean, rtol=1e-5)
    unbiased = np.var(x, axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(layers[1].moving_variance, 0.9 * np.array([2.0, 0.5]) + 0.1 * unbiased, rtol=1e-5)


def test_the_fused_normalisation_under_mixed_precision():
    x = tf.random.normal([4, 3, 3, 2], seed=0)
    mixed = FusedBatchNormalization(dtype="mixed_bfloat16")
    y = mixed(x, training=True)
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), FusedBatchNormalization()(x, training=True), atol=0.05)
    assert mixed.moving_mean.dtype == "float32"


def test_the_fused_normalisation_says_that_it_cannot_be_synchronised():
    with pytest.raises(ValueError, match="synchronized=True") as caught:
        FusedBatchNormalization(synchronized=True)
    assert "\n" not in str(caught.value)
    assert not FusedBatchNormalization.from_config(
        FusedBatchNormalization(synchronized=False).get_config()
    ).synchronized


def test_a_frozen_normalisation_keeps_its_averages():
    layer = FusedBatchNormalization()
    x = tf.random.normal([4, 3, 3, 2])
    layer.build(x.shape)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False))
    np.testing.assert_array_equal(layer.moving_mean, [0, 0])
