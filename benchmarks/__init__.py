"""Measurements, most against the peers, both sides in the same run. ``python -m benchmarks`` keeps what they found."""
