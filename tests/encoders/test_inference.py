"""Batches fit into memory, whatever it takes, and an encoder that breaks its contract gets a message."""

import numpy as np
import pytest
import torch

from earshift.encoders.inference import Batches
from earshift.errors import UserError


class Encoder:
    sample_rate, dim = 100, 2


class Network:
    """Mean and deviation of a waveform, with memory for `room` clips."""

    def __init__(self, room, error=torch.OutOfMemoryError):
        self.room, self.error, self.sizes = room, error, []

    def __call__(self, waveforms):
        self.sizes.append(len(waveforms))
        if len(waveforms) > self.room:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        return np.stack([waveforms.mean(1), waveforms.std(1)], axis=1)


@pytest.fixture
def waveforms(rng):
    return rng.normal(size=(21, 50)).astype(np.float32)


def test_vectors_are_those_of_one_call(waveforms):
    network = Network(100)
    expected = network(waveforms)
    for limit in (None, 1, 4, 100):
        found = Batches(network, Encoder, limit)(waveforms)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_batches_are_halved_where_memory_runs_out_and_stay_so(waveforms, error):
    network = Network(6, error)
    batches = Batches(network, Encoder)
    np.testing.assert_allclose(batches(waveforms), Network(100)(waveforms), rtol=1e-6)
    assert network.sizes == [21, 10, 5, 5, 5, 5, 1] and batches.limit == 5
    batches(waveforms[:7])
    assert network.sizes[7:] == [5, 2]


def test_one_clip_that_does_not_fit_is_an_error(waveforms):
    with pytest.raises(UserError, match="memory does not suffice for .* one clip of 0.5 s; .*compute.device: cpu"):
        Batches(Network(0), Encoder)(waveforms)


def test_other_errors_are_not_taken_for_a_lack_of_memory(waveforms):
    def broken(_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches(broken, Encoder)(waveforms)


def test_another_shape_is_refused(waveforms):
    with pytest.raises(UserError, match=r"shape \(21, 3\) for 21 clips; with dim = 2 it must be \(21, 2\)"):
        Batches(lambda batch: np.zeros((len(batch), 3)), Encoder)(waveforms)
