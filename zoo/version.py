"""The version of the zoo."""

__version__ = "0.1.0"
