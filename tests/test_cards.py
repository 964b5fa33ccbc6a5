"""Cards: whom to cite, what a model is no good for, and a picture of it."""

import io
import logging
import re

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.export import readme
from zoo.export.card import PORTRAIT, Card, DataSet
from zoo.export.references import BETA_VAE, REFERENCES, bibtex
from zoo.export.saved_model import export_model
from zoo.models import METHODS

EXAMPLE = {"name": "digits/vae", "method": "vae: plain", "example_shape": (8, 8, 1), "latent_dim": 4}
DIGITS = DataSet(name="digits", description="digits", splits={}, licence="CC BY 4.0", homepage="")


def section(card: Card, title: str) -> str:
    return readme.markdown(card).partition(f"## {title}\n\n")[2].partition("\n## ")[0]


# ── Whom to cite ──


def test_every_method_has_a_paper():
    assert set(REFERENCES) == set(METHODS)
    entries = [*REFERENCES.values(), BETA_VAE]
    for entry in entries:
        assert re.match(r"@(misc|inproceedings)\{[a-z]+\d{4},\n", entry) and entry.count("{") == entry.count("}")
        year, key = re.search(r"year = \{(\d+)\}", entry)[1], re.search(r"\{([a-z]+)(\d+),", entry)
        author = re.search(r"author = \{(\w+),", entry)[1]
        assert (author.lower(), year) == key.groups()
    assert len({re.search(r"\{(\w+),", entry)[1] for entry in entries}) == len(entries)


def test_a_combination_cites_all_and_another_beta_the_beta_vae():
    assert bibtex(["consistency", "iwae"]) == f"{REFERENCES['consistency']}\n\n{REFERENCES['iwae']}"
    assert bibtex(["vae"]) == REFERENCES["vae"]
    assert bibtex(["vae"], 0.5) == f"{REFERENCES['vae']}\n\n{BETA_VAE}"
    assert bibtex(["vae"], {"name": "linear"}) == REFERENCES["vae"]
    assert bibtex(["package.module:Own"], 0.5) == ""


def test_the_card_of_a_model_cites_its_methods():
    encoder, decoder = zoo.networks.build("mlp", (8, 8, 1), 4, width=8)
    model = zoo.combine("consistency", "critic")(encoder, decoder, 4, beta=2.0)
    model.build_if_known()
    card = Card.of_model(model)
    assert card.bibtex == bibtex(["consistency", "critic"], 2.0)
    assert readme.markdown(card).endswith(f"## To cite\n\n```bibtex\n{card.bibtex}\n```\n")
    assert "To cite" not in readme.markdown(card.model_copy(update={"bibtex": ""}))


# ── What it is no good for ──


def test_units_that_say_nothing_are_a_limit():
    def limits(units: int) -> str:
        figure = {"value": units, "unit": "units of 4", "examples": 9, "note": "0.1 nats or more"}
        return section(Card(**EXAMPLE, data=DIGITS, metrics={"test": {"informative_units": figure}}), "Limits")

    assert "Only 3 of its 4 units are informative (0.1 nats or more)" in limits(3)
    assert "informative" not in limits(4)
    assert "one training" in limits(4) and "Nobody" not in limits(4)
    assert "- `decode`, `reconstruct` and `sample` give the means" in limits(4)
    without = Card(**EXAMPLE, left_out={"decode": "it looks at x", "sample": "no prior"})
    assert "- `reconstruct` gives the means" in section(without, "Limits")
    assert "Nobody has said on what" in section(Card(**EXAMPLE), "Limits")


# ── A picture ──


def test_an_export_shows_the_picture_that_it_is_given(tmp_path):
    encoder, decoder = zoo.networks.build("mlp", (8, 8, 1), 4, width=8)
    model = zoo.VAE(encoder, decoder, 4)
    drawn = io.BytesIO()
    Image.fromarray(np.zeros((3, 5), np.uint8)).save(drawn, "PNG")
    plain = export_model(model, tmp_path / "plain")
    shown = export_model(model, tmp_path / "shown", portrait=drawn.getvalue())
    assert (shown / PORTRAIT).read_bytes() == drawn.getvalue() and Card.read(shown).portrait
    assert f"]({PORTRAIT.as_posix()})" in (shown / "README.md").read_text()
    assert not (plain / PORTRAIT).exists() and PORTRAIT.name not in (plain / "README.md").read_text()


def test_an_export_does_not_speak_of_where_it_is_written_first(tmp_path, monkeypatch, caplog):
    import tensorflow as tf

    encoder, decoder = zoo.networks.build("mlp", (8, 8, 1), 4, width=8)
    monkeypatch.setattr(tf.get_logger(), "level", logging.INFO)
    monkeypatch.setattr(tf.get_logger(), "handlers", [caplog.handler])
    tf.get_logger().info("heard")
    export_model(zoo.VAE(encoder, decoder, 4), tmp_path / "export")
    assert {*caplog.messages} == {"heard"} and tf.get_logger().level == logging.INFO


@pytest.mark.slow
def test_a_run_that_was_evaluated_is_shown_on_its_card(tmp_path, command):
    from zoo.experiments.run_directory import RunDirectory
    from zoo.report.illustrating import portrait

    run = tmp_path / "run"
    few = ["train.epochs=1", "data.train=train[:128]", "data.test=test[:40]", "model.network.name=mlp"]
    command("train", "digits/vae", "--set", *few, "--run-dir", run, "--quiet")
    assert portrait(RunDirectory(run)) is None
    command("evaluate", run, "--metrics", "information", "--quiet")
    command("export", run, "--to", tmp_path / "export")
    content = (tmp_path / "export" / PORTRAIT).read_bytes()
    assert content == portrait(RunDirectory(run))
    command("export", run, "--format", "serving", "--to", tmp_path / "model")
    assert (tmp_path / "model" / "1" / PORTRAIT).read_bytes() == content
    # Three rows of images stand left of the bars.
    width, height = Image.open(io.BytesIO(content)).size
    assert width > 2 * height
