"""Numbers that change while a model trains: what is set acts at the next step, is what is saved, and comes back."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.networks import build
from zoo.training.live import Live
from zoo.training.schedules import Cyclical, Linear

SHAPE, LATENTS = (4, 3, 1), 2


def make(method=zoo.VAE, rate=0.01, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*build("mlp", SHAPE, LATENTS, depth=1, width=8), LATENTS, **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(rate))
    return model


def images(n=8):
    return np.random.default_rng(0).random((n, *SHAPE)).astype("float32")


class AtEachStep(keras.callbacks.Callback):
    """Calls `before(model, step)` and keeps the logs of each step, its running means undone."""

    def __init__(self, before=lambda model, step: None):
        super().__init__()
        self.before, self.seen, self.steps = before, [], 0

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()
        self.before(self.model, self.steps)
        self.steps += 1

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append({name: float(value) for name, value in logs.items()})

    def strengths(self):
        """The weight of the rate that has acted in each step."""
        return [(logs["loss"] - logs["distortion"]) / logs["rate"] for logs in self.seen]


def watched(model, before=lambda model, step: None, epochs=3):
    watcher = AtEachStep(before)
    model.fit(images(), batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[watcher])
    return watcher


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def assert_equal(these, those, **tolerance):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_allclose(this, that, **({"rtol": 0, "atol": 1e-7} | tolerance))


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_number_acts_at_the_next_step_of_a_running_fit():
    values = [0.0, 0.25, 1.0, 4.0, 2.0, 0.0]
    model = make(beta=9.0)
    traced = []
    hook = type(model).rate_terms
    model.rate_terms = lambda *parts: traced.append(1) or hook(model, *parts)
    watcher = watched(model, lambda model, step: setattr(model, "beta", values[step]))
    np.testing.assert_allclose(watcher.strengths(), values, rtol=1e-4, atol=1e-4)
    # One trace for all of them.
    assert len(traced) == 1
    assert model.beta == 0.0


def test_what_acts_moves_the_weights_as_a_model_made_with_it():
    changed, made = make(beta=1.0), make(beta=4.0)
    changed.train_on_batch(images())
    made.set_weights(changed.get_weights())
    assert made.beta == 1.0
    for model in (changed, made):
        model.beta = 4.0
    fresh = make(beta=4.0)
    for mine, theirs in zip(fresh.variables, changed.variables, strict=True):
        mine.assign(theirs)
    for model in (changed, made, fresh):
        model.train_on_batch(images())
    assert_equal(weights(changed), weights(fresh), atol=0)
    assert_equal(weights(changed), weights(made), atol=0)
    other = make(beta=1.0)
    other.train_on_batch(images())
    other.train_on_batch(images())
    assert max(np.abs(a - b).max() for a, b in zip(weights(other), weights(changed), strict=True)) > 1e-4


LIVE = {
    "beta": (zoo.VAE, {}, "rate"),
    "consistency_lambda": (zoo.ConsistencyVAE, {}, "consistency"),
    "triplet_weight": (zoo.TripletVAE, {"margin": 3.0}, "triplet"),
    "gamma": (zoo.ContrastiveVAE, {"queue_size": 0}, "info_nce"),
}


@pytest.mark.parametrize("name", LIVE)
def test_every_strength_is_live(name):
    method, arguments, term = LIVE[name]
    model, x = make(method, **{name: 1.0}, **arguments), images()
    before = model.objective(x, training=True)
    setattr(model, name, 3.0)
    after = model.objective(x, training=True)
    # Consistency has β for two images.
    twice = before["transformed_rate"] if "transformed_rate" in before and name == "beta" else 0.0
    np.testing.assert_allclose(after["loss"] - before["loss"], 2 * (before[term] + twice), rtol=1e-3, atol=1e-4)
    assert np.abs(before[term]).max() > 1e-3
    assert getattr(model, name) == model.get_config()[name] == 3.0


def test_every_strength_of_the_zoo_is_live():
    """What a constructor takes as a strength can be changed, in every method."""
    from zoo.models import METHODS
    from zoo.models import method as class_of
    from zoo.parameters import PositiveStrength, Strength, hyperparameters

    for name in METHODS:
        kinds = hyperparameters(class_of(name))
        strengths = {key for key, (kind, _) in kinds.items() if kind in (Strength, PositiveStrength)}
        assert "beta" in strengths
        for key in strengths:
            assert isinstance(getattr(class_of(name), key), Live), (name, key)


def test_warm_up_multiplies_what_is_set():
    model = make(beta=2.0, warmup_steps=4)
    watcher = watched(model, lambda model, step: setattr(model, "beta", 2.0 if step < 2 else 6.0), epochs=3)
    np.testing.assert_allclose(watcher.strengths(), [0, 0.5, 3, 4.5, 6, 6], rtol=1e-4, atol=1e-4)


def test_inside_a_step_it_is_a_tensor_and_outside_a_number():
    model, seen = make(beta=0.1), []
    hook = type(model).rate_terms
    model.rate_terms = lambda *parts: seen.append(model.beta) or hook(model, *parts)
    model.objective(images(), training=True)
    assert tf.is_tensor(seen[0]) and seen[0].dtype == tf.float32 and float(seen[0]) == np.float32(0.1)
    # No rounding to single precision outside.
    assert model.beta == 0.1 and isinstance(model.beta, float)


# ── Saving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def saved_beta(path):
    with zipfile.ZipFile(path) as parts:
        return json.loads(parts.read("config.json"))["config"]["beta"]


def test_what_is_set_is_what_is_saved_and_what_acts_when_loaded(tmp_path):
    model, x = make(beta=1.0), images()
    model.train_on_batch(x)
    model.beta = 4.1
    assert model.get_config()["beta"] == 4.1
    model.save(tmp_path / "m.keras")
    assert saved_beta(tmp_path / "m.keras") == 4.1
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.beta == 4.1
    terms = loaded.objective(x, training=False)
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 4.1 * terms["rate"], rtol=1e-6)
    for each in (model, loaded):
        each.train_on_batch(x)
    assert_equal(weights(model), weights(loaded), atol=0)


def test_weights_bring_the_number_that_acted(tmp_path):
    model = make(beta=1.0)
    model.train_on_batch(images())
    model.beta = 2.5
    model.save_weights(tmp_path / "m.weights.h5")
    other = make(beta=1.0)
    other.load_weights(tmp_path / "m.weights.h5")
    assert other.beta == other.get_config()["beta"] == 2.5
    terms = other.objective(images(), training=False)
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 2.5 * terms["rate"], rtol=1e-6)


@pytest.mark.parametrize("call", ["save_weights", "load_weights", "save"])
def test_a_model_that_was_never_used_saves_and_loads(call, tmp_path):
    def unused(beta):
        return zoo.VAE(*build("mlp", SHAPE, LATENTS, depth=1, width=8), LATENTS, seed=0, beta=beta)

    path = tmp_path / ("m.keras" if call == "save" else "m.weights.h5")
    if call == "load_weights":
        make(beta=3.0).save_weights(path)
        model = unused(1.0)
        model.load_weights(path)
        assert model.beta == 3.0
    else:
        getattr(unused(3.0), call)(path)
        assert path.exists()


# ── Schedules ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_schedules_values():
    linear = Linear(1.0, 3.0, 4)
    assert [float(linear(step)) for step in (0, 1, 2, 4, 9)] == [1.0, 1.5, 2.0, 3.0, 3.0]
    cyclical = Cyclical(0.0, 2.0, 8, ramp=0.5)
    found = [float(cyclical(step)) for step in range(17)]
    assert found == [0, 0.5, 1, 1.5, 2, 2, 2, 2] * 2 + [0]
    assert [float(Cyclical(0.5, 2.0, 3, ramp=0.0)(step)) for step in range(4)] == [2.0] * 4


@pytest.mark.parametrize(
    "schedule",
    [
        Linear(0.0, 2.0, 4),
        Cyclical(0.5, 3.0, 3, ramp=0.6),
        {"name": "cyclical", "end": 2.0, "steps": 4, "ramp": 1.0},
        keras.optimizers.schedules.ExponentialDecay(2.0, 2, 0.5),
        {"name": "piecewise", "boundaries": [1, 3], "values": [0.0, 1.0, 5.0]},
    ],
    ids=lambda schedule: str(schedule if isinstance(schedule, dict) else type(schedule).__name__)[:30],
)
@pytest.mark.slow
def test_a_schedule_and_a_callback_train_alike(schedule):
    scheduled = make(beta=schedule)
    exact = [float(scheduled.beta(step)) for step in range(6)]
    assert len(set(exact)) > 2
    watcher = watched(scheduled)
    np.testing.assert_allclose(watcher.strengths(), exact, rtol=1e-4, atol=1e-4)
    by_hand = make(beta=7.0)
    watched(by_hand, lambda model, step: setattr(model, "beta", exact[step]))
    assert_equal(weights(scheduled), weights(by_hand))


def test_evaluation_takes_the_schedules_value_at_the_present_step():
    model = make(beta=Linear(0.0, 4.0, 4))
    watched(model, epochs=1)
    held_out = model.evaluate(images(), verbose=0, return_dict=True)
    assert held_out["loss"] == pytest.approx(held_out["distortion"] + 2.0 * held_out["rate"], rel=1e-5)


def test_a_schedule_in_place_of_a_number_and_back_between_fits():
    def change(model, step):
        if step == 2:
            model.beta = Linear(0.0, 5.0, 5)
        if step == 4:
            model.beta = 0.5

    model = make(beta=3.0)
    found = []
    for _ in range(3):
        found += watched(model, epochs=1).strengths()
        change(model, len(found))
    np.testing.assert_allclose(found, [3, 3, 2, 3, 0.5, 0.5], rtol=1e-4)


@pytest.mark.slow
def test_a_schedule_set_in_a_running_fit_acts_at_its_next_step():
    def change(model, step):
        if step == 2:
            model.beta = Linear(0.0, 5.0, 5)
        if step == 4:
            model.beta = 0.5

    watcher = watched(make(beta=3.0), change)
    np.testing.assert_allclose(watcher.strengths(), [3, 3, 2, 3, 0.5, 0.5], rtol=1e-4)


@pytest.mark.parametrize("schedule", [Linear(0.0, 2.0, 4), keras.optimizers.schedules.CosineDecay(1.0, 10)])
@pytest.mark.slow
def test_schedules_round_trip(schedule, tmp_path):
    model, x = make(beta=schedule), images()
    watched(model, epochs=1)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for copy in (loaded, zoo.VAE.from_config(model.get_config())):
        assert type(copy.beta) is type(schedule) and copy.beta.get_config() == schedule.get_config()
    for each in (model, loaded):
        each.train_on_batch(x)
    assert_equal(weights(model), weights(loaded), atol=0)


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "much", None, True, {"name": "liner"}, [1.0]])
@pytest.mark.parametrize("when", ["made", "set"])
def test_wrong_values_are_refused_and_change_nothing(value, when):
    model = make(beta=1.5)
    with pytest.raises(ValueError, match="VAE: beta") as error:
        if when == "made":
            make(beta=value)
        else:
            model.beta = value
    assert "\n" not in str(error.value)
    terms = model.objective(images(), training=False)
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 1.5 * terms["rate"], rtol=1e-6)
    assert model.beta == 1.5


def test_a_temperature_must_be_above_zero():
    model = make(zoo.ContrastiveVAE, queue_size=0)
    (name,) = [name for name in dir(zoo.ContrastiveVAE) if getattr(getattr(zoo.ContrastiveVAE, name), "above_zero", 0)]
    with pytest.raises(ValueError, match=f"{name} must be above 0") as error:
        setattr(model, name, 0.0)
    assert "\n" not in str(error.value)
    setattr(model, name, 0.2)
    assert model.get_config()[name] == 0.2


@pytest.mark.parametrize("name", ["latent_dim", "encoder", "decoder", "likelihood", "prior"])
def test_what_weights_depend_on_cannot_be_set_once_the_model_is_built(name):
    networks = build("mlp", SHAPE, LATENTS, depth=1, width=8)
    other = {"latent_dim": 5, "likelihood": zoo.Gaussian(), "prior": zoo.latents.prior.StandardNormal(4.0)}
    model = make()
    before = getattr(model, name)
    with pytest.raises(AttributeError, match=rf"VAE: {name} is fixed once the model is built") as error:
        setattr(model, name, {**other, **networks._asdict()}[name])
    assert "\n" not in str(error.value)
    assert getattr(model, name) is before


@pytest.mark.slow
def test_other_settings_act_at_the_next_fit():
    """`margin` is no weight of a term: the step is traced anew."""
    model, x = make(zoo.TripletVAE, margin=0.5, transformations=[], rate=0.0), images()
    model.head.loc.kernel.assign(0 * model.head.loc.kernel)
    assert model.fit(x, verbose=0).history["triplet"] == [0.5]
    assert model.evaluate(x, verbose=0, return_dict=True)["triplet"] == 0.5
    model.margin = 2.0
    assert model.get_config()["margin"] == 2.0
    assert model.fit(x, verbose=0).history["triplet"] == [2.0]
    assert model.evaluate(x, verbose=0, return_dict=True)["triplet"] == 2.0


@pytest.mark.slow
def test_other_settings_act_at_the_next_step_of_a_running_fit():
    model = make(zoo.TripletVAE, margin=0.5, transformations=[], rate=0.0)
    model.head.loc.kernel.assign(0 * model.head.loc.kernel)
    watcher = watched(model, lambda model, step: setattr(model, "margin", 2.0) if step == 3 else None)
    assert [logs["triplet"] for logs in watcher.seen] == [0.5] * 3 + [2.0] * 3


# ── Settings that cannot change, or not to anything ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["translate", "rotate", "scale", "transformations"])
def test_the_transformation_is_fixed(name):
    model = make(zoo.ConsistencyVAE)
    with pytest.raises(AttributeError, match=f"{name} is fixed once the model is built"):
        setattr(model, name, 0.5)


def test_the_seed_that_numbers_labels_is_fixed():
    model = make(zoo.AuxiliarySoftmaxVAE, examples=8)
    with pytest.raises(AttributeError, match="seed is fixed"):
        model.seed = 7


@pytest.mark.parametrize(
    ("method", "name", "value", "words"),
    [
        (zoo.InferenceCriticVAE, "side", "modell", "side must be 'inference' or 'model', got 'modell'"),
        (zoo.NoiseContrastiveVAE, "noise", "gausian", "noise must be 'gaussian' or 'decoder', got 'gausian'"),
        (zoo.NoiseContrastiveVAE, "K", -5.0, "K must be greater than 0, got -5.0"),
        (zoo.VAE, "warmup_steps", -1, "warmup_steps must be greater than or equal to 0"),
        (zoo.ContrastiveVAE, "temperature", Linear(0.0, 1.0, 10), "temperature must be above 0, but its schedule"),
        (
            zoo.VAE,
            "beta",
            keras.optimizers.schedules.PiecewiseConstantDecay([2], [1.0, -1.0]),
            "beta must be at least 0, but its schedule has -1",
        ),
    ],
)
def test_what_the_constructor_refuses_cannot_be_set_later(method, name, value, words):
    model = make(method)
    before = getattr(model, name)
    with pytest.raises(ValueError) as caught:
        setattr(model, name, value)
    assert words in str(caught.value) and getattr(model, name) == before
