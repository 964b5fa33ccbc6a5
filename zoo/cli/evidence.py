"""The commands that make evidence of runs: plot, report, reproduce."""

from __future__ import annotations
