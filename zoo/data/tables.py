"""The user's own tables: .csv files of numbers, with or without a header and a column of labels."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.data.examples import Examples
from zoo.data.values import as_features

_DELIMITERS = ",;\t"
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


class Table:
    """A .csv file as one split, `all`: an example a row, in the order of the file.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of. The first line is a header
    if none of its cells is a number, or if it counts the columns from 0, as pandas writes a header without names.

    Args:
        path: Of the file, in UTF-8.
        label_column: The header of the column that holds the labels: whole numbers, or names of classes, which are
            numbered in their sorted order.
        labelled: Whether it must be there.
        expected: The names of the features' columns that it must have, in this order; empty for any. A table without a
            header cannot be held to them.

    Attributes:
        splits: `["all"]`.
        columns: The names of the features' columns; "column 1", "column 2" without a header.
        named: Whether a header names them.

    Raises:
        ValueError: If the file is not there, is no table, has no such column, or a cell is missing or no number.
    """

    splits = ("all",)

    def __init__(
        self,
        path: Path,
        label_column: str | None = None,
        *,
        labelled: bool = True,
        expected: Sequence[str] = (),
    ) -> None:
        self._path = path
        header, rows, lines = self._split_header(*self._cells())
        if not labelled and label_column not in (header or []):
            label_column = None
        names = header or [f"column {number + 1}" for number in range(len(rows[0]))]
        labels, class_names = None, list[str]()
        if label_column is not None:
            at = self._find(label_column, header)
            labels, class_names = self._classes([row.pop(at) for row in rows], label_column, lines)
            names = [name for index, name in enumerate(names) if index != at]
        self.columns = names
        self.named = header is not None
        if expected and self.named:
            self._check_columns(expected)
        values = self._numbers(rows, lines)
        columns = tuple(names) if self.named else ()
        self._examples = Examples(
            as_features(values, str(path)), labels, class_names=tuple(class_names), columns=columns
        )

    def read(self, split: str) -> Examples:
        """Returns the whole table, whatever the split: features [n, columns], float32, and labels [n] or `None`."""
        return self._examples

    def _cells(self) -> tuple[list[list[str]], list[int]]:
        """All rows that are not empty, as text, and the line on which each ends."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                reader = csv.reader(file, delimiter=max(_DELIMITERS, key=first.count), skipinitialspace=True)
                found = [([cell.strip() for cell in row], reader.line_num) for row in reader]
        except FileNotFoundError:
            raise ValueError(f"{self._path} does not exist") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{self._path} cannot be read as a table: {error}") from None
        found = [(row, line) for row, line in found if row not in ([], [""])]
        for row, line in found:
            if len(row) != len(found[0][0]):
                raise ValueError(
                    f"{self._path}: line {line} has {len(row)} cells, and line {found[0][1]} has {len(found[0][0])}"
                )
        return [row for row, _ in found], [line for _, line in found]

    def _split_header(
        self, rows: list[list[str]], lines: list[int]
    ) -> tuple[list[str] | None, list[list[str]], list[int]]:
        header = None
        if rows:
            counted = len(rows[0]) > 1 and rows[0] == [str(number) for number in range(len(rows[0]))]
            if not counted:
                self._warn_of_a_scale(rows[0])
            if counted or not any(_is_number(cell) for cell in rows[0]):
                header, rows, lines = rows[0], rows[1:], lines[1:]
        if not rows:
            raise ValueError(f"{self._path}: no rows{' below the header' if header else ''}")
        return header, rows, lines

    def _warn_of_a_scale(self, first: list[str]) -> None:
        """Warns of a first line that may be a header of numbers, such as wavelengths."""
        if len(first) < 4 or not all(map(_is_number, first)):
            return
        steps = np.diff([float(cell) for cell in first])
        if (steps > 0).all() and np.allclose(steps, steps[0]):
            warnings.warn(
                f"{self._path}: the first line, {first[0]}, {first[1]}, …, is taken as an example; if it is a header, "
                "give its columns names that are no numbers",
                stacklevel=2,
            )

    def _find(self, label_column: str, header: list[str] | None) -> int:
        if header is None:
            raise ValueError(f"{self._path}: has no header, so no label_column {label_column!r}")
        if header.count(label_column) != 1:
            found = "has no" if label_column not in header else "has more than one"
            raise ValueError(f"{self._path}: {found} column {label_column!r}; it has {', '.join(header)}")
        if len(header) == 1:
            raise ValueError(f"{self._path}: has no column beside {label_column!r}")
        return header.index(label_column)

    def _check_columns(self, expected: Sequence[str]) -> None:
        """Raises ValueError for columns that are missing, too many, or in another order than expected."""
        missing = [name for name in expected if name not in self.columns]
        unknown = [name for name in self.columns if name not in expected]
        if missing or unknown:
            wrong = [
                f"{word} {_listed(few, 5)}" for word, few in (("lacks", missing), ("has beside them", unknown)) if few
            ]
            raise ValueError(f"{self._path}: {' and '.join(wrong)}; the columns must be {_listed(expected, 20)}")
        if self.columns != list(expected):
            swapped = [pair for pair in zip(self.columns, expected, strict=False) if pair[0] != pair[1]]
            order = f"{swapped[0][0]!r} stands where {swapped[0][1]!r} is expected" if swapped else "one is repeated"
            raise ValueError(
                f"{self._path}: the columns are in another order: {order}; bring them into this one:"
                f" {_listed(expected, 20)}"
            )

    def _classes(self, cells: list[str], name: str, lines: list[int]) -> tuple[np.ndarray, list[str]]:
        absent = [line for cell, line in zip(cells, lines, strict=True) if cell.lower() in _MISSING]
        if absent:
            raise ValueError(
                f"{self._path}: {len(absent)} labels are missing in {name!r}, the first on line {absent[0]}"
            )
        if not all(_is_number(cell) for cell in cells):
            class_names, numbers = np.unique(cells, return_inverse=True)
            return numbers.astype(np.int64), [str(each) for each in class_names]
        for cell, line in zip(cells, lines, strict=True):
            if not float(cell).is_integer():
                raise ValueError(f"{self._path}: line {line}: {name!r}: a label must be a whole number, got {cell!r}")
        return np.array([int(float(cell)) for cell in cells], np.int64), []

    def _numbers(self, rows: list[list[str]], lines: list[int]) -> np.ndarray:
        try:
            values = np.array(rows).astype(np.float64)
        except ValueError:
            values = None
        odd = any("_" in cell for row in rows for cell in row)
        if values is not None and not np.isnan(values).any() and not odd:
            self._look_for_an_index(values)
            return values
        # Something is wrong. Missing cells first: a table has often many of them.
        absent: Counter[str] = Counter()
        first = strange = None
        for row, line in zip(rows, lines, strict=True):
            for cell, name in zip(row, self.columns, strict=True):
                if cell.lower() in _MISSING:
                    absent[name] += 1
                    first = first or line
                elif not _is_number(cell):
                    strange = strange or f"{self._path}: line {line}, {name!r}: {cell!r} is not a number"
        if absent:
            counts = ", ".join(f"{count} in {name!r}" for name, count in absent.most_common(5))
            more = f" and {len(absent) - 5} more columns" if len(absent) > 5 else ""
            raise ValueError(
                f"{self._path}: {absent.total()} cells are missing, {counts}{more}, the first on line {first};"
                " fill them, or leave their rows or columns out"
            )
        raise ValueError(strange)

    def _look_for_an_index(self, values: np.ndarray) -> None:
        """Raises ValueError for a column without a name that counts the rows, as pandas writes its index."""
        for name, column in zip(self.columns, values.T, strict=True):
            if name == "" and len(column) > 1 and (np.diff(column) == 1).all():
                raise ValueError(
                    f"{self._path}: a column without a name counts the rows: pandas's index? write the file with "
                    "index=False, or give the column a name"
                )


def _listed(names: Sequence[str], count: int) -> str:
    return ", ".join([*map(repr, names[:count]), *(["…"] if len(names) > count else [])])


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, or NaN, which counts as a missing one."""
    try:
        float(cell)
    except ValueError:
        return False
    # Python reads 1_0 as 10.
    return "_" not in cell
