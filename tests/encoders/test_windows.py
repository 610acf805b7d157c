"""Windows of long clips: where they start, and that vectors are their means."""

import numpy as np
import pytest

from earshift.encoders.windows import mean_over_windows, starts


@pytest.mark.parametrize(
    ("samples", "length", "expected"),
    [(7, 7, [0]), (8, 7, [0, 1]), (14, 7, [0, 7]), (15, 7, [0, 7, 8]), (25, 10, [0, 10, 15])],
)
def test_the_last_window_ends_where_the_clip_ends(samples, length, expected):
    assert starts(samples, length) == expected


def test_vectors_are_averaged_over_the_windows_of_their_own_clip():
    waveforms = np.arange(50, dtype=np.float32).reshape(2, 25)

    def network(windows):
        assert windows.shape == (6, 10) and windows.flags.writeable
        return np.stack([windows[:, 0], windows[:, -1]], axis=1)

    firsts, lasts = np.mean([0, 10, 15]), np.mean([9, 19, 24])
    expected = [[firsts, lasts], [25 + firsts, 25 + lasts]]
    found = mean_over_windows(network, waveforms, 10)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
