"""A mirror of stand-ins: files of the official names and layouts, with random weights and synthetic audio.

``python -m benchmarks.mirror FOLDER`` writes one. With EARSHIFT_MIRROR=FOLDER and EARSHIFT_UNPINNED=1 you can rehearse
all steps of deng2025, and measure their time, without the official files (docs/reproducing-deng2025.md).
"""


def write_weights_file(encoder, path, seed=0):
    """Write a file in the layout of an encoder's official one, with random weights.

    Parameters
    ----------
    encoder : earshift.encoders.base.Encoder, openl3, panns or clap
    path : path-like
    seed : int
    """
    from benchmarks.mirror import checkpoints, openl3

    if encoder.name == "openl3":
        openl3.write(path, seed, representation=encoder.representation)
    else:
        {"panns": checkpoints.write_panns, "clap": checkpoints.write_clap}[encoder.name](path, seed)
