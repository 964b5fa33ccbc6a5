"""Two views of a batch: encoded and decoded one after the other, or both in one pass.

Forward and backward of encoder and decoder, as factors of one view's time; all three run in turn, a round each, and the
figure is the median over the rounds.

    python benchmarks/two_views.py
"""

import argparse
import statistics
import time

from zoo.cli import load_tensorflow

load_tensorflow()

import keras
import tensorflow as tf

from zoo.networks import build

NETWORKS = {"conv, batch 256": ("conv", 256, {}), "mlp, batch 128": ("mlp", 128, {"decoder_depth": 5, "width": 500})}


def contestants(name, batch, arguments):
    """Functions that take one view, two one after the other, and two at once."""
    encoder, decoder = build(name, (28, 28, 1), 16, **arguments)
    heads = keras.layers.Dense(16)
    heads.build((None, int(tf.reduce_prod(encoder.output_shape[1:]))))
    first, second = tf.random.uniform([2, batch, 28, 28, 1])
    weights = [*encoder.trainable_weights, *heads.trainable_weights, *decoder.trainable_weights]

    def gradients(views):
        with tf.GradientTape() as tape:
            loss = 0.0
            for x in views:
                features = encoder(x, training=True)
                z = heads(tf.reshape(features, [x.shape[0], -1]))
                loss += tf.reduce_mean(tf.square(decoder(z, training=True)))
        return tape.gradient(loss, [weight.value for weight in weights])

    return {
        "one view": tf.function(lambda: gradients([first])),
        "two passes": tf.function(lambda: gradients([first, second])),
        "one pass": tf.function(lambda: gradients([tf.concat([first, second], 0)])),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="passes a turn")
    arguments = parser.parse_args()
    for label, (name, batch, own) in NETWORKS.items():
        turns = contestants(name, batch, own)
        seconds = {turn: [] for turn in turns}
        for function in turns.values():
            function()
        for _ in range(arguments.rounds):
            for turn, function in turns.items():
                began = time.perf_counter()
                for _ in range(arguments.steps):
                    function()
                seconds[turn].append(time.perf_counter() - began)
        for turn in ("two passes", "one pass"):
            factors = [both / one for both, one in zip(seconds[turn], seconds["one view"], strict=True)]
            spread = f"{min(factors):.2f} to {max(factors):.2f}"
            print(f"{label}: {turn} {statistics.median(factors):.2f} of one view ({spread})")


if __name__ == "__main__":
    main()
