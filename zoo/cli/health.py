"""The command that judges a run, a model or a configuration: doctor."""

from __future__ import annotations
