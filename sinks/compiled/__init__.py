"""Compiled code: the doors to numba, bare access to memory, and the canonical form of rows."""
