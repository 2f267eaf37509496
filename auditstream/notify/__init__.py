"""Notifications about chosen events: rules, when and by which way they are told, and what became of each."""
