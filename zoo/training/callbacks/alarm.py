"""Says when the posterior has collapsed, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from zoo.training.growth import grows, is_early, were_lost

CURES = ("a smaller beta", "train.kl_warmup", "train.clip_norm", "a smaller decoder variance", "method contrastive")


class CollapseAlarm(keras.callbacks.Callback):
    """Warns once, in one line, when active units or mutual information stay low.

    It reads the logs that `Information` writes, so it stands behind it. Epochs without a measurement do not count,
    nor do those in which codes are still being learnt: `zoo.training.growth`, by which the doctor judges too.

    Args:
        active_units: fewer active units than this are a symptom.
        mutual_information: fewer nats than this are one, too.
        patience: measurements in a row with a symptom before it speaks; 0 never.
        announce: gets the line; prints it by default.
        cures: what may help, the likeliest first.
    """

    def __init__(
        self,
        active_units: float = 1,
        mutual_information: float = 0.5,
        patience: int = 3,
        announce: Callable[[str], None] = print,
        cures: Sequence[str] = CURES,
    ) -> None:
        super().__init__()
        self.active_units = active_units
        self.mutual_information = mutual_information
        self.patience = patience
        self.announce = announce
        self.cures = cures
        self.low = 0
        self.sounded = False
        self.information: list[float] = []
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the measurements with a symptom, and speaks when there are enough."""
        logs = logs or {}
        if "val_mutual_information" not in logs or not self.patience:
            return
        units, information = int(logs["val_active_units"]), float(logs["val_mutual_information"])
        self.information.append(information)
        self.rates.append(float(logs.get("val_rate", 0.0)))
        collapsed = units < self.active_units or information < self.mutual_information
        self.low = self.low + 1 if collapsed and not self._learning(logs) else 0
        if self.low >= self.patience and not self.sounded:
            self.sounded = True
            found = (
                (units < self.active_units, f"{units} active units", f"below {self.active_units}"),
                (
                    information < self.mutual_information,
                    f"mutual information {information:.2f} nats",
                    f"below {self.mutual_information}",
                ),
            )
            # Symptoms first, with their thresholds; what is still well behind them.
            symptoms = [f"{text} ({limit})" if low else text for low, text, limit in sorted(found, reverse=True)]
            rate = [f"rate {logs['val_rate']:.2f} nats"] if "val_rate" in logs else []
            self.announce(
                f"posterior collapse: {', '.join([*symptoms, *rate])} on held-out images, for {self.low} measurements "
                f"up to epoch {epoch + 1}; what may help, the likeliest first: {', '.join(self.cures)}"
            )

    def _learning(self, logs: dict[str, Any]) -> bool:
        """Whether it is *not yet* rather than *no longer*."""
        # The rows of earlier epochs, which a resumed run shows again, say of which step they are.
        step = logs.get("step")
        if step is None and hasattr(self.model, "step"):
            step = self.model.step.numpy()
        if were_lost(self.information):
            return False
        early = is_early(None if step is None else int(step), self.rates[-1])
        return grows(self.information) or grows(self.rates) or early
