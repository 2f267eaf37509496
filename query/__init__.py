"""Thin reads of the stored log."""
