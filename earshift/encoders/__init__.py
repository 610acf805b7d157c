"""Encoders: waveform in, one vector per clip out.

From a notebook, without params.yaml::

    from earshift import encoders

    encoder = encoders.load("musicnn")
    vectors = encoders.encode_files(encoder, ["a.wav", "b.wav"])   # float32 [shape=(2, 753)]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earshift.encoders.loading import LoadedEncoder, encode, encode_files, load

__all__ = ["LoadedEncoder", "encode", "encode_files", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from earshift.encoders import loading

    return getattr(loading, name)
