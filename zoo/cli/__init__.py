"""The command line: a thin skin over run, evaluation, export and report.

Nothing heavy is imported before a command's arguments have proven good, so help and mistakes answer at once.
"""

from zoo.cli.app import fail, load_tensorflow, main, say

__all__ = ["fail", "load_tensorflow", "main", "say"]
