"""Weights that change while a model trains: by a schedule, by a callback that sets them, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.training.schedules import Cyclical, Linear

WIDTH, LATENTS, ROWS, BATCH = 5, 2, 24, 8
# Two cycles and a half in the five epochs of three steps that most tests here take.
CYCLICAL = Cyclical(start=0.0, end=2.0, steps=6, ramp=0.5)
# From above 0, as temperatures must be.
WARMER = Cyclical(start=0.5, end=2.0, steps=6, ramp=0.7)

SETTINGS = {
    "beta": (zoo.VAE, {}, CYCLICAL),
    "temperature": (zoo.ContrastiveVAE, {"queue_size": 0}, WARMER),
    "consistency_lambda": (zoo.ConsistencyVAE, {}, CYCLICAL),
    "alpha": (zoo.AuxiliarySoftmaxVAE, {"examples": ROWS, "classifier_width": 8}, CYCLICAL),
}
FURTHER = {
    "beta of iwae": (zoo.IWAE, {"samples": 3}, CYCLICAL),
    "gamma": (zoo.ContrastiveVAE, {"queue_size": 16}, CYCLICAL),
    "triplet_weight": (zoo.TripletVAE, {"margin": 5.0}, CYCLICAL),
    "delta": (zoo.NoiseContrastiveVAE, {}, CYCLICAL),
    "critic_lambda": (zoo.InferenceCriticVAE, {}, CYCLICAL),
    "critic_temperature": (zoo.InferenceCriticVAE, {"critic": "hybrid"}, WARMER),
}


class Annealing(keras.callbacks.Callback):
    """What a user writes: a new number before each step."""

    def __init__(self, name, rule):
        super().__init__()
        self.name, self.rule, self.steps = name, rule, 0

    def on_train_batch_begin(self, batch, logs=None):
        setattr(self.model, self.name, float(self.rule(self.steps)))
        self.steps += 1


def rows():
    return np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype("float32")


def make(method=zoo.VAE, **arguments):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    encoder = keras.Sequential([keras.Input((WIDTH,)), dense(8, activation="tanh"), dense(8, activation="tanh")])
    decoder = keras.Sequential([keras.Input((LATENTS,)), dense(8, activation="tanh"), dense(WIDTH)])
    model = method(encoder, decoder, LATENTS, likelihood="gaussian", seed=1, **arguments)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9))
    return model


def fit(model, epochs=5, callbacks=()):
    given = zoo.data.with_index(rows()) if model.needs_index else rows()
    return model.fit(given, epochs=epochs, batch_size=BATCH, shuffle=False, verbose=0, callbacks=list(callbacks))


def weights(model):
    return [w.numpy() for w in model.trainable_variables]


def assert_same(these, those):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_array_equal(this, that)


def test_the_cycles():
    values = [float(CYCLICAL(step)) for step in range(8)]
    np.testing.assert_allclose(values, [0, 2 / 3, 4 / 3, 2, 2, 2, 0, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose([float(Linear(1, 3, 4)(step)) for step in range(6)], [1, 1.5, 2, 2.5, 3, 3])
    assert [float(Cyclical(0, 2, 3, ramp=0)(step)) for step in range(4)] == [2, 2, 2, 2]


@pytest.mark.parametrize("setting", [*SETTINGS, *(pytest.param(name, marks=pytest.mark.matrix) for name in FURTHER)])
@pytest.mark.slow
def test_by_schedule_and_by_callback(setting):
    """The same weights to the last bit."""
    method, arguments, rule = {**SETTINGS, **FURTHER}[setting]
    name = setting.split()[0]
    scheduled, called = (make(method, **arguments) for _ in range(2))
    setattr(scheduled, name, rule)
    histories = [fit(scheduled).history, fit(called, callbacks=[Annealing(name, rule)]).history]
    assert_same(weights(scheduled), weights(called))
    assert histories[0] == histories[1]
    # And it matters which numbers those are.
    losses = []
    for value in (0.7, 1.4):
        setattr(called, name, value)
        given = {"x": rows(), "index": np.arange(ROWS)} if called.needs_index else rows()
        losses.append(float(np.mean(called.objective(given, training=True)["loss"])))
    assert abs(losses[0] - losses[1]) > 1e-4


@pytest.mark.slow
def test_a_schedule_given_to_the_constructor_is_one_set_later():
    given = make(beta=CYCLICAL)
    described = make(beta={"name": "cyclical", "start": 0.0, "end": 2.0, "steps": 6, "ramp": 0.5})
    later = make()
    later.beta = CYCLICAL
    for model in (given, described, later):
        fit(model, epochs=3)
    assert_same(weights(given), weights(later))
    assert_same(weights(given), weights(described))


def test_beta_acts_on_the_rate_alone():
    """The loss that is reported is that of the β of each step."""
    model, found = make(beta=CYCLICAL), []
    for step in range(8):
        terms = model.train_on_batch(rows(), return_dict=True)
        model.reset_metrics()
        assert terms["loss"] == pytest.approx(terms["distortion"] + float(CYCLICAL(step)) * terms["rate"], rel=1e-5)
        found.append(terms["loss"])
    assert np.isfinite(found).all()


def test_a_number_acts_from_the_next_step_without_a_new_trace():
    model, traces = make(), []
    original = model.loss_terms

    def counting(batch, latents):
        traces.append(batch.training)
        return original(batch, latents)

    model.loss_terms = counting
    for beta in (1.0, 4.0, 0.25):
        model.beta = beta
        terms = model.train_on_batch(rows(), return_dict=True)
        model.reset_metrics()
        assert terms["loss"] == pytest.approx(terms["distortion"] + beta * terms["rate"], rel=1e-5)
        held_out = model.evaluate(rows(), verbose=0, return_dict=True)
        assert held_out["loss"] == pytest.approx(held_out["distortion"] + beta * held_out["rate"], rel=1e-5)
    assert traces.count(True) == 1 and traces.count(False) == 1


def test_a_compiled_loop_of_ones_own_sees_the_number():
    model, x = make(), tf.constant(rows())

    @tf.function
    def step():
        gradients = model.compute_gradients(x)
        model.apply_gradients(gradients)
        return {name: tf.reduce_mean(value) for name, value in gradients.terms.items()}

    for beta in (1.0, 4.0):
        model.beta = beta
        terms = step()
        assert float(terms["loss"]) == pytest.approx(float(terms["distortion"] + beta * terms["rate"]), rel=1e-5)
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.slow
def test_from_a_schedule_to_a_number_and_back():
    model = make(beta=CYCLICAL)
    fit(model, epochs=1)
    for beta, expected in ((3.0, 3.0), (Linear(0.0, 8.0, 8), 4.0), (0.5, 0.5)):
        model.beta = beta
        terms = fit(model, epochs=1).history
        assert model.beta == beta
        if not isinstance(beta, Linear):
            assert terms["loss"][0] == pytest.approx(terms["distortion"][0] + expected * terms["rate"][0], rel=1e-5)
    assert int(model.step.value) == 12


def test_warm_up_multiplies_the_schedule():
    model = make(beta=Linear(1.0, 3.0, 4), warmup_steps=4)
    for step in range(6):
        terms = model.train_on_batch(rows(), return_dict=True)
        model.reset_metrics()
        factor = min(1, step / 4) * min(3, 1 + step / 2)
        assert terms["loss"] == pytest.approx(terms["distortion"] + factor * terms["rate"], rel=1e-5)


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_what_acts_is_what_is_saved(tmp_path):
    called = make()
    fit(called, callbacks=[Annealing("beta", CYCLICAL)])
    assert called.beta == pytest.approx(float(CYCLICAL(14)))
    called.save(tmp_path / "called.keras")
    again = keras.saving.load_model(tmp_path / "called.keras")
    assert again.beta == called.beta
    # Of a schedule the rule, which goes on where it was.
    scheduled = make(beta=CYCLICAL)
    fit(scheduled, epochs=3)
    scheduled.save(tmp_path / "scheduled.keras")
    resumed = keras.saving.load_model(tmp_path / "scheduled.keras")
    assert resumed.beta.get_config() == CYCLICAL.get_config()
    for model in (scheduled, resumed):
        model.fit(rows(), initial_epoch=3, epochs=5, batch_size=BATCH, shuffle=False, verbose=0)
    assert_same(weights(resumed), weights(scheduled))
    whole = make(beta=CYCLICAL)
    fit(whole)
    assert_same(weights(whole), weights(resumed))


@pytest.mark.slow
def test_a_checkpoint_has_the_number_that_a_callback_set(tmp_path):
    model = make()
    fit(model, epochs=2, callbacks=[Annealing("beta", CYCLICAL), zoo.callbacks.Checkpoint(tmp_path)])
    again = make()
    assert zoo.callbacks.checkpoint.restore(tmp_path, again, print) == 2
    assert again.beta == model.beta != 1.0
    terms = again.train_on_batch(rows(), return_dict=True)
    assert terms["loss"] == pytest.approx(terms["distortion"] + model.beta * terms["rate"], rel=1e-5)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "high", {"name": "cyclic"}, {"name": "linear"}])
def test_mistakes_are_one_line(value):
    model = make()
    if value == {"name": "linear"}:
        model.beta = value
        assert model.beta.end == 1.0
        return
    for act in (lambda: setattr(model, "beta", value), lambda: make(beta=value)):
        with pytest.raises(ValueError, match=r"beta|schedule") as error:
            act()
        assert "\n" not in str(error.value)
    assert model.beta == 1.0
    with pytest.raises(ValueError, match="temperature"):
        make(zoo.ContrastiveVAE, temperature=0.0)
