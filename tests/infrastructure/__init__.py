"""Real servers and processes for the tests: found, started, controlled and stopped.

Tests import it as ``infrastructure`` (``pythonpath`` in pyproject.toml); most use it through the fixtures of
``tests/conftest.py``.
"""
