"""What the stage inputs writes about perturbations: which changes it notices, and what it keeps without their files."""

import pytest
import soundfile

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.perturbation_inputs import write_perturbation_inputs
from earshift.storage.files import read_json, write_json


def hash_of(name):
    return read_json(paths.perturbation_inputs(name))["external_inputs"]


def test_perturbations_without_files_need_no_mention_and_strangers_are_removed(edited):
    write_json(paths.perturbation_inputs("gain"), {"external_inputs": "of an earlier selection"})
    write_perturbation_inputs(edited({"run.perturbations": ["pitch", "ambient_noise"]}))
    assert {path.stem for path in paths.PERTURBATION_INPUTS.iterdir()} == {"pitch", "ambient_noise"}
    assert hash_of("pitch") == hash_of("ambient_noise") == ""


def test_recordings_by_content(edited, tmp_path, rng):
    own = tmp_path / "pub.wav"
    params = edited({"run.perturbations": ["ambient_noise"], "perturbations.ambient_noise.recordings": str(own)})
    found = []
    for length in (1000, 1001):
        soundfile.write(own, rng.normal(0, 0.1, length), 8000)
        write_perturbation_inputs(params)
        found.append(hash_of("ambient_noise"))
    assert len(found[0]) == 64 and found[0] != found[1]


def test_a_colleague_without_the_file_goes_on_with_what_was_pulled(edited, capsys):
    theirs = {"perturbations.ambient_noise.recordings": "/theirs/pub.wav"}
    params = edited({"run.perturbations": ["ambient_noise"], **theirs})
    with pytest.raises(UserError, match="/theirs/pub.wav', which does not exist"):
        write_perturbation_inputs(params)
    write_json(paths.perturbation_inputs("ambient_noise"), {"external_inputs": "ab" * 32})
    write_perturbation_inputs(params)
    assert hash_of("ambient_noise") == "ab" * 32
    said = capsys.readouterr().out
    assert "the files that ambient_noise reads are not here; the hash that was pulled is used" in said


def test_code_and_packages_by_perturbation_and_equal_ones_leave_the_file_alone(edited, monkeypatch):
    params = edited({"run.perturbations": ["gain", "pink_noise"]})
    write_perturbation_inputs(params)
    before = {name: paths.perturbation_inputs(name).stat().st_ino for name in ("gain", "pink_noise")}
    write_perturbation_inputs(params)
    assert {name: paths.perturbation_inputs(name).stat().st_ino for name in ("gain", "pink_noise")} == before
    gain, noise = (read_json(paths.perturbation_inputs(name)) for name in ("gain", "pink_noise"))
    assert gain["code"] != noise["code"] and "pedalboard" in gain["packages"]
    monkeypatch.setattr("earshift.pipeline.perturbation_inputs.code_sha256", lambda module: f"another {module}")
    write_perturbation_inputs(params)
    code = f"another {type(params.perturbations['gain']).__module__}"
    assert read_json(paths.perturbation_inputs("gain")) == {**gain, "code": code}
