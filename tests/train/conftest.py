"""Small networks of the diverse streams."""

import pytest


@pytest.fixture
def options():
    from stages.train.diverse.neuralogram import MobileNet
    from stages.train.diverse.streams import Networks
    from stages.train.diverse.timbre import Timbre
    from stages.train.diverse.transformer import Transformer

    transformer = Transformer(
        layers=6, width=16, mlp=32, heads=3, head_width=5, dropout=0.3, pool_last=True, hidden=24,
        dense_activation="relu",
    )  # fmt: skip
    return Networks(transformer, Timbre(n_fft=2048, bands=128), filters=6, mobilenet=MobileNet(width=0.25, last=32))
