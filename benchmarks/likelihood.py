"""Time and peak memory of the negative log-likelihood: 500 samples of 1,000 images, the network of `mnist/vae`.

    python benchmarks/likelihood.py [--images 1000] [--samples 500]

The weights are fresh: time and memory do not depend on them.
"""

import argparse
import resource
import time

from zoo.cli import load_tensorflow

load_tensorflow()

import numpy as np

from zoo import metrics
from zoo.experiments import configurations
from zoo.experiments.building import build_model


def peak():
    """MB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=500)
    arguments = parser.parse_args()
    model = build_model(configurations.load("mnist/vae"), (28, 28, 1), 1)
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, 28, 28, 1)).astype("uint8")
    model.reconstruct(images[:8])
    before, began = peak(), time.perf_counter()
    metrics.negative_log_likelihood(model, images, samples=arguments.samples)
    seconds = time.perf_counter() - began
    print(
        f"{arguments.images} images, {arguments.samples} samples each: {seconds:.1f} s "
        f"({1000 * seconds / arguments.images:.1f} ms an image), {peak() - before:.0f} MB above the start"
    )


if __name__ == "__main__":
    main()
