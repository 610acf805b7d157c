"""Other inputs from known ones: bytes, numbers and pieces changed, as damage, accident and malice change them."""

import struct

LARGEST = 1 << 16  # bytes of an input
_NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 2,
            2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
_FORMS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def mutated(data, random, pool=(), words=()):
    """`data` with one to eight changes.

    Parameters
    ----------
    data : bytes
    random : random.Random
    pool : sequence of bytes, other inputs to take pieces from
    words : sequence of bytes, pieces that the format is made of

    Returns
    -------
    bytes
    """
    out = bytearray(data)
    for _ in range(1 << random.randrange(4)):
        random.choice(_CHANGES)(out, random, pool, words)
    return bytes(out[:LARGEST])


def _flipped(out, random, pool, words):
    if out:
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)


def _other_byte(out, random, pool, words):
    if out:
        out[random.randrange(len(out))] = random.randrange(256)


def _number(out, random, pool, words):
    form = random.choice(_FORMS)
    size = struct.calcsize(form)
    if len(out) >= size:
        at = random.randrange(len(out) - size + 1)
        if random.random() < 0.5:
            number = random.choice(_NUMBERS)
        else:
            number = struct.unpack_from(form, out, at)[0] + random.randrange(-16, 17)
        struct.pack_into(form, out, at, number % (1 << 8 * size))


def _without(out, random, pool, words):
    start, stop = _stretch(out, random)
    del out[start:stop]


def _again(out, random, pool, words):
    start, stop = _stretch(out, random)
    at = random.randrange(len(out) + 1)
    out[at:at] = out[start:stop] * random.choice((1, 1, 1, 2, 16, 200))
    del out[LARGEST:]


def _cut(out, random, pool, words):
    del out[random.randrange(len(out) + 1) :]


def _word(out, random, pool, words):
    word = random.choice(words) if words else bytes(random.randrange(256) for _ in range(random.randrange(1, 5)))
    at = random.randrange(len(out) + 1)
    out[at : at + (len(word) if random.random() < 0.5 else 0)] = word


def _piece_of_another(out, random, pool, words):
    if pool:
        other = random.choice(pool)
        start, stop = _stretch(other, random)
        at = random.randrange(len(out) + 1)
        out[at : at + (stop - start if random.random() < 0.5 else 0)] = other[start:stop]


def _digits(out, random, pool, words):
    """Another number where there are digits, as text formats have them."""
    places = [at for at, byte in enumerate(out) if 48 <= byte <= 57]
    if places:
        start = stop = random.choice(places)
        while stop < len(out) and 48 <= out[stop] <= 57:
            stop += 1
        out[start:stop] = random.choice((b"0", b"-1", b"1e999", b"nan", b"-0.0", b"9" * 25, b"9" * 5000, b"1.5", b"x"))


def _stretch(data, random):
    start = random.randrange(len(data) + 1)
    longest = len(data) - start
    return start, start + random.randrange(min(longest, random.choice((4, 32, 1024))) + 1)


_CHANGES = (_flipped, _other_byte, _number, _number, _without, _again, _cut, _word, _word, _piece_of_another, _digits)
