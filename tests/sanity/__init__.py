"""Runs ansible-test's sanity tests on a copy of the checkout under ``build/``: ``python -m sanity``."""
