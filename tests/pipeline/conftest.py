"""What tests of the whole pipeline work on."""

import pytest
from clones import small_run


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A clone whose pipeline has been run and committed."""
    return small_run(tmp_path_factory)


@pytest.fixture
def changed(first):
    """The same, to be changed: what was changed is taken back."""
    yield first
    first.back()
