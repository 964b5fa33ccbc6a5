"""Callbacks: what they measure, when they speak, and what they stop."""

import contextlib
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import VAE, metrics, networks
from zoo.experiments.finished import is_whole, save_model
from zoo.training import callbacks, checkpoints, metrics_file
from zoo.training.callbacks import checkpoint
from zoo.training.callbacks.nan import TrainingDivergedError
from zoo.training.checkpoints import CheckpointError

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1)).astype(np.uint8)


def small_model(**arguments):
    model = VAE(*networks.build("mlp", (4, 4, 1), 3, depth=1, width=8), latent_dim=3, seed=0, **arguments)
    model.compile(keras.optimizers.SGD(1e-3))
    return model


def test_information_adds_the_metrics_of_the_whole_set():
    model = small_model()
    watcher = callbacks.Information(IMAGES, every=2, batch_size=7)
    history = model.fit(IMAGES, epochs=3, verbose=0, callbacks=[watcher]).history
    # Epochs 1 and 3 were not measured.
    assert len(history["val_mutual_information"]) == 1
    model = small_model()
    model.set_weights(model.get_weights())
    logs = {}
    watcher.set_model(model)
    watcher.on_epoch_end(1, logs)
    loc, scale = model.encode(IMAGES)
    assert logs["val_mutual_information"] == pytest.approx(metrics.mutual_information(loc, scale), abs=1e-5)
    assert logs["val_marginal_kl"] == pytest.approx(metrics.marginal_kl(loc, scale), abs=1e-5)
    assert logs["val_active_units"] == metrics.active_units(loc)
    np.testing.assert_allclose(watcher.loc, loc, atol=1e-6)


def logs_of(units, information):
    return {"val_active_units": units, "val_mutual_information": information, "val_rate": 0.1}


def test_the_alarm_speaks_once_and_only_after_its_patience():
    said = []
    alarm = callbacks.CollapseAlarm(active_units=2, mutual_information=0.5, patience=2, announce=said.append)
    alarm.on_epoch_end(0, logs_of(1, 3.0))
    alarm.on_epoch_end(1, logs_of(5, 3.0))  # healthy: it counts from the start again
    alarm.on_epoch_end(2, logs_of(5, 0.1))
    alarm.on_epoch_end(3, {"loss": 1.0})  # not measured: neither healthy nor low
    assert not said
    alarm.on_epoch_end(4, logs_of(0, 0.1))
    alarm.on_epoch_end(5, logs_of(0, 0.1))
    (line,) = said
    assert "\n" not in line
    assert line.startswith(
        "posterior collapse: mutual information 0.10 nats (below 0.5), 0 active units (below 2)"
    ) or (line.startswith("posterior collapse: 0 active units (below 2), mutual information 0.10 nats (below 0.5)"))
    for words in ("rate 0.10 nats", "2 measurements", "epoch 5", "contrastive", "beta"):
        assert words in line


def test_the_alarm_puts_the_symptom_first():
    said = []
    alarm = callbacks.CollapseAlarm(active_units=2, mutual_information=0.5, patience=1, announce=said.append)
    alarm.on_epoch_end(0, logs_of(16, 0.31))
    assert said[0].startswith("posterior collapse: mutual information 0.31 nats (below 0.5), 16 active units, rate")


def test_a_replayed_alarm_is_silent_and_remembers():
    said = []
    alarm = callbacks.CollapseAlarm(patience=2, announce=said.append)
    rows = [{"epoch": epoch, **logs_of(0, 0.0)} for epoch in (1, 2, 3)]
    replay = callbacks.Replay(rows, [alarm], None)
    replay.on_train_begin()
    assert not said and alarm.sounded and alarm.low == 3
    alarm.on_epoch_end(3, logs_of(0, 0.0))
    assert not said
    alarm.sounded = False
    alarm.on_epoch_end(4, logs_of(0, 0.0))
    assert len(said) == 1


def test_an_alarm_without_patience_is_off():
    said = []
    alarm = callbacks.CollapseAlarm(patience=0, announce=said.append)
    for epoch in range(5):
        alarm.on_epoch_end(epoch, logs_of(0, 0.0))
    assert not said


def test_nan_stops_at_its_step_and_names_the_term():
    class Break(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                self.model.decoder.trainable_variables[-1].assign(np.full([16], np.nan))

    model = small_model(likelihood="gaussian")
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    with pytest.raises(TrainingDivergedError, match=r"^epoch 1, step 3: distortion .*became NaN$"):
        model.fit(dataset, verbose=0, callbacks=[Break(), callbacks.StopOnNaN()])


def test_a_checkpoint_brings_back_the_seeds_of_keras_layers(tmp_path):
    def noisy():
        layers = [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5, seed=7),
            keras.layers.Dense(8),
        ]
        decoder = networks.build("mlp", (4, 4, 1), 3, depth=1, width=8).decoder
        model = VAE(keras.Sequential(layers), decoder, latent_dim=3, seed=0)
        model.compile(keras.optimizers.SGD(1e-3))
        return model

    model, other = noisy(), noisy()
    model.fit(IMAGES, epochs=1, verbose=0, callbacks=[callbacks.Checkpoint(tmp_path)])
    checkpoint.restore(tmp_path, other, print)
    for mine in (model, other):
        mine.fit(IMAGES, epochs=1, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_brings_back_weights_optimiser_and_counters(tmp_path):
    model = small_model()
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9))
    model.fit(IMAGES, epochs=3, verbose=0, callbacks=[callbacks.Checkpoint(tmp_path)])
    assert [p.name for p in checkpoints.checkpoints(tmp_path)] == ["epoch-0002", "epoch-0003"]
    other = small_model()
    other.compile(keras.optimizers.SGD(1e-3, momentum=0.9))
    assert checkpoint.restore(tmp_path, other, print) == 3
    assert int(other.step.numpy()) == int(model.step.numpy()) == 6
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("damage", ["bit", "cut", "state", "gone"])
def test_damaged_checkpoints_are_passed_over_and_named(tmp_path, damage):
    model = small_model()
    model.fit(IMAGES, epochs=2, verbose=0, callbacks=[callbacks.Checkpoint(tmp_path)])
    latest = tmp_path / "epoch-0002"
    weights = latest / checkpoint.WEIGHTS
    content = bytearray(weights.read_bytes())
    if damage == "bit":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "cut":
        weights.write_bytes(content[: len(content) // 2])
    elif damage == "state":
        (latest / checkpoint.STATE).write_text("{")
    else:
        weights.unlink()
    said = []
    assert checkpoint.restore(tmp_path, model, said.append) == 1
    (line,) = said
    assert "epoch-0002 is damaged" in line and "\n" not in line
    (tmp_path / "epoch-0001" / checkpoint.STATE).write_text("[]")
    assert checkpoint.restore(tmp_path, model, said.append) == 0
    assert "no good checkpoint" in said[-1]


def test_a_checkpoint_of_another_model_is_no_damage(tmp_path):
    saver = callbacks.Checkpoint(tmp_path)
    saver.set_model(small_model())
    saver.on_epoch_end(0)
    other = VAE(*networks.build("mlp", (4, 4, 1), 5, depth=1, width=8), latent_dim=5)
    other.compile(keras.optimizers.SGD(1e-3))
    with pytest.raises(CheckpointError, match="of another model"):
        checkpoint.restore(tmp_path, other, print)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = small_model()
    saver = callbacks.Checkpoint(tmp_path)
    saver.set_model(model)
    saver.on_epoch_end(0)
    model.head.loc.bias.assign([np.inf, 0, 0])
    with pytest.raises(CheckpointError, match="epoch 2"):
        saver.on_epoch_end(1)
    assert [p.name for p in checkpoints.checkpoints(tmp_path)] == ["epoch-0001"]


@contextlib.contextmanager
def full_after(size):
    """As a disk that becomes full in the middle of a file: the system refuses what goes beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_in_the_middle_leaves_the_last_checkpoint(tmp_path):
    model = small_model()
    saver = callbacks.Checkpoint(tmp_path)
    saver.set_model(model)
    saver.on_epoch_end(0)
    whole = (tmp_path / "epoch-0001" / checkpoint.WEIGHTS).stat().st_size
    for size in (0, 1, 100, 4096, whole // 2, whole - 1):
        with full_after(size), pytest.raises(CheckpointError, match=r"^epoch 2: cannot write .*: File too large$"):
            saver.on_epoch_end(1)
        assert [p.name for p in tmp_path.iterdir()] == ["epoch-0001"]


def test_a_disk_that_is_full_in_the_middle_leaves_no_half_model(tmp_path):
    model, path = small_model(), tmp_path / "model.keras"
    for size in (0, 1000, 20_000):
        with full_after(size), pytest.raises(OSError, match="File too large"):
            save_model(model, path)
        assert not list(tmp_path.iterdir())
    save_model(model, path)
    assert path.stat().st_size > 20_000 and is_whole(path)
    for a, b in zip(model.variables, keras.saving.load_model(path).variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_checkpoint_takes_away_what_a_kill_left(tmp_path):
    (tmp_path / ".epoch-0001.abc" / "epoch-0001").mkdir(parents=True)
    saver = callbacks.Checkpoint(tmp_path)
    saver.set_model(small_model())
    saver.on_epoch_end(0)
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-0001"]


def test_the_record_is_cut_back_and_a_torn_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    recorder = callbacks.Record(path)
    for epoch in range(3):
        recorder.on_epoch_end(epoch, {"loss": np.float32(0.1) * epoch, "elbo": -1.0})
    whole = path.read_bytes()
    with path.open("a") as file:
        file.write('{"epoch": 4, "lo')
    assert [row["epoch"] for row in metrics_file.rows(path)] == [1, 2, 3]
    assert metrics_file.rewrite(path, recorder.rows) and path.read_bytes() == whole
    assert recorder.rows == metrics_file.rows(path) and len(recorder.rows) == 3
    assert metrics_file.rewrite(path, recorder.rows[:1]) and metrics_file.rows(path) == [
        {"epoch": 1, "elbo": -1.0, "loss": 0.0}
    ]
    assert metrics_file.rows(tmp_path / "none.jsonl") == []


def test_replay_brings_a_plateau_to_where_it_was():
    losses = [5.0, 4.0, 4.5, 4.6, 4.7, 4.8]

    def plateau(epochs, rows=()):
        model = small_model()
        schedule = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2, min_lr=1e-9)
        replay = callbacks.Replay(rows, [schedule], 1e-3)
        for callback in (schedule, replay):
            callback.set_model(model)
            callback.on_train_begin()
        for epoch in epochs:
            schedule.on_epoch_end(epoch, {"loss": losses[epoch]})
        return float(model.optimizer.learning_rate), schedule.wait, schedule.best

    rows = [{"epoch": epoch + 1, "loss": losses[epoch]} for epoch in range(3)]
    assert plateau(range(3, 6), rows) == plateau(range(6))
    assert plateau(range(3, 6)) != plateau(range(6))


def test_tensorboard_shows_the_methods_of_a_combination_as_one_word(tmp_path):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    given = {"model.method": ["consistency", "iwae"], "model.beta": 0.5, "model.network": {"name": "mlp"}}
    watcher = callbacks.TensorBoardMonitor(tmp_path / "run", callbacks.Information(IMAGES), given)
    watcher.on_train_begin()
    watcher.on_train_end()
    (file,) = (tmp_path / "run").iterdir()
    values = [value for event in tf.compat.v1.train.summary_iterator(str(file)) for value in event.summary.value]
    plugins = [HParamsPluginData.FromString(v.metadata.plugin_data.content) for v in values if "hparams" in v.tag]
    (shown,) = (plugin.session_start_info.hparams for plugin in plugins if plugin.session_start_info.hparams)
    assert shown["model.method"].string_value == "consistency+iwae"
    assert shown["model.beta"].number_value == 0.5
    assert set(shown) == {"model.method", "model.beta"}


def test_the_alarm_waits_while_codes_are_still_learnt():
    def sounded(information, rates, steps=(1000,) * 9, patience=2):
        said = []
        alarm = callbacks.CollapseAlarm(patience=patience, announce=said.append)
        for epoch, (nats, rate, step) in enumerate(zip(information, rates, steps, strict=False)):
            alarm.on_epoch_end(epoch, {**logs_of(5, nats), "val_rate": rate, "step": step})
        return bool(said)

    nought = [0.01] * 4
    assert sounded([0.1, 0.1, 0.1, 0.1], nought)
    # Information, or the rate, grows by more than a twentieth each time.
    assert not sounded([0.1, 0.2, 0.3, 0.4], nought) and not sounded([0.1] * 4, [0.1, 0.2, 0.3, 0.4])
    assert sounded([0.1, 0.101, 0.102, 0.103], nought)
    # Few steps and a rate that is not nought; but not where the codes knew more before.
    early = (18, 36, 54, 72)
    assert not sounded([0.1] * 4, [0.5] * 4, early) and sounded([0.1] * 4, nought, early)
    assert sounded([3.0, 0.1, 0.2, 0.3], [0.5] * 4, early)
