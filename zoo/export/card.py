"""Cards: what an export says of itself, for people (`README.md`) and for programs (`assets.extra/card.json`).

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zoo.export import knowledge, readme
from zoo.export.references import bibtex

README = "README.md"
CARD = Path("assets.extra") / "card.json"
MODEL = "model.keras"
"""The Keras model of an export that has one, which can be trained on."""

PORTRAIT = Path("assets.extra") / "portrait.png"
"""The picture of an export that has one: what the model makes of test images, and the rates of its units."""

FORMAT = 3
"""Of exports that this version writes.

1 had no number; 2 knows the stored precision, and the codes of examples; 3 the papers to cite, and a picture.
"""

PACKAGES = ("tensorflow", "keras", "tensorflow-probability")


# No infinity, no NaN, and neither true nor text.
_Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


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

    value: _Number
    unit: str
    examples: Annotated[int, Field(ge=0, le=2**53, strict=True)]
    note: str = ""
    error: _Number | None = None
    values: list[_Number] | None = None


class DataSet(_Record):
    """Where the examples came from.

    Attributes:
        name: in the zoo's catalogue.
        description: one line.
        splits: the split strings by their role: `train`, `validation`, `test`.
        licence: of the examples, as far as their home page says.
        homepage: of the data set.
    """

    name: str
    description: str
    splits: dict[str, str]
    licence: str
    homepage: str


def versions() -> dict[str, str]:
    """The versions in use: of Python, the zoo and the packages that a model is made of."""
    import importlib.metadata

    from zoo.version import __version__

    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "zoo": __version__, **installed}


class NewerFormatError(ValueError):
    """An export of a version that is newer than this one."""


class Card(_Record):
    """What an export says of itself.

    Attributes:
        name: `DATA/METHOD`, such as `digits/contrastive`; without a data set the method.
        method: the method's name and, behind a colon, what it is.
        data: the data set; None where only the model is known.
        example_shape: of the examples that it encodes; None for a size that may be any.
        latent_dim: dimensions of a code.
        domain: what the examples are: the domain's name and its arguments, such as the features' `loc` and `scale`.
        noun: what an example is called.
        types: of arrays that `encode` takes; the signature's first.
        autoregressive: whether the decoder looks at earlier entries of x.
        support: which values the likelihood takes, `unit_interval`, `real` or `categories`.
        metrics: by split, then by name.
        configuration: of the training, every key with its value; of a model without one, its class and hyperparameters.
        left_out: endpoints that the model cannot have, with the reason.
        versions: of the packages that trained it.
        licence: of the weights.
        format: of the export, see `FORMAT`.
        stored: the weights' type on the disk; arithmetic is in float32.
        trainable: whether the Keras model lies beside.
        command: which made it, after the training.
        portrait: whether the picture `PORTRAIT` lies beside.
        bibtex: of the papers whose methods it has.
        codes: the checksum of the codes of `assets.extra/examples.npz` (see `zoo.export.fixture`); empty without one.
        checksum: `sha256:` and the digest over the SavedModel's files (see `checksum`).
    """

    name: str
    method: str
    data: DataSet | None = None
    example_shape: tuple[int | None, ...]
    latent_dim: int
    domain: dict[str, Any] = Field(default_factory=lambda: {"name": "images"})
    noun: str = "images"
    types: tuple[str, ...] = ("float32", "uint8", "float64")
    autoregressive: bool = False
    support: str = "real"
    metrics: dict[str, dict[str, Figure]] = Field(default_factory=dict)
    configuration: dict[str, Any] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=versions)
    licence: str = "Apache-2.0"
    format: int = FORMAT
    stored: str = "float32"
    trainable: bool = False
    command: str = ""
    portrait: bool = False
    bibtex: str = ""
    codes: str = ""
    checksum: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, given: Any) -> Any:
        """Reads cards of versions that knew images only, and of those without a format."""
        if isinstance(given, dict) and "checksum" in given:
            given = {"format": 1, **given}
        if isinstance(given, dict) and "image_shape" in given:
            given = {**given, "example_shape": given["image_shape"]}
            given["support"] = "unit_interval" if given.pop("unit_interval", False) else "real"
            del given["image_shape"]
        return given

    @classmethod
    def of_model(cls, model: Any) -> Self:
        """What a built model knows of itself: its methods, hyperparameters and examples, and no data set."""
        method = model.methods_in_words()
        return cls(
            name=method.partition(": ")[0],
            method=method,
            configuration=(configuration := knowledge.hyperparameters(model)),
            bibtex=bibtex(model.method_names(), configuration.get("beta", 1.0)),
            **knowledge.examples(model),
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The card of an export, of this version of the zoo or an earlier one.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        path = directory / CARD
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(given, dict) and isinstance(its := given.get("format"), int) and its > FORMAT:
                raise NewerFormatError(
                    f"{directory}: was written by a newer version of the zoo, in format {its}; this version reads "
                    f"formats up to {FORMAT}: update it"
                )
            return cls.model_validate(given)
        except OSError as error:
            raise ValueError(f"{directory}: not an export of the zoo ({CARD.as_posix()}: {error.strerror})") from None
        except (json.JSONDecodeError, RecursionError, ValidationError, UnicodeDecodeError):
            raise ValueError(f"{path}: damaged, or written by another version of the zoo") from None

    def write(self, directory: Path) -> None:
        """Writes `README.md` and `assets.extra/card.json` into an export."""
        (directory / CARD).parent.mkdir(exist_ok=True)
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        (directory / CARD).write_text(text + "\n", encoding="utf-8")
        (directory / README).write_text(readme.markdown(self), encoding="utf-8")

    def summary(self) -> str:
        """One line: the method, the size of a code, and the mutual information where it was measured on a test set."""
        parts = [self.method.partition(": ")[2], f"{self.latent_dim} latents"]
        measured = self.metrics.get("test", {}).get("mutual_information")
        if measured:
            parts.append(f"test MI {measured.value:.2f} {measured.unit}")
        return ", ".join(parts)


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
