"""Benchmarks against named peers; ``python benchmarks/run.py`` runs them all."""
