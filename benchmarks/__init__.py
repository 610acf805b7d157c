"""Measurements, most against a peer in the same run. ``python -m benchmarks`` runs them and keeps their results."""
