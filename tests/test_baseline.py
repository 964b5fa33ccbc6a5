"""Every method computes what it did before the redesign of its internals, but for what was changed on purpose.

`record_baseline.py` wrote down what that was. Float32 has seven digits, and the last one is the machine's own: it
depends on the processor's instructions, the number of cores, TensorFlow's version, and the order in which a graph adds.
The tolerances were set by recording under five roundings: with all cores and with one, with oneDNN's kernels and
without, with AVX2 and with SSE4.1 alone.
"""

import json

import numpy as np
import pytest
import record_baseline as recorder

RECORDED = json.loads(recorder.BASELINE.read_text(encoding="utf-8"))

# Of every value; the roundings differed by 4e-6 at most, but where a floor below says otherwise.
RELATIVE = 1e-5
# Of a term, in nats. The auxiliary softmax's information is a difference of two numbers near log 1197 = 7.1, whose last
# bit is 5e-7; the roundings differed by 4.3e-7.
TERM = 2e-6
# Of a gradient's norm, in units of the greatest norm among its layer's weights. A bias before a batch normalisation has
# no effect, so its gradient is zero but for the rounding of the kernel's, 2e-6 of which it reaches.
GRADIENT = 1e-5
# IWAE weighs its samples by the exponentials of costs near 600, whose last bit is 6e-5, and so are the weights' errors.
# The roundings differed by 2e-5.
IWAE_GRADIENT = 1e-4
# Of an export's code, a sum of 2,048 products; the roundings differed by 1.4e-6.
CODE = 5e-6
# Of a trained run on a machine that rounds differently from the one that recorded. A hundred steps amplify the last
# bit: Adam divides gradients that are only rounding (those biases') by their own size, and a unit at a ReLU's kink
# falls to one side or the other. The roundings differed by 2.5e-3, and in none of 300 images that the neighbours label.
TRAINED, TRAINED_IMAGES = 1e-2, 6


def compare(kind, found, recorded, floors):
    """What differs between two maps of names to a number or a list of them: a line each."""
    assert set(found) == set(recorded), f"{kind}: other names: {sorted(set(found) ^ set(recorded))}"
    lines = []
    for name, old in recorded.items():
        distance = np.abs(np.subtract(found[name], old))
        # Not `>`, which NaN would pass.
        if not np.all(distance <= RELATIVE * np.abs(old) + floors[name]):
            lines.append(f"{kind} {name}: {found[name]}, recorded {old}")
    return lines


def layer_norms(gradients):
    """The greatest norm among the weights of each weight's layer, step by step."""

    def layer(name):
        return name.rsplit("/", 1)[0]

    return {name: np.max([gradients[n] for n in gradients if layer(n) == layer(name)], axis=0) for name in gradients}


def test_every_case_is_recorded():
    assert list(RECORDED["cases"]) == list(recorder.CASES)
    assert set(recorder.CLASSES) == {method for case in recorder.CASES.values() for method in case.methods}


# A case of each method, for the quick suite.
CORE = [
    *(f"{method}-mlp-default" for method in recorder.CLASSES if method != "contrastive"),
    "contrastive-mlp-queue_64",
]


def without_constant(values, case):
    """Recorded terms less what was taken from MD since."""
    lost = recorder.label_constant(case)
    return {
        name: np.subtract(value, next((of for end, of in lost.items() if name.endswith(end)), 0.0)).tolist()
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    "name", [name if name in CORE else pytest.param(name, marks=pytest.mark.slow) for name in recorder.CASES]
)
def test_three_steps_and_an_evaluation(name):
    """Loss, terms and gradients' norms of each step, and the terms of held-out images: to 1e-5, on any machine."""
    recorded = RECORDED["cases"][name]
    found = recorder.measure(recorder.CASES[name])
    share = IWAE_GRADIENT if "iwae" in recorder.CASES[name].methods else GRADIENT
    gradients = {weight: share * norm for weight, norm in layer_norms(recorded["gradients"]).items()}
    terms = dict.fromkeys(recorded["terms"], TERM)
    case = recorder.CASES[name]
    lines = [
        *compare("term", found["terms"], without_constant(recorded["terms"], case), terms),
        *compare("gradient of", found["gradients"], recorded["gradients"], gradients),
        *compare("evaluation's", found["evaluation"], without_constant(recorded["evaluation"], case), terms),
    ]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("name", RECORDED["exports"])
def test_exports_encode_as_they_did(name):
    for part, codes in recorder.export_codes(name).items():
        np.testing.assert_allclose(codes, RECORDED["exports"][name][part], rtol=RELATIVE, atol=CODE, err_msg=part)


@pytest.mark.matrix
@pytest.mark.filterwarnings("ignore:negative log-likelihood")
@pytest.mark.parametrize("name", recorder.TRAINED)
def test_trained_run(name):
    """KNN accuracy, MI, rate and NLL: to 1e-5 on a machine that rounds as the recording one, else to 1e-2.

    Where it fails and all cases pass, and the values agree to 1e-2, the graph adds in another order than it did: the
    method is the same, and only a new recording makes the test pass on this machine. The contrastive run rounds
    otherwise anywhere: γ and the temperature were numbers in the graph, and are variables now.
    """
    found, recorded = recorder.train(recorder.TRAINED[name]), RECORDED["trained"][name]
    same = recorder.rounding() == RECORDED["rounding"] and name != "contrastive"
    assert set(found) == set(recorded)
    for metric, old in recorded.items():
        loose = {"abs": TRAINED_IMAGES / 300} if metric == "knn_accuracy" else {"rel": TRAINED}
        near = pytest.approx(old, **loose)
        assert found[metric] == near, f"{metric}: not the same model"
        exact = pytest.approx(old, rel=RELATIVE)
        assert not same or found[metric] == exact, f"{metric}: to {TRAINED:.0%} the same, but not to {RELATIVE}"
