"""A checkpoint of PyTorch."""

from pathlib import Path

from earshift.encoders.weights import torch_checkpoint

WORDS = (b"model", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"ccollections\nOrderedDict\n",
         b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nFloatStorage\n",
         b"X\1\0\0\0a", b"q\0", b"h\0", b"t", b"(", b")", b"}", b"u", b"Q", b"R", b"\x8a\1\5", b".", b"M\xff\xff",
         b"J\xff\xff\xff\x7f", b"K\1", b"\x86", b"\x87", b"2", b"0", b"\x80\2")  # fmt: skip


def prepared():
    import torch

    global _EXPECTED
    _EXPECTED = {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)}


def target(data):
    path = Path("weights.pth")
    path.write_bytes(data)
    state = torch_checkpoint.read_state_dict(path)
    for tensor in torch_checkpoint.check_tensors(state, _EXPECTED, path, network="a network").values():
        tensor.numpy().copy()
