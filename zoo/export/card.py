"""Cards: what an export says of itself, for people (`README.md`) and for programs (`assets.extra/card.json`).

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

README = "README.md"
CARD = Path("assets.extra") / "card.json"
INDEX = "index.json"
PACKAGES = ("tensorflow", "keras", "tensorflow-probability")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Record):
    """A metric's value with what is needed to read it.

    Attributes:
        value: as measured.
        unit: such as `nats`.
        examples: how many it was measured on.
        note: how it was estimated.
        error: standard error of a mean over examples.
        values: the entries of a vector, such as one for each latent unit.
    """

    value: float
    unit: str
    examples: int
    note: str = ""
    error: float | None = None
    values: list[float] | None = None


class DataSet(_Record):
    """Where the images came from.

    Attributes:
        name: in the zoo's catalogue.
        description: one line.
        splits: the split strings by their role: `train`, `validation`, `test`.
        licence: of the images, as far as their home page says.
        homepage: of the data set.
    """

    name: str
    description: str
    splits: dict[str, str]
    licence: str
    homepage: str


def versions() -> dict[str, str]:
    """The versions in use: of Python, the zoo and the packages that a model is made of."""
    from zoo import __version__

    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "zoo": __version__, **installed}


class Card(_Record):
    """What an export says of itself.

    Attributes:
        name: `DATA/METHOD`, such as `digits/contrastive`.
        method: the method's name and, behind a colon, what it is.
        data: the data set.
        image_shape: (h, w, c) of the images that it encodes.
        latent_dim: dimensions of a code.
        unit_interval: whether float pixels must lie in [0, 1].
        metrics: by split, then by name.
        configuration: of the training, every key with its value.
        versions: of the packages that trained it.
        licence: of the weights.
        checksum: `sha256:` and the digest over the SavedModel's files (see `checksum`).
    """

    name: str
    method: str
    data: DataSet
    image_shape: tuple[int, ...]
    latent_dim: int
    unit_interval: bool
    metrics: dict[str, dict[str, Figure]]
    configuration: dict[str, Any]
    versions: dict[str, str] = Field(default_factory=versions)
    licence: str = "Apache-2.0"
    checksum: str = ""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The card of an export.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        path = directory / CARD
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{directory}: not an export of the zoo ({CARD.as_posix()}: {error.strerror})") from None
        except (ValidationError, UnicodeDecodeError):
            raise ValueError(f"{path}: damaged, or written by another version of the zoo") from None

    def write(self, directory: Path) -> None:
        """Writes `README.md` and `assets.extra/card.json` into an export."""
        (directory / CARD).parent.mkdir(exist_ok=True)
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        (directory / CARD).write_text(text + "\n", encoding="utf-8")
        (directory / README).write_text(self.markdown(), encoding="utf-8")

    def summary(self) -> str:
        """One line: the method, the size of a code, and the mutual information where it was measured on a test set."""
        parts = [self.method.partition(": ")[2], f"{self.latent_dim} latents"]
        measured = self.metrics.get("test", {}).get("mutual_information")
        if measured:
            parts.append(f"test MI {measured.value:.2f} {measured.unit}")
        return ", ".join(parts)

    def markdown(self) -> str:
        """The card as Markdown."""
        images = "×".join(map(str, self.image_shape))
        floats = "floats from 0 to 1" if self.unit_interval else "floats (0 is black, 1 is white)"
        splits = ", ".join(f"{role} `{split}`" for role, split in self.data.splits.items())
        home = f" [Home page]({self.data.homepage})." if self.data.homepage else ""
        configuration = yaml.safe_dump(self.configuration, sort_keys=False, allow_unicode=True)
        return f"""# {self.name}

A variational auto-encoder ({self.method}), trained on {self.data.name}: {self.data.description}.
TensorFlow alone loads it:

```python
import tensorflow as tf

model = tf.saved_model.load("path/to/this/folder")
codes = model.encode(images)  # [n, {", ".join(map(str, self.image_shape))}]: uint8 from 0 to 255, or {floats}
codes["loc"], codes["scale"]  # the posteriors' means and standard deviations, [n, {self.latent_dim}] each
```

| endpoint | takes | gives |
|---|---|---|
| `encode` (also `serving_default`) | images {images} | `loc`, `scale` |
| `decode` | z, {self.latent_dim} numbers | `mean` of p(x\\|z), pixels from 0 to 1 |
| `reconstruct` | images {images} | `mean` of p(x\\|z) for z = `loc` |
| `sample` | n, seed | `mean` of p(x\\|z) for n draws z ~ p(z); the same for the same seed |

Any batch size. As signatures, `encode` and `reconstruct` take float32, `encode_uint8` and `reconstruct_uint8` uint8.

## Metrics

{self._metrics_table()}

## Data

{self.data.name}, {splits}. Licence of the images: {self.data.licence}.{home}

## Configuration

```yaml
{configuration.rstrip()}
```

## Origin

Trained and exported with {", ".join(f"{name} {version}" for name, version in self.versions.items())}.
Licence of the weights: {self.licence}. Checksum over the SavedModel's files: `{self.checksum}`.
"""

    def _metrics_table(self) -> str:
        if not self.metrics:
            return "Not measured."
        lines = ["| split | metric | value | unit | examples | how |", "|---|---|---:|---|---:|---|"]
        for split, figures in self.metrics.items():
            for name, figure in figures.items():
                value = f"{figure.value:.4g}" + ("" if figure.error is None else f" ± {figure.error:.2g}")
                lines.append(
                    f"| {split} | `{name}` | {value} | {figure.unit} | {figure.examples:,} | {figure.note or '–'} |"
                )
        return "\n".join(lines)


def checksum(directory: Path) -> str:
    """The digest over the names and contents of an export's files, in the order of their names.

    The card is left out, because it holds the digest.
    """
    digest = hashlib.sha256()
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    for name in sorted(files):
        if name != README and not name.startswith(f"{CARD.parent}/"):
            digest.update(f"{name}\0{files[name].stat().st_size}\0".encode())
            digest.update(files[name].read_bytes())
    return f"sha256:{digest.hexdigest()}"


def cards(exports: Path) -> dict[str, Card]:
    """The cards of all exports under a folder, by their path in it, sorted.

    Raises:
        ValueError: a card is damaged.
    """
    found = (path.parent.parent for path in exports.rglob(CARD.as_posix()))
    visible = (path for path in found if not any(p.startswith(".") for p in path.relative_to(exports).parts))
    return {path.relative_to(exports).as_posix(): Card.read(path) for path in sorted(visible)}
