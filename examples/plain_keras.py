"""A ContrastiveVAE around your own encoder and decoder, with nothing but Keras's usual calls.

python examples/plain_keras.py --epochs 10
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

import zoo

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=10)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)

# Images as NumPy arrays, uint8 [n, 28, 28, 1]; they are scaled inside the step.
train, _ = zoo.data.load("digits", "train")
validation, _ = zoo.data.load("digits", "validation")
test, _ = zoo.data.load("digits", "test")

# Any Keras models do: images → features …
encoder = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Conv2D(64, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
    name="encoder",
)

# … and z → the likelihood's parameters: a logit for each pixel under the Bernoulli.
decoder = keras.Sequential(
    [
        keras.Input((8,)),
        layers.Dense(7 * 7 * 32, activation="relu"),
        layers.Reshape((7, 7, 32)),
        layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
    ],
    name="decoder",
)

model = zoo.ContrastiveVAE(encoder, decoder, latent_dim=8, likelihood="bernoulli", gamma=1.0, queue_size=512)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(
    train,
    batch_size=64,
    epochs=epochs,
    validation_data=(validation, None),
    callbacks=[keras.callbacks.EarlyStopping("val_elbo", mode="max", patience=3, restore_best_weights=True)],
    verbose=2,
)

# Every term of the loss is a metric: distortion, rate and elbo in nats.
figures = model.evaluate(test, verbose=0, return_dict=True)
print("test:", ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))

# `predict` reconstructs; `encode` gives the posteriors, `sample` draws new images.
reconstructions = model.predict(test, verbose=0)
loc, scale = model.encode(test)
print(f"reconstructions {reconstructions.shape}, codes {loc.shape}, samples {model.sample(16, seed=0).shape}")
mutual_information = zoo.metrics.mutual_information(loc.numpy(), scale.numpy())
print(f"mutual information {mutual_information:.2f} nats, active units {zoo.metrics.active_units(loc.numpy())} of 8")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "m.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
print("loaded model encodes alike:", np.array_equal(loaded.encode(test).loc, loc))
