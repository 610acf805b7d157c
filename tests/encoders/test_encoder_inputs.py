"""What of the encoders DVC does not watch: what is noticed, and what stays where one cannot tell."""

import pytest

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.encoder_inputs import write_encoder_inputs
from earshift.storage.files import read_json, write_json


def weights_of(name):
    return read_json(paths.encoder_inputs(name))["weights"]


def test_official_weights_need_no_mention_and_strangers_are_removed(edited):
    write_json(paths.encoder_inputs("openl3"), {"weights": "of an earlier selection"})
    write_encoder_inputs(edited({"run.encoders": ["mfcc", "yamnet"]}))
    assert {path.stem for path in paths.ENCODER_INPUTS.iterdir()} == {"mfcc", "yamnet"}
    assert weights_of("mfcc") is None and weights_of("yamnet") is None


def test_weights_of_ones_own_by_content(edited, tmp_path):
    own = tmp_path / "tuned.pth"
    own.write_bytes(b"one")
    params = edited({"run.encoders": ["panns"], "encoders.panns.weights": {"path": str(own)}})
    write_encoder_inputs(params)
    first = weights_of("panns")
    own.write_bytes(b"another")
    write_encoder_inputs(params)
    assert len(first) == 64 and weights_of("panns") not in (first, None)


def test_a_colleague_without_the_file_goes_on_with_what_was_pulled(edited, tmp_path, capsys):
    params = edited({"run.encoders": ["panns"], "encoders.panns.weights": {"path": str(tmp_path / "theirs.pth")}})
    with pytest.raises(UserError, match="theirs.pth.*, which is no file"):
        write_encoder_inputs(params)
    write_json(paths.encoder_inputs("panns"), {"weights": "ab" * 32})
    write_encoder_inputs(params)
    assert weights_of("panns") == "ab" * 32
    assert "the weights of panns are not here; going on with what was pulled of them" in capsys.readouterr().out
