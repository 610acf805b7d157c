"""Measurements against the peers: each prints seconds and the ratio, both measured in the same run."""
