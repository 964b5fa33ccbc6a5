"""One device and two logical ones take the same steps. TensorFlow's devices are fixed at its start: hence processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow


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
    # Every image comes three times, and its older keys are still in the queue.
    "long queue, numbered": {
        "method": "ContrastiveVAE",
        "rows": 19,
        "epochs": 3,
        "numbered": True,
        "evaluated": False,
        "arguments": {"queue_size": 48, "momentum": 0.5, "views": []},
    },
    "long queue": {
        "method": "ContrastiveVAE",
        "rows": 19,
        "epochs": 3,
        "evaluated": False,
        "arguments": {"queue_size": 48, "momentum": 0.5, "views": []},
    },
    "transformed, ragged": {"method": "ConsistencyVAE", "rows": 19, "arguments": {"translate": 1}},
    "noise": {"method": "NoiseContrastiveVAE", "rows": 19, "arguments": {"noise_scale": 0.5}},
    "noise of the decoder": {"method": "NoiseContrastiveVAE", "rows": 19, "arguments": {"noise": "decoder"}},
    "self critic, ragged": {
        "method": "InferenceCriticVAE",
        "rows": 19,
        "evaluated": False,
        "arguments": {"direction": "both"},
    },
    "hybrid critic, model's side": {
        "method": "InferenceCriticVAE",
        "evaluated": False,
        "arguments": {"critic": "hybrid", "side": "model", "critic_temperature": 5.0},
    },
    "a penalty on activations": {"penalty": True, "arguments": {}},
    "neural critic": {"method": "InferenceCriticVAE", "evaluated": False, "arguments": {"critic": "neural"}},
}
# Every method at once.
ALL = {
    "method": ["contrastive", "consistency", "triplet", "noise_contrastive", "critic", "auxiliary_softmax", "iwae"],
    "rows": 19,
    "numbered": True,
    "evaluated": False,
    "arguments": {
        "queue_size": 48,
        "momentum": 0.5,
        "views": [],
        "translate": 1,
        "critic": "hybrid",
        "examples": 19,
        "classifier_width": 8,
        "samples": 2,
    },
}
# Digits of half precision: sums over a batch's halves differ in the last one.
POLICIES = {"float32": 1e-5, "mixed_float16": 1e-3, "mixed_bfloat16": 1e-2}
# A single step without momentum is as long as rate · limit, however the loss was scaled.
CLIPPED = {"rows": BATCH, "momentum": 0.0, "policy": "mixed_float16", "evaluated": False, "arguments": {}}
CLIPS = {"global_clipnorm": 0.01, "clipnorm": 0.01, "clipvalue": 0.001}
CONVOLUTIONS = {
    "method": "ContrastiveVAE",
    "network": "conv",
    "rows": 11,
    "evaluated": False,
    "arguments": {"queue_size": 8, "momentum": 0.5, "views": []},
}


def every_case():
    """All of them by name; those behind `CASES` are compared in other ways."""
    mixed = {policy: {**ALL, "policy": policy} for policy in POLICIES}
    clipped = {name: {**CLIPPED, "clip": {name: limit}} for name, limit in CLIPS.items()}
    return {**CASES, **mixed, **clipped}


def train(strategy, method="VAE", network="mlp", rows=24, weighted=False, numbered=False, **options):
    """Trains: the metrics of the last epoch, and the weights before and after, the latter on each replica."""
    import keras

    import zoo
    from zoo.networks import build

    clip = options.get("clip", {"global_clipnorm": 1.0})
    generator = np.random.default_rng(0)
    shape = (28, 28, 1) if network == "conv" else SHAPE
    x = generator.random((rows, *shape)).astype("float32")
    sample_weight = generator.random(rows).astype("float32") if weighted else None
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(options.get("policy", "float32"))
    kind = getattr(zoo, method) if isinstance(method, str) else zoo.combine(*method)
    with strategy.scope():
        size = {} if network == "conv" else {"depth": 1, "width": 16}
        encoder, decoder = build(network, shape, LATENTS, **size)
        if options.get("penalty"):
            encoder = keras.Sequential([encoder, keras.layers.ActivityRegularization(l2=0.1)])
        model = kind(encoder, decoder, LATENTS, seed=1, **options["arguments"])
        model.compile(keras.optimizers.SGD(0.1, options.get("momentum", 0.9), **clip))
    before = [w.numpy() for w in model.weights]
    given = zoo.data.with_index(x) if numbered else x
    recipe = {"batch_size": BATCH, "epochs": options.get("epochs", 1), "shuffle": False, "verbose": 0}
    history = model.fit(given, sample_weight=sample_weight, **recipe).history
    # Each replica's thread is at work for itself.
    assert not model.stepping
    metrics = {name: values[-1] for name, values in history.items()}
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
    cases = every_case() if name == "default" else {**every_case(), "convolutions": CONVOLUTIONS}
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
    assert alone[one["names"].index("0 step")] == 3 * CASES[case].get("epochs", 1)


@pytest.mark.parametrize("case", CASES)
def test_two_devices_report_the_metrics_of_one(results, case):
    one, two = results["default"][case]["metrics"], results["mirrored"][case]["metrics"]
    assert one.keys() == two.keys() >= {"loss", "distortion", "rate", "elbo"}
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("policy", POLICIES)
def test_two_devices_take_the_steps_of_one_with_all_methods_at_once(results, policy):
    one, two = results["default"][policy], results["mirrored"][policy]
    alone = [replicas[0] for replicas in one["replicas"]]
    moved = max(np.abs(np.subtract(b, a)).max() for n, b, a in zip(one["names"], one["before"], alone, strict=True)
                if "kernel" in n)  # fmt: skip
    assert moved > 0.02
    # Keys are unit vectors; other weights are as exact as their way was long.
    scales = {"queue": 1.0, "queue_owners": 0.0}
    for name, expected, replicas in zip(one["names"], alone, two["replicas"], strict=True):
        for found in replicas:
            difference = np.abs(np.subtract(found, expected)).max()
            assert difference <= POLICIES[policy] * scales.get(name.split()[1], moved), name
    for name, value in one["metrics"].items():
        # Differences of logarithms near 0 among them.
        assert two["metrics"][name] == pytest.approx(value, rel=POLICIES[policy], abs=POLICIES[policy]), name


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("devices", ["default", "mirrored"])
def test_half_precision_clips_the_gradient_of_the_global_batch(results, devices, clip):
    """By SGD's rate times the limit: of all weights together, of each one, or of each entry."""
    found = results[devices][clip]
    steps = [
        np.subtract(before, replicas[0])
        for name, before, replicas in zip(found["names"], found["before"], found["replicas"], strict=True)
        if "kernel" in name or "bias" in name
    ]
    limit = 0.1 * CLIPS[clip]
    if clip == "global_clipnorm":
        assert np.sqrt(sum(np.square(step).sum() for step in steps)) == pytest.approx(limit, rel=1e-3)
    elif clip == "clipnorm":
        norms = [np.sqrt(np.square(step).sum()) for step in steps]
        assert max(norms) == pytest.approx(limit, rel=1e-3) and np.mean(np.isclose(norms, limit, rtol=1e-3)) > 0.5
    else:
        assert max(np.abs(step).max() for step in steps) == pytest.approx(limit, rel=1e-3)
    other = results["mirrored" if devices == "default" else "default"][clip]
    difference = largest_difference([r[0] for r in found["replicas"]], [r[0] for r in other["replicas"]])
    assert difference < 0.02 * limit


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
