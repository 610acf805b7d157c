"""What tests of sealed files share."""

import pytest


@pytest.fixture
def damaged():
    """A generator: the same file with a byte changed, every so many bytes, and cut short; whole again at the end."""

    def damage(path, step):
        whole = path.read_bytes()
        for place in range(0, len(whole), step):
            content = bytearray(whole)
            content[place] ^= 1 + place % 255
            path.write_bytes(content)
            yield f"byte {place} of {len(whole)}"
            path.write_bytes(whole[:place])
            yield f"cut to {place} of {len(whole)}"
        path.write_bytes(whole)

    return damage
