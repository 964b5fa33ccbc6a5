"""YAML as configurations are written in it: no key twice in a mapping, and no more values than a person would write.

PyYAML builds an alias once, but whoever walks over the values meets it every time: nine lines can stand for a billion
values. So the values are counted as they would be met, before any is built.
"""

from __future__ import annotations

from typing import Any

import yaml

# The shipped configurations have at most a few hundred values, four deep.
MOST_VALUES = 10_000
DEEPEST = 40


def load(text: str) -> Any:
    """The value of a YAML text: numbers, words, dates, lists and mappings.

    Raises:
        ValueError: no such text; in one line, with the number of the line where it is known.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {}, ())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise ValueError(_at(error.problem_mark, str(error.problem), text)) from None
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML text: {str(error).splitlines()[0]}") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # A date that there is not, a number of more digits than Python reads, or what does not fit its `!!tag`.
        raise ValueError(f"a value cannot be read: {str(error).splitlines()[0][:100]}") from None
    finally:
        if loader:
            loader.dispose()


class _Loader(yaml.composer.Composer, yaml.CSafeLoader):
    """Composes so many values, and so deep, that neither time nor recursion runs out.

    libyaml finds the events, in a fifth of the time that PyYAML's own parser takes; PyYAML composes them, where they
    are counted.
    """

    depth = composed = 0

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        yaml.composer.Composer.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.composed += 1
        if self.depth > DEEPEST or self.composed > MOST_VALUES:
            problem = _TOO_DEEP if self.depth > DEEPEST else _TOO_MANY
            event: Any = self.peek_event()
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_TOO_DEEP = f"lists and mappings lie in each other more than {DEEPEST} deep"
_TOO_MANY = f"there are more than {MOST_VALUES:,} values"


def _measure(node: yaml.Node, known: dict[yaml.Node, tuple[int, int]], above: tuple[yaml.Node, ...]) -> tuple[int, int]:
    """How many values a node stands for, each alias counted, and how deep they lie in each other.

    Raises:
        MarkedYAMLError: too many or too deep, a value that holds itself, or a key that is there twice.
    """
    if node in above:
        raise yaml.MarkedYAMLError(problem="an alias stands for a value that holds it", problem_mark=node.start_mark)
    if node in known:
        return known[node]
    parts: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        _check_keys([key for key, _ in node.value])
        parts = [part for pair in node.value for part in pair]
    count, depth = 1, 0
    for part in parts:
        more, below = _measure(part, known, (*above, node))
        count, depth = count + more, max(depth, below + 1)
        if count > MOST_VALUES or depth > DEEPEST:
            problem = _TOO_DEEP if depth > DEEPEST else _TOO_MANY
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    known[node] = count, depth
    return count, depth


def _check_keys(keys: list[yaml.Node]) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                problem = f"the key {key.value!r} stands there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add((key.tag, key.value))


def _at(mark: yaml.Mark | None, problem: str, text: str) -> str:
    # libyaml places an end that comes too early behind the last line.
    return f"line {min(mark.line + 1, text.rstrip().count(chr(10)) + 1)}: {problem}" if mark else problem
