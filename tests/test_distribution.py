"""One device and two logical ones take the same steps. TensorFlow's devices are fixed at its start: hence processes."""

import json
import sys

import numpy as np

SHAPE, LATENTS = (4, 4, 1), 2
# Rows: three full batches of 8, or a last one that two replicas cannot share evenly, or not at all.
CASES = {
    "vae": {},
    "unclipped": {"clip": {}},
    "clipped by weight": {"clip": {"clipnorm": 0.05}},
    "clipped by value": {"clip": {"clipvalue": 0.01}},
    "sample weights": {"weighted": True},
    "learned variance": {"arguments": {"likelihood": {"name": "gaussian", "variance": 0.1, "learned": True}}},
    "ragged": {"rows": 19},
    "single": {"rows": 17},
    "contrastive": {"method": "ContrastiveVAE", "arguments": {"queue_size": 20, "momentum": 0.5}},
    "contrastive in batch": {"method": "ContrastiveVAE", "arguments": {"queue_size": 0, "momentum": 0.5}},
    "contrastive on original": {"method": "ContrastiveVAE", "arguments": {"queue_size": 9, "elbo_on": "original"}},
    "contrastive ragged": {"method": "ContrastiveVAE", "arguments": {"queue_size": 20}, "rows": 19},
    "contrastive in batch, ragged": {"method": "ContrastiveVAE", "arguments": {"queue_size": 0}, "rows": 19},
    "contrastive single": {"method": "ContrastiveVAE", "arguments": {"queue_size": 20}, "rows": 17},
    "convolutions": {"network": "conv"},
    "convolutions, contrastive": {"network": "conv", "method": "ContrastiveVAE", "arguments": {"queue_size": 20}},
    "convolutions, ragged": {"network": "conv", "rows": 19},
    "convolutions, single": {"network": "conv", "rows": 17},
}


def train(strategy, method="VAE", network="mlp", rows=24, weighted=False, clip=None, arguments=None):
    """Weights by replica and metrics after three steps of a global batch of 8."""
    import keras

    import zoo
    from zoo.networks import build

    generator = np.random.default_rng(0)
    shape = (28, 28, 1) if network == "conv" else SHAPE
    x = generator.random((rows, *shape)).astype("float32")
    sample_weight = generator.random(rows).astype("float32") if weighted else None
    keras.utils.set_random_seed(0)
    with strategy.scope():
        size = {} if network == "conv" else {"depth": 1, "width": 16}
        model = getattr(zoo, method)(*build(network, shape, LATENTS, **size), LATENTS, seed=1, **(arguments or {}))
        clip = {"global_clipnorm": 0.1} if clip is None else clip
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9, **clip))
    before = [w.numpy() for w in model.weights]
    history = model.fit(x, sample_weight=sample_weight, batch_size=8, shuffle=False, verbose=0).history
    metrics = {name: values[0] for name, values in history.items()}
    metrics |= {
        f"val_{name}": float(v) for name, v in model.evaluate(x, batch_size=8, verbose=0, return_dict=True).items()
    }
    assert int(model.step.numpy()) == 3
    weights = {}
    for i, (weight, old) in enumerate(zip(model.weights, before, strict=True)):
        values = getattr(weight.value, "values", [weight.value])
        for replica, value in enumerate(values):
            weights[f"{i} {weight.path}/{replica}"] = value.numpy()
        weights[f"{i} {weight.path}/moved"] = np.abs(weight.numpy() - old).max()
    return metrics, weights


def main(strategy, folder):
    from zoo import distribution

    found = {}
    one = distribution.strategy(strategy, 2 if strategy == "mirrored" else None)
    for name, arguments in CASES.items():
        try:
            metrics, weights = train(one, **arguments)
        except Exception as e:
            print(name, repr(e)[:3000])
            continue
        found[name] = metrics
        np.savez(f"{folder}/{strategy} {name}.npz", **{k.replace("/", "|"): v for k, v in weights.items()})
    json.dump(found, open(f"{folder}/{strategy}.json", "w"))


if __name__ == "__main__":
    main(*sys.argv[1:])
