"""The stage materials: what it notices, and what stays where it cannot tell."""

import pytest
import soundfile

from earshift.pipeline import paths
from earshift.pipeline import perturbation_inputs as identity
from earshift.storage.files import read_json, write_json


def material_of(name):
    return read_json(paths.perturbation_inputs(name))["material"]


def test_perturbations_without_files_need_no_mention_and_strangers_are_removed(edited):
    write_json(paths.perturbation_inputs("gain"), {"material": "of an earlier selection"})
    edited({"run.perturbations": ["pitch", "ambient_noise"]})
    identity.main()
    assert {path.stem for path in paths.PERTURBATION_INPUTS.iterdir()} == {"pitch", "ambient_noise"}
    assert material_of("pitch") == material_of("ambient_noise") == ""


def test_recordings_by_content(edited, tmp_path, rng):
    own = tmp_path / "pub.wav"
    edited({"run.perturbations": ["ambient_noise"], "perturbations.ambient_noise.source": str(own)})
    found = []
    for length in (1000, 1001):
        soundfile.write(own, rng.normal(0, 0.1, length), 8000)
        identity.main()
        found.append(material_of("ambient_noise"))
    assert len(found[0]) == 64 and found[0] != found[1]


def test_a_colleague_without_the_file_goes_on_with_what_was_pulled(edited, capsys):
    edited({"run.perturbations": ["ambient_noise"], "perturbations.ambient_noise.source": "/theirs/pub.wav"})
    with pytest.raises(SystemExit, match="/theirs/pub.wav', which does not exist"):
        identity.main()
    write_json(paths.perturbation_inputs("ambient_noise"), {"material": "ab" * 32})
    identity.main()
    assert material_of("ambient_noise") == "ab" * 32
    assert "what ambient_noise reads is not here; going on with what was pulled of it" in capsys.readouterr().out
