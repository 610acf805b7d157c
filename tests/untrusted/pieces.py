"""Several files in one input, and structured mutations of formats that more than one target reads."""

import copy
import io
import json

SEPARATOR = b"\n--next file--\n"
STRANGE = (None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 2**31, 2**63, 10**400, "", " ", "x", "nan",
           "\x1b[2J", "a\nb", "../../x", "/etc/passwd", "\0", "é" * 300, [], {}, [[]], [None], {"x": 1}, [1, 1],
           ["a", "a"], "<script>alert(1)</script>")  # fmt: skip


def pieces(data, count):
    """The first `count` files of an input; those that are missing are empty."""
    found = data.split(SEPARATOR, count - 1)
    return found + [b""] * (count - len(found))


def json_mutated(data, random):
    """JSON with one to four values or keys of it replaced, removed or added; as it is where it is no JSON."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(random.choice((1, 1, 2, 4))):
        _change(content, random)
    return json.dumps(content).encode()


def _change(content, random):
    places = list(_places(content))
    if not places:
        return
    inside, key = random.choice(places)
    what = random.randrange(6)
    if what == 0:
        del inside[key]
    elif what == 1 and isinstance(inside, dict):
        inside[random.choice(("x", "", "class", "grid", str(key) + "s"))] = inside.pop(key)
    elif what == 2 and len(places) > 1:
        other, at = random.choice(places)
        inside[key] = json.loads(json.dumps(other[at]))
    elif what == 3 and isinstance(inside, list):
        inside.append(inside[key])
    else:
        inside[key] = copy.deepcopy(random.choice(STRANGE))  # which the next change may go into


def _places(content):
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)


def sealed(data):
    """Packed audio or embeddings with the right hash in front: whoever means harm computes it, a mutator does not."""
    from earshift.storage.hdf5 import _SEAL, _seal

    return _seal(io.BytesIO(data)) + data[_SEAL:]


def hdf5_mutated(data, random):
    """An HDF5 file with one to three of its objects replaced, removed, renamed or linked; as it is where it is none."""
    import h5py

    file = io.BytesIO(data)
    try:
        with h5py.File(file, "r+") as opened:
            for _ in range(random.randrange(1, 4)):
                _change_hdf5(opened, random)
    except Exception:  # of what cannot be changed so, as h5py puts it
        return data
    return file.getvalue()


def _change_hdf5(file, random):
    import h5py
    import numpy as np

    names = []
    file.visit(names.append)
    name = random.choice(names or ["x"])
    what = random.randrange(8)
    attributes = (file[random.choice(names)] if names and random.random() < 0.5 else file).attrs
    if what == 0:
        del file[name]
    elif what == 1:
        file.move(name, random.choice(("x", "samples", "start", "clip", "valid", "features", "model_weights")))
    elif what == 2:
        random_attribute = random.choice([*attributes, "fingerprint"])
        attributes[random_attribute] = random.choice(
            ("x", b"\xff", 3, np.nan, [1, 2], np.array([b"a", b"\xff"]), h5py.Empty("f"))
        )
    elif what == 3:
        del attributes[random.choice([*attributes])]
    elif name in file:
        del file[name]
        if what == 4:
            links = (
                h5py.SoftLink("/x"),
                h5py.SoftLink(f"/{name}"),
                h5py.SoftLink("/"),
                h5py.ExternalLink("o.h5", "/x"),
            )
            file[name] = random.choice(links)
        elif what == 5:
            shape = tuple(random.choice((0, 1, 2, 3, 7, 1 << 20, 1 << 34, 1 << 40)) for _ in range(random.randrange(4)))
            file.create_dataset(
                name, shape=shape, dtype=random.choice(("f4", "i8", "u8", "S3")), chunks=True if shape else None
            )
        elif what == 6:
            file.create_group(name)
        else:
            file[name] = random.choice((
                3, np.float32([[1, np.nan], [3, 4]]), np.array([0, 5, 3, -2, 1 << 40]), np.array([-1, 0, 2]),
                np.array(["a", "b"], dtype=h5py.string_dtype()), np.array([b"\xff\xfe", b"b"]),
                np.zeros(3, dtype=[("a", "f4"), ("b", "i2")]), h5py.Empty("f4"), np.zeros((2, 3, 4), bool),
                np.array([1 + 2j]), "text", np.array([1 << 62, 1 << 63], dtype="u8"),
            ))  # fmt: skip
