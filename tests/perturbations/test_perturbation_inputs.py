"""The stage perturbation_inputs: which changes it notices, and what it keeps where files are missing."""

import pytest
import soundfile

from earshift.pipeline import paths
from earshift.storage.files import read_json, write_json
from stages.perturbation_inputs import main


def hash_of(name):
    return read_json(paths.perturbation_inputs(name))["external_inputs"]


def test_perturbations_without_files_need_no_mention_and_strangers_are_removed(edited):
    write_json(paths.perturbation_inputs("gain"), {"external_inputs": "of an earlier selection"})
    edited({"run.perturbations": ["pitch", "ambient_noise"]})
    main()
    assert {path.stem for path in paths.PERTURBATION_INPUTS.iterdir()} == {"pitch", "ambient_noise"}
    assert hash_of("pitch") == hash_of("ambient_noise") == ""


def test_recordings_by_content(edited, tmp_path, rng):
    own = tmp_path / "pub.wav"
    edited({"run.perturbations": ["ambient_noise"], "perturbations.ambient_noise.recordings": str(own)})
    found = []
    for length in (1000, 1001):
        soundfile.write(own, rng.normal(0, 0.1, length), 8000)
        main()
        found.append(hash_of("ambient_noise"))
    assert len(found[0]) == 64 and found[0] != found[1]


@pytest.mark.parametrize("key", ["external_inputs", "key of an earlier version"])
def test_a_colleague_without_the_file_goes_on_with_what_was_pulled(edited, capsys, key):
    edited({"run.perturbations": ["ambient_noise"], "perturbations.ambient_noise.recordings": "/theirs/pub.wav"})
    with pytest.raises(SystemExit, match="/theirs/pub.wav', which does not exist"):
        main()
    write_json(paths.perturbation_inputs("ambient_noise"), {key: "ab" * 32})
    main()
    assert hash_of("ambient_noise") == "ab" * 32
    said = capsys.readouterr().out
    assert "the files that ambient_noise reads are not here; the hash that was pulled is used" in said
