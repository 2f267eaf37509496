"""Composition: command line, settings, the embedded demo."""

__version__ = "0.1.0"
