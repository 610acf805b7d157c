"""Encoders trained here: data, networks, the loop, and how well the tasks are done."""
