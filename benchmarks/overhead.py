"""Step time of every method as a factor of the plain VAE's: same network, batch and optimiser, taken in turn.

All contestants are compiled first; then, in every round, each trains the same number of steps through `fit`. A step's
time is the median between the ends of two steps, so that what `fit` needs to start is not counted; it is divided by
the VAE's, which runs first and last in every round. The figure is the median over the rounds.

    python benchmarks/overhead.py --network conv --batch 256 --rounds 9
    python benchmarks/overhead.py --network "{name: mlp, depth: 2, decoder_depth: 5, width: 500}" --batch 128 --rounds 9
"""

import argparse
import itertools
import statistics
import time

import numpy as np
import yaml

from zoo.cli import load_tensorflow

load_tensorflow()

import keras

from zoo.data import Examples, pipeline
from zoo.experiments import configurations
from zoo.experiments.building import build_model

EXAMPLES = 60_000
ROWS = {
    "vae": [],
    "critic, self": ["model.method=critic", "model.critic=self"],
    "critic, hybrid": ["model.method=critic", "model.critic=hybrid"],
    "critic, neural": ["model.method=critic", "model.critic=neural"],
    "noise_contrastive, gaussian": ["model.method=noise_contrastive", "model.noise=gaussian"],
    "noise_contrastive, decoder": ["model.method=noise_contrastive", "model.noise=decoder"],
    "consistency": ["model.method=consistency"],
    "triplet": ["model.method=triplet"],
    "contrastive": ["model.method=contrastive"],
    "auxiliary_softmax, 245 × 245 labels": ["model.method=auxiliary_softmax", "model.label_dimensions=[245, 245]"],
    "auxiliary_softmax, 60,000 labels": ["model.method=auxiliary_softmax"],
    "iwae, k = 5": ["model.method=iwae", "model.samples=5"],
}


def contestant(network, settings, batch, steps):
    """A function that trains a turn and returns the seconds of a step; the first turn, which compiles, is behind it."""
    images = np.random.default_rng(0).integers(0, 256, (steps * batch, 28, 28, 1)).astype("uint8")
    experiment = configurations.load("mnist/vae", [f"model.network={network}", f"train.batch_size={batch}", *settings])
    model = build_model(experiment, (28, 28, 1), steps, examples=EXAMPLES)

    def train():
        dataset = pipeline.training_pipeline(
            Examples(images, None), batch_size=batch, seed=0, epochs=1, index=model.needs_index
        )
        ends = []
        watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: ends.append(time.perf_counter()))
        model.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[watch])
        return statistics.median(after - before for before, after in itertools.pairwise(ends))

    train()
    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="conv", help="as in a configuration's model.network")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20, help="training steps a turn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="rows, with semicolons; the vae always takes part")
    arguments = parser.parse_args()
    yaml.safe_load(arguments.network)
    chosen = [name.strip() for name in arguments.only.split(";") if name.strip()] or list(ROWS)
    turns = {}
    for name in dict.fromkeys(["vae", *chosen]):
        turns[name] = contestant(arguments.network, ROWS[name], arguments.batch, arguments.steps)
    seconds = {name: [] for name in turns}
    factors = {name: [] for name in turns}
    for turn in range(arguments.rounds):
        order = [name for name in turns if name != "vae"]
        # Every other round runs backwards, so that a drift of the machine favours nobody.
        found = {name: turns[name]() for name in ["vae", *(order if turn % 2 == 0 else order[::-1])]}
        base = statistics.mean([found["vae"], turns["vae"]()])
        for name, value in found.items():
            seconds[name].append(value)
            factors[name].append(value / base)
    print(f"network {arguments.network}, batch {arguments.batch}, {arguments.rounds} rounds of {arguments.steps} steps")
    print("| method | factor | spread over rounds | ms a step |", "|---|---:|---|---:|", sep="\n")
    for name, found in factors.items():
        spread = f"{min(found):.2f} to {max(found):.2f}"
        print(f"| {name} | {statistics.median(found):.2f} | {spread} | {1000 * statistics.median(seconds[name]):.0f} |")


if __name__ == "__main__":
    main()
