"""One device and two logical ones take the same steps. TensorFlow's devices are fixed at its start: hence processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

SHAPE, LATENTS, BATCH = (4, 4, 1), 2, 8
# 24 rows are three full batches; of 19 the last batch is 3, which two replicas share as 2 and 1, of 17 it is 1.
CASES = {
    "vae": {"arguments": {"warmup_steps": 2}},
    "single, weighted, learned": {
        "rows": 17,
        "weighted": True,
        "clip": {"clipnorm": 0.5},
        "arguments": {"likelihood": {"name": "gaussian", "variance": 0.5, "learned": True}},
    },
    "queue, ragged": {
        "method": "ContrastiveVAE",
        "rows": 19,
        "evaluated": False,
        "arguments": {"queue_size": 14, "momentum": 0.5, "views": [], "elbo_on": "original"},
    },
    "in batch": {"method": "ContrastiveVAE", "arguments": {"queue_size": 0, "momentum": 0.5}},
    "neighbours, single": {"method": "TripletVAE", "rows": 17, "arguments": {"margin": 2.0, "triplet_weight": 5.0}},
    "numbered, ragged": {
        "method": "AuxiliarySoftmaxVAE",
        "rows": 19,
        "numbered": True,
        "arguments": {"examples": 19, "label_dimensions": 2, "classifier_width": 8},
    },
    "samples, ragged": {"method": "IWAE", "rows": 19, "arguments": {"samples": 3}},
}
CONVOLUTIONS = {
    "method": "ContrastiveVAE",
    "network": "conv",
    "rows": 11,
    "evaluated": False,
    "arguments": {"queue_size": 8, "momentum": 0.5, "views": []},
}


def train(strategy, method="VAE", network="mlp", rows=24, weighted=False, numbered=False, **options):
    """Trains for an epoch: the metrics, and the weights before and after, the latter on each replica."""
    import keras

    import zoo
    from zoo.networks import build

    clip = options.get("clip", {"global_clipnorm": 1.0})
    generator = np.random.default_rng(0)
    shape = (28, 28, 1) if network == "conv" else SHAPE
    x = generator.random((rows, *shape)).astype("float32")
    sample_weight = generator.random(rows).astype("float32") if weighted else None
    keras.utils.set_random_seed(0)
    with strategy.scope():
        size = {} if network == "conv" else {"depth": 1, "width": 16}
        model = getattr(zoo, method)(*build(network, shape, LATENTS, **size), LATENTS, seed=1, **options["arguments"])
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9, **clip))
    before = [w.numpy() for w in model.weights]
    given = zoo.data.with_index(x) if numbered else x
    history = model.fit(given, sample_weight=sample_weight, batch_size=BATCH, shuffle=False, verbose=0).history
    metrics = {name: values[0] for name, values in history.items()}
    if options.get("evaluated", True):
        # An odd batch: one replica has an image more than the other.
        held_out = model.evaluate(x, batch_size=BATCH - 1, verbose=0, return_dict=True)
        metrics |= {f"val_{name}": value for name, value in held_out.items()}
    replicas = [[v.numpy() for v in getattr(w.value, "values", [w.value])] for w in model.weights]
    names = [f"{i} {w.name}" for i, w in enumerate(model.weights)]
    return {"metrics": metrics, "names": names, "before": before, "replicas": replicas}


def main(name, folder):
    from zoo import replicas

    devices = 2 if name == "mirrored" else None
    results = {}
    cases = CASES if name == "default" else {**CASES, "convolutions": CONVOLUTIONS}
    for case, arguments in cases.items():
        # Asked for anew each time, as a search with several trainings in one process does.
        results[case] = train(replicas.strategy(name, devices), **arguments)
        devices = None
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        json.dump(results, file, default=lambda array: array.tolist())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    workers = {
        name: subprocess.Popen([sys.executable, __file__, name, str(folder)], env=environment, stderr=subprocess.PIPE)
        for name in ("default", "mirrored")
    }
    for name, worker in workers.items():
        _, errors = worker.communicate()
        assert worker.returncode == 0, f"{name}: {errors.decode()[-3000:]}"
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in workers}


def largest_difference(these, those):
    return max(np.abs(np.subtract(this, that)).max() for this, that in zip(these, those, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_two_devices_take_the_steps_of_one(results, case):
    one, two = results["default"][case], results["mirrored"][case]
    assert [len(replicas) for replicas in one["replicas"]] == [1] * len(one["names"])
    assert [len(replicas) for replicas in two["replicas"]] == [2] * len(one["names"])
    assert largest_difference(one["before"], two["before"]) == 0
    alone = [replicas[0] for replicas in one["replicas"]]
    for replica in range(2):
        assert largest_difference(alone, [replicas[replica] for replicas in two["replicas"]]) < 1e-5
    trained = [i for i, name in enumerate(one["names"]) if "kernel" in name]
    for i in trained:
        assert np.abs(np.subtract(one["before"][i], alone[i])).max() > 1e-3
    assert alone[one["names"].index("0 step")] == 3


@pytest.mark.parametrize("case", CASES)
def test_two_devices_report_the_metrics_of_one(results, case):
    one, two = results["default"][case]["metrics"], results["mirrored"][case]["metrics"]
    assert one.keys() == two.keys() >= {"loss", "distortion", "rate", "elbo"}
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name


def test_clipping_bites(results):
    """Else the cases above would say nothing of it: momentum 0.9 moves weights by at most 5.61 · rate · norm."""
    vae = results["default"]["vae"]
    steps = [np.subtract(b, r[0]) for b, r in zip(vae["before"], vae["replicas"], strict=True) if np.ndim(b)]
    norm = np.sqrt(sum(np.square(step).sum() for step in steps))
    assert 0.3 < norm / (0.1 * 1.0) < 5.62


def test_batch_normalisation_trains_on_two_devices(results):
    """Each replica normalises with its own part's statistics; what is trained, keys and queue stay equal."""
    found = results["mirrored"]["convolutions"]
    assert np.isfinite(found["metrics"]["loss"])
    moving = [name for name in found["names"] if "moving" in name]
    assert moving
    for name, (first, second) in zip(found["names"], found["replicas"], strict=True):
        assert np.isfinite(first).all() and np.isfinite(second).all(), name
        if name not in moving:
            np.testing.assert_array_equal(first, second, err_msg=name)


if __name__ == "__main__":
    main(*sys.argv[1:])
