"""A mirror of stand-ins: files of the official names and layouts, with random weights and sound of our own.

``python -m benchmarks.mirror FOLDER`` writes one. With EARSHIFT_MIRROR=FOLDER and EARSHIFT_UNPINNED=1 the whole path of
the first study can be rehearsed, and its time measured, without the official files (docs/reproducing-paper-1.md).
"""
