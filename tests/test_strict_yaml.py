"""YAML that would hang, crash, or say a thing twice is refused in a line; what people write is read as ever."""

import time

import pytest
import yaml

from zoo.experiments import configurations, strict_yaml
from zoo.experiments.schema import ConfigurationError


def laughs(levels, width):
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


MANY, DEEP = "there are more than 10,000 values", "lists and mappings lie in each other more than 40 deep"
BAD = {
    "a billion laughs": (laughs(10, 9), f"^line 5: {MANY}$"),
    "a mapping of aliases": (laughs(10, 9) + "\nb:\n  <<: *a9", MANY),
    "many values": ("a: [" + "1," * 20_000 + "1]", f"^line 1: {MANY}$"),
    "deep lists": ("[" * 50_000, f"^line 1: {DEEP}$"),
    "deep mappings": ("{a: " * 3_000, DEEP),
    "deep blocks": ("".join(" " * i + "a:\n" for i in range(200)), f"^line 40: {DEEP}$"),
    "deep aliases": (laughs(60, 1), DEEP),
    "a list in itself": ("a: &a [*a]", "^line 1: an alias stands for a value that holds it$"),
    "a mapping in itself": ("&a\n<<: *a", "an alias stands for a value that holds it"),
    "a key twice": ("a: 1\nb: 2\na: 3", "^line 3: the key 'a' stands there twice$"),
    "a key twice below": ("a:\n  b: 1\n  'b': 1", "^line 3: the key 'b' stands there twice$"),
    "an object": ("a: !!python/object/apply:os.system [exit]", "^line 1: could not determine a constructor"),
    "no such day": ("a: 2001-99-99", "^a value cannot be read: month must be in"),
    "no date": ("a: !!timestamp x", "^a value cannot be read"),
    "neither true nor false": ("a: !!bool x", "^a value cannot be read"),
    "too many digits": ("a: " + "9" * 5000, "^a value cannot be read: Exceeds the limit"),
    "two documents": ("a: 1\n---\nb: 2", "^line 2: but found another document$"),
    "a list as key": ("{[1]: 2}", "^line 1: found unhashable key$"),
    "no such anchor": ("a: *b", "^line 1: found undefined alias 'b'$"),
    "control characters": ("a: \x00", "^not YAML text: "),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_a_line_and_at_once(name, tmp_path):
    text, says = BAD[name]
    began = time.perf_counter()
    with pytest.raises(ValueError, match=says) as caught:
        strict_yaml.load(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert time.perf_counter() - began < 20
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        configurations.load(path, resolve=False)
    assert str(caught.value) == f"{path}: {strict_message(text)}"
    with pytest.raises(ConfigurationError, match="is not a YAML value"):
        configurations.load("digits/vae", [f"model.x={text}"], resolve=False)


def strict_message(text):
    with pytest.raises(ValueError) as caught:
        strict_yaml.load(text)
    return str(caught.value)


GOOD = [
    "",
    "a: 1\nb: [1, 2.5, x, null, true]\nc: {d: 2001-01-01}",
    "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2",
    "a: {b: 1}\nc: {b: 1}",
    "1: a\n'1': b",
    "a: [" + ", ".join("x" * 5_000) + "]",
]


@pytest.mark.parametrize("text", GOOD)
def test_the_rest_is_read_as_pyyaml_does(text):
    assert strict_yaml.load(text) == yaml.safe_load(text)
