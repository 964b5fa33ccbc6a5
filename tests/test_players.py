"""Two players: a VAE, and a critic with an optimiser of its own that tells codes from samples of the prior.

On one device and on two; killed and resumed; in `fit` and in a loop of one's own. TensorFlow's devices are fixed at
its start, hence processes.
"""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.models.objective import Term
from zoo.training.players import Player

WIDTH, LATENTS, BATCH = 6, 2, 8


# ── What a user writes ───────────────────────────────────────────────────────────────────────────────────────────────


@keras.saving.register_keras_serializable("tests")
class FactorVAE(zoo.VAE):
    """The VAE with a penalty on what a critic finds of q(z) that is not in p(z): the density ratio's logarithm.

    Args:
        critic: z → a logit: code, or sample of the prior?
        updates: of the critic, in a step.
        every: the critic moves in every n-th step.
        until_step: after so many steps the critic rests.
    """

    adds = ("log_ratio", "critic_loss")

    def __init__(
        self, encoder, decoder, latent_dim, *, critic, ratio_weight=1.0, updates=3, every=1, until_step=None, **kwargs
    ):
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.critic, self.ratio_weight = critic, ratio_weight
        self.updates, self.every, self.until_step = updates, every, until_step

    def players(self):
        until = None if self.until_step is None else lambda: self.step.value >= self.until_step
        critic = Player("critic", self.critic.trainable_variables, self.updates, self.every, until)
        return [critic, *super().players()]

    def loss_terms(self, batch, latents):
        noise = batch.draws.normal("prior", [batch.size, self.latent_dim])
        of_prior = self.critic(self.sample_prior(tf.ensure_shape(noise, [None, self.latent_dim])))[:, 0]
        held = self.critic(tf.stop_gradient(latents.z))[:, 0]
        return {
            **super().loss_terms(batch, latents),
            "log_ratio": Term(self.critic(latents.z)[:, 0], self.ratio_weight),
            "critic_loss": Term(tf.nn.softplus(-held) + tf.nn.softplus(of_prior), player="critic"),
        }

    def get_config(self):
        own = {name: getattr(self, name) for name in ("ratio_weight", "updates", "every", "until_step")}
        return {**super().get_config(), **own, "critic": keras.saving.serialize_keras_object(self.critic)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        critic = keras.saving.deserialize_keras_object(config["critic"], custom_objects)
        return super().from_config({**config, "critic": critic}, custom_objects)


def make(optimizer=None, critic_optimizer=None, seed=0, compiled=True, **arguments):
    keras.utils.set_random_seed(seed)
    dense = keras.layers.Dense
    encoder = keras.Sequential([keras.Input((WIDTH,)), dense(8, activation="tanh")])
    decoder = keras.Sequential([keras.Input((LATENTS,)), dense(8, activation="tanh"), dense(WIDTH)])
    critic = keras.Sequential([keras.Input((LATENTS,)), dense(8, activation="tanh"), dense(1)])
    model = FactorVAE(encoder, decoder, LATENTS, critic=critic, likelihood="gaussian", seed=1, **arguments)
    if compiled:
        model.compile(
            optimizer=optimizer or keras.optimizers.Adam(0.01),
            optimizers={"critic": critic_optimizer or keras.optimizers.SGD(0.1, momentum=0.9)},
        )
    return model


def rows(n=40, seed=0):
    return (2 * np.random.default_rng(seed).standard_normal((n, WIDTH)) + 1).astype("float32")


def state(model):
    """All numbers of a model and its optimisers."""
    optimizers = [model.optimizer, *model.player_optimizers.values()]
    return [v.numpy() for v in (*model.variables, *(v for one in optimizers for v in one.variables))]


def assert_same(these, those):
    assert len(these) == len(those)
    for this, that in zip(these, those, strict=True):
        np.testing.assert_array_equal(this, that)


def critic_of(model):
    return [w.numpy() for w in model.critic.trainable_variables]


def others_of(model):
    own = {id(v) for v in model.critic.trainable_variables}
    return [v.numpy() for v in model.trainable_variables if id(v) not in own]


def moved(before, after):
    return [bool(np.any(a != b)) for a, b in zip(before, after, strict=True)]


# ── Who moves ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_moves_its_own_variables_by_its_own_loss():
    model, x = make(), rows()
    critic, others = critic_of(model), others_of(model)
    model.apply_gradients(model.compute_gradients(x, player="critic"))
    assert all(moved(critic, critic_of(model))) and not any(moved(others, others_of(model)))
    critic = critic_of(model)
    model.apply_gradients(model.compute_gradients(x))
    assert not any(moved(critic, critic_of(model))) and all(moved(others, others_of(model)))
    # Nothing of the main loss, however heavy, reaches the critic.
    light, heavy = make(ratio_weight=0.0), make(ratio_weight=100.0)
    for one in (light, heavy):
        one.apply_gradients(one.compute_gradients(x, player="critic"))
    assert_same(critic_of(light), critic_of(heavy))


@pytest.mark.slow
def test_a_step_is_that_of_its_parts():
    """Three moves of gradient descent on the critic's loss, then one on the VAE's, each written out."""
    model, x = make(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.1)), rows(8)
    by_hand = make(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.1))
    given = by_hand.domain.prepare(tf.constant(x))
    for i in range(3):
        draws = zoo.randomness.Draws(1, 0, f"training/critic/{i}")
        loc, scale = by_hand.head(by_hand.encoder(given))
        z = loc + scale * draws.normal("posterior", [8, LATENTS])
        with tf.GradientTape() as tape:
            logits, of_prior = by_hand.critic(z), by_hand.critic(draws.normal("prior", [8, LATENTS]))
            loss = tf.reduce_mean(tf.nn.softplus(-logits) + tf.nn.softplus(of_prior))
        for v, g in zip(by_hand.critic.weights, tape.gradient(loss, by_hand.critic.weights), strict=True):
            v.assign_sub(0.1 * g)
    own = {id(v) for v in by_hand.critic.weights}
    variables = [v for v in by_hand.trainable_variables if id(v) not in own]
    with tf.GradientTape() as tape:
        loc, scale = by_hand.head(by_hand.encoder(given))
        z = loc + scale * zoo.randomness.Draws(1, 0, "training").normal("posterior", [8, LATENTS])
        squares = tf.reduce_sum(tf.square(given - by_hand.decoder(z)), 1)
        rate = 0.5 * tf.reduce_sum(loc**2 + scale**2 - 1 - 2 * tf.math.log(scale), 1)
        loss = tf.reduce_mean(0.5 * squares + rate + by_hand.critic(z)[:, 0])
    for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
        v.assign_sub(0.01 * g)
    model.train_on_batch(x)
    for found, expected in zip(critic_of(model), critic_of(by_hand), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for found, expected in zip(others_of(model), others_of(by_hand), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_every_and_until():
    def critic_moves(**rules):
        model, found = make(keras.optimizers.SGD(0.001), **rules), []
        for _ in range(5):
            before = critic_of(model) + [v.numpy() for v in model.player_optimizers["critic"].variables]
            model.train_on_batch(rows(8))
            after = critic_of(model) + [v.numpy() for v in model.player_optimizers["critic"].variables]
            found.append(any(moved(before, after)))
        return found

    assert critic_moves(every=2, updates=1) == [True, False, True, False, True]
    assert critic_moves(until_step=3, updates=1) == [True, True, True, False, False]
    assert critic_moves(every=2, until_step=3, updates=2) == [True, False, True, False, False]


@pytest.mark.slow
def test_the_critic_learns_and_is_reported():
    """Against codes held still, its loss falls from log 4 to what the divergence of q(z) and p(z) leaves."""
    model = make(keras.optimizers.SGD(0.0))
    model.head.set_weights([0.5 * w for w in model.head.get_weights()])
    history = model.fit(rows(200), epochs=15, batch_size=40, verbose=0).history
    assert {"critic_loss", "log_ratio", "distortion", "rate"} <= history.keys()
    assert history["critic_loss"][0] == pytest.approx(np.log(4), abs=0.3)
    assert history["critic_loss"][-1] < np.log(4) - 0.05
    held_out = model.evaluate(rows(), verbose=0, return_dict=True)
    expected = held_out["distortion"] + held_out["rate"] + held_out["log_ratio"]
    assert held_out["loss"] == pytest.approx(expected, rel=1e-5)


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_file_has_both_optimisers(tmp_path):
    model, x = make(), rows()
    model.fit(x, epochs=2, batch_size=BATCH, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.player_optimizers["critic"], keras.optimizers.SGD)
    assert isinstance(again.optimizer, keras.optimizers.Adam)
    assert_same(state(again), state(model))
    assert any(np.any(v.numpy() != 0) for v in again.player_optimizers["critic"].variables[2:])
    for one in (model, again):
        one.fit(x, epochs=2, batch_size=BATCH, shuffle=False, verbose=0)
    assert_same(state(again), state(model))


class Kill(keras.callbacks.Callback):
    """Ends the training in the middle of an epoch."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.value) == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rules", [{}, pytest.param({"every": 2, "until_step": 13}, marks=pytest.mark.matrix)])
@pytest.mark.slow
def test_killed_and_resumed_bit_for_bit(tmp_path, rules):
    """Four epochs of five steps at once, and with a kill in the middle of the third."""
    x, options = rows(), {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    whole = make(**rules)
    whole.fit(x, epochs=4, **options)
    killed = make(**rules)
    with pytest.raises(KeyboardInterrupt):
        callbacks = [zoo.callbacks.Checkpoint(tmp_path), Kill(13)]
        killed.fit(x, epochs=4, callbacks=callbacks, **options)
    resumed = make(seed=5, **rules)
    done = zoo.callbacks.checkpoint.restore(tmp_path, resumed, print)
    assert done == 2
    # Else momentum could be lost unseen.
    assert any(np.any(v.numpy() != 0) for v in resumed.player_optimizers["critic"].variables[2:])
    resumed.fit(x, initial_epoch=done, epochs=4, **options)
    assert_same(state(resumed), state(whole))


# ── A loop of one's own ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.slow
def test_a_loop_of_ones_own_is_fit(compiled):
    """To the last bit where it is compiled too: weights, both optimisers, counters, and what is reported."""
    x, model, fitted = rows(40 if compiled else 12), make(), make()

    def step(batch):
        for i in range(3):
            model.apply_gradients(model.compute_gradients(batch, player="critic", update=i))
        return model.apply_gradients(model.compute_gradients(batch))

    step = tf.function(step) if compiled else step
    for _ in range(2):
        model.reset_metrics()
        for batch in tf.data.Dataset.from_tensor_slices(x).batch(BATCH):
            found = step(batch)
    history = fitted.fit(x, epochs=2, batch_size=BATCH, shuffle=False, verbose=0).history
    if compiled:
        assert_same(state(model), state(fitted))
    else:
        for this, that in zip(state(model), state(fitted), strict=True):
            np.testing.assert_allclose(this, that, atol=1e-6)
    assert int(model.step.value) == (10 if compiled else 4)
    for name, values in history.items():
        assert float(found[name]) == pytest.approx(values[-1], rel=1e-6), name


@pytest.mark.parametrize("player", ["model", "critic"])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.slow
def test_forgetting_to_apply_gradients_is_loud(player, compiled):
    model, x = make(), tf.constant(rows(8))

    def compute():
        return model.compute_gradients(x, player=player)

    compute = tf.function(lambda: model.compute_gradients(x, player=player).values) if compiled else compute
    compute()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{player}.*never applied"):
        compute()


def test_both_gradients_may_be_computed_before_either_is_applied():
    model, x = make(), rows(8)
    for _ in range(2):
        both = [model.compute_gradients(x, player=player) for player in ("critic", "model")]
        for gradients in both:
            model.apply_gradients(gradients)
    assert int(model.step.value) == 2


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_one_line():
    with pytest.raises(ValueError, match="critic"):
        make(compiled=False).compile(optimizers={"critics": "adam"})
    with pytest.raises(ValueError, match=r"optimizers: 'critic': .*adamm"):
        make(compiled=False).compile(optimizers={"critic": "adamm"})
    model = make()
    with pytest.raises(ValueError, match=r"'actor'.*critic"):
        model.compute_gradients(rows(8), player="actor")
    with pytest.raises(ValueError, match="update 3"):
        model.compute_gradients(rows(8), player="critic", update=3)
    with pytest.raises(ValueError, match="updates"):
        make(updates=0)
    with pytest.raises(ValueError, match="no player"):
        zoo.VAE(model.encoder, model.decoder, LATENTS).compile(optimizers={"critic": "adam"})


def test_a_player_without_an_optimiser_gets_one_like_the_main_players():
    model = make(compiled=False)
    model.compile(keras.optimizers.Adam(0.123, global_clipnorm=2.0))
    found = model.player_optimizers["critic"]
    assert found is not model.optimizer and isinstance(found, keras.optimizers.Adam)
    assert float(found.learning_rate) == pytest.approx(0.123) and found.global_clipnorm == 2.0


# ── Replicas ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# 19 rows make a last batch of 3, which two replicas share as 2 and 1.
CASES = {
    "three updates, clipped": {"clip": {"global_clipnorm": 0.5}},
    "every other step, until": {"every": 2, "until_step": 3, "updates": 1},
}


def train(strategy, clip=None, **rules):
    with strategy.scope():
        clip = clip or {}
        model = make(
            keras.optimizers.SGD(0.01, momentum=0.9, **clip), keras.optimizers.SGD(0.1, momentum=0.9, **clip), **rules
        )
    history = model.fit(rows(19), epochs=2, batch_size=BATCH, shuffle=False, verbose=0).history
    optimizers = [model.optimizer, *model.player_optimizers.values()]
    variables = [*model.variables, *(v for one in optimizers for v in one.variables)]
    replicas = [[v.numpy().tolist() for v in getattr(w.value, "values", [w.value])] for w in variables]
    return {"history": history, "replicas": replicas, "names": [w.path for w in variables]}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("players")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    names = ("default", "mirrored")
    workers = [
        subprocess.Popen([sys.executable, __file__, name, str(folder)], env=environment, stderr=subprocess.PIPE)
        for name in names
    ]
    for name, worker in zip(names, workers, strict=True):
        _, errors = worker.communicate()
        assert worker.returncode == 0, f"{name}: {errors.decode()[-3000:]}"
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in names}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_two_devices_take_the_steps_of_one(results, case):
    one, two = results["default"][case], results["mirrored"][case]
    assert one["names"] == two["names"]
    for name, alone, both in zip(one["names"], one["replicas"], two["replicas"], strict=True):
        assert len(both) == 2, name
        for replica in both:
            np.testing.assert_allclose(replica, alone[0], atol=2e-6, err_msg=name)
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-5, err_msg=name)


def main(name, folder):
    from zoo import replicas

    devices, found = (2 if name == "mirrored" else None), {}
    for case, rules in CASES.items():
        found[case] = train(replicas.strategy(name, devices), **rules)
        devices = None
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])


# ── What moves once a step, whoever else moves ───────────────────────────────────────────────────────────────────────


def with_state(updates, **arguments):
    """Moving averages in the encoder, and a queue of keys."""
    keras.utils.set_random_seed(0)
    dense, normal = keras.layers.Dense, keras.layers.BatchNormalization
    encoder = keras.Sequential([keras.Input((WIDTH,)), dense(8), normal(momentum=0.5)])
    decoder = keras.Sequential([keras.Input((LATENTS,)), dense(WIDTH)])
    critic = keras.Sequential([keras.Input((LATENTS,)), dense(1)])
    kind = zoo.combine("contrastive", FactorVAE)
    model = kind(
        encoder, decoder, LATENTS, critic=critic, likelihood="gaussian", seed=1, updates=updates, queue_size=32,
        ratio_weight=0.0, **arguments,
    )  # fmt: skip
    model.compile(keras.optimizers.SGD(0.01), optimizers={"critic": "sgd"})
    return model


@pytest.mark.slow
def test_averages_and_queues_move_once_a_step():
    models = [with_state(updates) for updates in (1, 5)]
    for model in models:
        model.fit(rows(16), batch_size=BATCH, shuffle=False, verbose=0)
    once, often = ([v for v in model.non_trainable_variables if "seed" not in v.path] for model in models)
    assert int(models[0].queue_position.value) == 16
    for this, that in zip(once, often, strict=True):
        np.testing.assert_allclose(this, that, rtol=1e-6, atol=1e-6, err_msg=this.path)


def test_nobody_shares_a_variable():
    class Twice(FactorVAE):
        def players(self):
            critic, *others = super().players()
            return [critic, Player("rival", self.critic.trainable_variables), *others]

    model = make(compiled=False)
    twice = Twice(model.encoder, model.decoder, LATENTS, critic=model.critic, likelihood="gaussian")
    with pytest.raises(ValueError, match="'critic' and 'rival' both own"):
        twice.compile("sgd")


def test_a_players_cosine_ends_with_the_run(monkeypatch, tmp_path):
    from zoo.experiments import building, configurations

    asked = {}
    real = building.build_optimizer

    def asking(train, steps, player="model"):
        asked[player] = steps
        return real(train, steps, player)

    monkeypatch.setattr(building, "build_optimizer", asking)
    monkeypatch.setattr(
        zoo.VAE, "players", lambda self: [Player("critic", self.encoder.trainable_variables, 3), Player("model")]
    )
    settings = ["train.optimizers={critic: {name: sgd, learning_rate: 0.1}}", "train.schedule={name: cosine}"]
    building.build_model(configurations.load("digits/vae", settings), (28, 28, 1), 10)
    assert asked == {"model": 10, "critic": 30}
