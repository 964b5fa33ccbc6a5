"""Time of the negative log-likelihood against pythae's `get_nll`: the same network, weights, likelihood and samples.

Both are first held against each other: pythae's figure is the mean over the images of
log 1/K Σ p(x|z) p(z) / q(z|x), of which this zoo returns the negative, and both leave no constant out (a Gaussian
with variance 1, or the cross-entropy of pixels). Then they take turns: in every round each estimates the same images,
every other round in the other order, and the figure is the median of the rounds' ratios. pythae takes one image at a
time and encodes it once for every sample; it runs here without gradients and with batch normalisation in inference
mode, and keeps its own batch of 100 samples. A round also multiplies two large float32 matrices; the share of that
rate counts what has to be computed: decoding every sample and encoding an image once.

pythae asks for a package `dataclasses`, which Python has had since 3.7; without its dependencies it takes those of
`requirements-benchmarks.txt`, best in an environment of its own:

    python -m venv peer
    peer/bin/pip install --requirement requirements-benchmarks.txt
    peer/bin/pip install --no-deps pythae==0.1.2
    PYTHONPATH=. peer/bin/python benchmarks/nll.py --networks conv mlp --rounds 9
"""

import argparse
import math
import os
import statistics
import time
import warnings

import numpy as np

from zoo.cli import load_tensorflow

load_tensorflow()

import keras
import tensorflow as tf
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import nn

from zoo import metrics
from zoo.experiments import configurations
from zoo.experiments.building import build_model
from zoo.metrics.likelihood import UnreliableEstimateWarning

SHAPE, LATENTS = (28, 28, 1), 16
# Likelihoods that both know: ours, what pythae calls them, and what stands behind its decoder that ours has inside.
LIKELIHOODS = {
    "gaussian": ("{name: gaussian, variance: 1.0}", "mse", []),
    "bernoulli": ("bernoulli", "bce", [nn.Sigmoid()]),
}


def tensor(array):
    return nn.Parameter(torch.tensor(np.ascontiguousarray(array)), requires_grad=False)


def convolution(layer):
    """A layer of PyTorch with the weights of a (transposed) convolution."""
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    (_, height, _, channels), (_, *given, filters) = layer.input.shape, layer.output.shape
    stride, kernel = layer.strides[0], layer.kernel_size[0]
    # Both are the map between a large image and a small one; only the direction differs.
    small, large = (height, given[0]) if transposed else (given[0], height)
    surplus = (small - 1) * stride + kernel - large if layer.padding == "same" else 0
    if surplus % 2:
        raise ValueError(f"{layer.name}: PyTorch pads both sides alike")
    padding = surplus // 2
    if transposed:
        extra = large - (small - 1) * stride - kernel + 2 * padding
        made = nn.ConvTranspose2d(channels, filters, kernel, stride, padding, output_padding=extra)
    else:
        made = nn.Conv2d(channels, filters, kernel, stride, padding)
    made.weight, made.bias = tensor(layer.kernel.numpy().transpose(3, 2, 0, 1)), tensor(layer.bias.numpy())
    return [made]


def linear(kernel, bias):
    made = nn.Linear(*kernel.shape)
    made.weight, made.bias = tensor(kernel.T), tensor(bias)
    return made


def channels_first(height, width, channels):
    """Where the units of a feature map that Keras lays out channels last lie for PyTorch."""
    return np.arange(height * width * channels).reshape(height, width, channels).transpose(2, 0, 1).ravel()


def mirror(network):
    """PyTorch's modules for a Keras network that is a chain, with the same weights and channels first."""
    modules = []
    for layer in network.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            modules += convolution(layer)
        elif isinstance(layer, keras.layers.Dense):
            modules.append(linear(layer.kernel.numpy(), layer.bias.numpy()))
            modules += [nn.ReLU()] if layer.activation is keras.activations.relu else []
        elif isinstance(layer, keras.layers.BatchNormalization):
            made = nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon)
            made.weight, made.bias = tensor(layer.gamma.numpy()), tensor(layer.beta.numpy())
            made.running_mean = torch.tensor(layer.moving_mean.numpy())
            made.running_var = torch.tensor(layer.moving_variance.numpy())
            modules.append(made)
        elif isinstance(layer, keras.layers.ReLU):
            modules.append(nn.ReLU())
        elif isinstance(layer, keras.layers.Reshape):
            height, width, channels = layer.target_shape
            if channels > 1:
                order, before = channels_first(*layer.target_shape), modules[-1]
                before.weight, before.bias = tensor(before.weight[order]), tensor(before.bias[order])
            modules.append(nn.Unflatten(1, (channels, height, width)))
        elif isinstance(layer, keras.layers.Activation):
            modules += [nn.Sigmoid()] if layer.activation is keras.activations.sigmoid else []
        elif isinstance(layer, keras.layers.Flatten):
            modules.append(nn.Flatten())
        else:
            raise TypeError(f"no PyTorch layer for {layer}")
    return modules


class Encoder(BaseEncoder):
    """Our encoder and head as pythae wants them."""

    def __init__(self, encoder, head):
        super().__init__()
        self.body = nn.Sequential(*mirror(encoder), nn.Flatten())
        shape = encoder.output_shape[1:]
        order = channels_first(*shape) if len(shape) == 3 else slice(None)
        self.loc, self.scale = (
            linear(layer.kernel.numpy()[order], layer.bias.numpy()) for layer in (head.loc, head.scale)
        )

    def forward(self, x):
        """As pythae calls it: loc and the logarithm of the variance."""
        features = self.body(x)
        scale = nn.functional.softplus(self.scale(features)) + 1e-6
        return ModelOutput(embedding=self.loc(features), log_covariance=2 * torch.log(scale))


class Decoder(BaseDecoder):
    """Our decoder as pythae wants it."""

    def __init__(self, decoder, behind):
        super().__init__()
        self.body = nn.Sequential(*mirror(decoder), *behind)

    def forward(self, z):
        """As pythae calls it: the mean of p(x|z)."""
        return ModelOutput(reconstruction=self.body(z))


def pair(network, likelihood):
    """Our model, with weights that are not those of a fresh one in anything, and pythae's with the same."""
    ours, theirs, behind = LIKELIHOODS[likelihood]
    settings = [f"model.network={network}", f"model.likelihood={ours}", f"model.latent_dim={LATENTS}"]
    model = build_model(configurations.load("mnist/vae", settings), SHAPE, 1)
    generator = np.random.default_rng(0)
    for variable in [*model.encoder.weights, *model.head.weights, *model.decoder.weights]:
        factor = generator.uniform(0.8, 1.2, variable.shape)
        variable.assign(
            variable * factor + (variable.name == "bias") * 0.05 * generator.standard_normal(variable.shape)
        )
    settings = VAEConfig(input_dim=(SHAPE[2], *SHAPE[:2]), latent_dim=LATENTS, reconstruction_loss=theirs)
    return model, VAE(settings, Encoder(model.encoder, model.head), Decoder(model.decoder, behind)).eval()


def operations(layers):
    """Floating-point operations of the matrix products and convolutions for one example."""
    total = 0
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            small = layer.input if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output
            total += 2 * math.prod(layer.kernel.shape) * math.prod(small.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total


def product_rate(repeats=8):
    """Float32 operations a second of a large matrix product: the better of the two libraries."""
    matrix, rates = np.ones([4096, 1024], "float32"), []
    for left, product in ((tf.constant(matrix), tf.matmul), (torch.tensor(matrix), torch.matmul)):
        right = left[:1024]
        for _ in range(repeats):
            began = time.perf_counter()
            np.asarray(product(left, right))
            rates.append(2 * 4096 * 1024 * 1024 / (time.perf_counter() - began))
    return max(rates)


def timed(function):
    """Seconds of wall time and of this process's processors."""
    wall, processors = time.perf_counter(), time.process_time()
    function()
    return np.array([time.perf_counter() - wall, time.process_time() - processors])


def spread(values, unit=1):
    """The median and the range of the rounds."""
    low, middle, high = (f"{unit * value:.2f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def hold_against_each_other(ours, pythae):
    """Prints both estimates of the mean, from four seeds each; stops where they are not of the same thing."""
    found = np.array([[ours(seed).mean(), -pythae()] for seed in range(4)])
    (zoo, other), error = found.mean(axis=0), math.sqrt(found.var(axis=0, ddof=1).sum() / 4)
    print(f"-log p(x): zoo {zoo:.4f}, pythae {other:.4f} nats; apart by {zoo - other:.4f} ± {error:.4f}")
    # Beside the samples' error that of single precision, in which pythae adds up.
    if abs(zoo - other) > 5 * error + 1e-6 * abs(other):
        raise SystemExit("the two compute different things")


def compare(network, arguments):
    """Prints the rounds of one network and their summary."""
    model, peer = pair(network, arguments.likelihood)
    count, samples = arguments.images[network], arguments.samples
    images = np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype("uint8")
    theirs = torch.tensor(images.transpose(0, 3, 1, 2) / np.float32(255))
    layers = [*model.encoder.layers, model.head.loc, model.head.scale]
    work = operations(layers) + samples * operations(model.decoder.layers)

    def ours(seed=0):
        return metrics.negative_log_likelihood(model, images, samples, seed=seed)

    def pythae():
        return peer.get_nll(theirs, samples, arguments.batch)

    print(f"{network}, {arguments.likelihood}: {count} images, {samples} samples, {work / 1e9:.2f} GFLOP an image")
    rounds = []
    torch.manual_seed(0)
    with torch.inference_mode():
        # TensorFlow's threads, which wait busily for a while, have nothing to do with these.
        alone = [timed(pythae)[0] / count for _ in range(3)]
        print(f"pythae before the zoo has run: {spread(alone, 1000)} ms an image")
        hold_against_each_other(ours, pythae)
        print("| round | zoo, ms an image | pythae | ratio | of CPU time | product, GFLOP/s | load |")
        print("|---:|---:|---:|---:|---:|---:|---:|")
        for number in range(1, arguments.rounds + 1):
            rate, load = product_rate(), os.getloadavg()[0]
            order = (ours, pythae) if number % 2 else (pythae, ours)
            seconds = {function: timed(function) / count for function in order}
            zoo, other, rate = seconds[ours], seconds[pythae], max(rate, product_rate())
            rounds.append([*(other / zoo), work / zoo[0] / rate, work / other[0] / rate, zoo[0], other[0]])
            cells = (f"{1000 * zoo[0]:.2f}", f"{1000 * other[0]:.2f}", *(f"{ratio:.2f}" for ratio in other / zoo))
            print("|", " | ".join([str(number), *cells, f"{rate / 1e9:.0f}", f"{load:.1f}"]), "|", flush=True)
    ratio, processors, share, other_share, zoo, other = zip(*rounds, strict=True)
    print(f"{network}: {spread(ratio)} times as fast; by CPU time {spread(processors)}")
    print(f"ms an image: zoo {spread(zoo, 1000)}, pythae {spread(other, 1000)}")
    print(f"share of the product's rate: zoo {spread(share)}, pythae {spread(other_share)}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["conv", "mlp"], choices=["conv", "mlp"])
    parser.add_argument("--likelihood", default="gaussian", choices=LIKELIHOODS)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, help="a turn; 16 for conv and 160 for mlp where it is not given")
    parser.add_argument("--batch", type=int, default=100, help="samples that pythae decodes at once")
    arguments = parser.parse_args()
    # Of weights that nobody trained.
    warnings.simplefilter("ignore", UnreliableEstimateWarning)
    arguments.images = {name: arguments.images or n for name, n in {"conv": 16, "mlp": 160}.items()}
    for network in arguments.networks:
        compare(network, arguments)


if __name__ == "__main__":
    main()
