"""Every method on every base, on both kinds of network and with every other method: trained, saved, loaded, exported.

Each cell goes the way of the command line, from a configuration to an export.
"""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory
from zoo.models import METHODS

pytestmark = pytest.mark.matrix

REGULARISED = [name for name in METHODS if name not in ("vae", "iwae")]
BASES = {"vae": [], "beta": ["model.beta=0.5"], "iwae": ["model.samples=2"]}
MLP, CONV = "{name: mlp, width: 16, depth: 2}", "conv"
# What the defaults would make too large for an epoch of two batches.
SMALL = {
    "contrastive": ["model.queue_size=64"],
    "auxiliary_softmax": ["model.label_dimensions=[8, 8]", "model.classifier_width=16"],
    "critic": ["model.critic=hybrid"],
}


def cells():
    """(id, methods, network, further settings)."""
    for name, base in itertools.product(REGULARISED, BASES):
        methods = [name, "iwae"] if base == "iwae" else [name]
        yield f"{name}-{base}", methods, MLP, BASES[base]
    for name in REGULARISED:
        yield f"{name}-conv", [name], CONV, []
    for pair in itertools.combinations(REGULARISED, 2):
        yield "-".join(pair), list(pair), MLP, []
    yield "critic-neural", ["critic"], MLP, ["model.critic=neural", "model.direction=both"]
    yield "critic-model", ["critic"], MLP, ["model.critic=self", "model.side=model"]
    yield "noise-decoder", ["noise_contrastive"], MLP, ["model.noise=decoder"]
    yield "all", [*REGULARISED, "iwae"], MLP, ["model.samples=2"]


CELLS = {name: cell for name, *cell in cells()}


@pytest.fixture(scope="module")
def images():
    return experiments.load_split(configurations.load("digits/vae"), "test").images[:8]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("matrix")


@pytest.mark.parametrize("cell", CELLS)
def test_trains_saves_and_exports(cell, place, images):
    methods, network, settings = CELLS[cell]
    small = [setting for name in methods for setting in SMALL.get(name, [])]
    recipe = ["data.train=train[:64]", "train.epochs=1", "train.batch_size=32"]
    watch = ["data.validation=test[:50]", "watch.images=50", "watch.pictures=false"]
    settings = [f"model.method=[{', '.join(methods)}]", f"model.network={network}", *small, *settings, *recipe, *watch]
    experiment = configurations.load("digits/vae", settings)
    model = experiments.train(experiment, RunDirectory(place / cell), quiet=True)
    logs = RunDirectory(place / cell).metrics.read_text(encoding="utf-8")
    assert all(f'"{term}"' in logs for term in model.term_names())
    loc, scale = (part.numpy() for part in model.encode(images))
    assert np.isfinite(loc).all() and (scale > 0).all()
    np.savez(place / cell / "codes.npz", loc=loc, scale=scale)
    exported = tf.saved_model.load(experiments.export_run(place / cell))
    # The export scales its pixels in a graph of its own.
    np.testing.assert_allclose(exported.encode(tf.constant(images))["loc"], loc, atol=1e-5)


LOADER = """
import pathlib, sys
import numpy as np
import zoo, keras
place, images = pathlib.Path(sys.argv[1]), np.load(sys.argv[2])
for run in sorted(place.iterdir()):
    if (run / "codes.npz").is_file():
        found = keras.saving.load_model(run / "model.keras").encode(images)
        known = np.load(run / "codes.npz")
        same = all((known[name] == getattr(found, name).numpy()).all() for name in ("loc", "scale"))
        print(run.name, "same" if same else "differs")
"""


def test_loads_with_equal_outputs_in_a_fresh_process(place, images):
    trained = sorted(path.parent.name for path in place.glob("*/codes.npz"))
    if not trained:
        pytest.skip("no cell of the matrix was trained before")
    np.save(place / "images.npy", images)
    arguments = [sys.executable, "-c", LOADER, str(place), str(place / "images.npy")]
    done = subprocess.run(arguments, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.splitlines() == [f"{name} same" for name in trained], done.stderr[-2000:]


def test_every_pair_was_trained():
    pairs = {frozenset(pair) for pair in itertools.combinations([*REGULARISED, "iwae"], 2)}
    trained = {frozenset(methods) for methods, *_ in CELLS.values() if len(methods) == 2}
    assert trained == pairs
