# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: read without being run, converted without loss, refused with a reason and without a trace."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body.kinds import NETWORK_FILE  # noqa: E402
from dice_core.errors import DiceError  # noqa: E402
from dice_core.network import checkpoint as module  # noqa: E402
from dice_core.network.checkpoint import SUMMARY, convert, load, read, read_official  # noqa: E402
from dice_core.network.model import DiceNetwork, Prediction  # noqa: E402

pytestmark = pytest.mark.torch


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def network_of(checkpoint) -> DiceNetwork:
    return DiceNetwork.from_state_dict(checkpoint.tensors, checkpoint.heads, checkpoint.layer_norm_eps)


class TestRelease:
    """The two recorded files in the release's format: own layer norms from a CPU, apex ones from a GPU."""

    def test_tensors_are_the_recorded_ones(self, official, goldens):
        name, path = official
        manifest = json.loads((goldens / f"manifest_{name}.json").read_text())["state_dict"]
        tensors = read_official(path).tensors
        assert list(tensors) == list(manifest)
        assert [
            name for name, entry in manifest.items() if zlib.crc32(tensors[name].numpy().tobytes()) != entry["crc32"]
        ] == []

    def test_settings(self, official):
        name, path = official
        checkpoint = read_official(path)
        trans = {f"trans_encoder.{index}": 4 for index in range(3)}
        deform = {"deform_encoder.0": 4, "deform_encoder.1": 4} if name == "tiny" else {"deform_encoder.0": 2}
        assert checkpoint.heads == trans | deform
        assert checkpoint.layer_norm_eps == dict.fromkeys(trans | deform, 1e-12)
        assert checkpoint.notes == ()

    def test_outputs(self, official, golden):
        """In float64 the distance to the float32 recording is the recording's own noise, digit for digit."""
        name, path = official
        inputs, recorded = golden(name)
        noise = json.loads(str(recorded["noise_floor"]))
        network = network_of(read_official(path))
        # Other orders of summation differ more where weights magnify rounding, as these do: 3.1e-5 on one processor.
        for stage, near in ((network, 3e-5), (load(path).optimize(), 6e-5)):
            prediction = stage(*inputs)
            assert np.abs(stage(*inputs, gate=False).deform.numpy() - recorded["train_ones_deform"]).max() < near
            for field, value in prediction._asdict().items():
                bound = max(near, 3 * noise[field])
                assert np.abs(value.numpy() - recorded[f"eval_{field}"]).max() < bound, field
        exact = network.double()(*(value.double() for value in inputs))
        for field, value in exact._asdict().items():
            distance = np.abs(value.numpy() - recorded[f"eval_{field}"]).max()
            assert abs(distance - noise[field]) < 1e-9, field

    def test_activations(self, official, golden):
        name, path = official
        inputs, recorded = golden(name)
        network = network_of(read_official(path))
        seen = {}
        places = {
            "backbone": network.backbone,
            "presence_feat": network.presence.features,
            "deform_raw": network.encoder.deform_encoder,
        }
        places |= {f"trans{index}": block for index, block in enumerate(network.encoder.trans_encoder)}
        for key, place in places.items():
            place.register_forward_hook(lambda _, __, out, key=key: seen.update({key: out}))
        network.encoder.trans_encoder.register_forward_pre_hook(lambda _, args: seen.update(tokens=args[0][..., 3:]))
        network(*inputs)
        assert {f"act_{key}" for key in seen} | {"act_subsampling"} == {
            key for key in recorded if key.startswith("act_")
        }
        for key, value in seen.items():
            step = {"tokens": 16, "backbone": 8}.get(key, 1)
            assert np.abs(value[:, ::step].numpy() - recorded[f"act_{key}"]).max() < 1e-4, key

    def test_converted(self, official, golden, tmp_path):
        name, path = official
        used = convert(path, tmp_path / "models").tensors
        tensors = read_official(path).tensors
        assert same(read(tmp_path / "models" / NETWORK_FILE).tensors, {name: tensors[name] for name in used})
        assert not any("embeddings.word" in key or "pooler" in key or "tracked" in key for key in used)
        inputs, recorded = golden(name)
        assert np.abs(load(tmp_path / "models")(*inputs).head_verts.numpy() - recorded["eval_head_verts"]).max() < 3e-5

    @pytest.mark.parametrize(
        ("name", "asked"), [("evil_model.bin", "posix.system"), ("evil_nested.bin", "__builtin__.eval")]
    )
    def test_evil_files(self, name, asked, goldens, tmp_path):
        marker = Path("/tmp/pwned-marker")  # written into the files
        assert not marker.exists(), "remove it first"
        for attempt in (read, read_official, load, lambda path: convert(path, tmp_path / "models")):
            with pytest.raises(DiceError, match=asked):
                attempt(goldens / name)
        assert not marker.exists()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("apex", [False, True])
def test_a_whole_module_that_torch_saved(apex, made_up, made_up_official):
    """Independent of the recordings: real classes under the release's names, saved by torch itself."""
    checkpoint = read_official(made_up_official(heads=4, eps=1e-7, apex=apex))
    assert same(checkpoint.tensors, made_up())
    assert set(checkpoint.heads.values()) == {4} and set(checkpoint.layer_norm_eps.values()) == {1e-7}
    assert set(checkpoint.heads) == {"trans_encoder.0", "trans_encoder.1", "deform_encoder.0", "deform_encoder.1"}


def test_a_plain_state_dict(made_up, small_inputs, tmp_path):
    state = made_up()
    torch.save(state, tmp_path / "state_dict.bin")
    checkpoint = read(tmp_path / "state_dict.bin")
    assert same(checkpoint.tensors, state) and checkpoint.heads == 4 and checkpoint.layer_norm_eps == 1e-12
    assert len(checkpoint.notes) == 1 and "heads" in checkpoint.notes[0]
    expected = DiceNetwork.from_state_dict(state)(*small_inputs)
    assert all(
        torch.equal(*pair) for pair in zip(load(tmp_path / "state_dict.bin")(*small_inputs), expected, strict=True)
    )


def test_a_state_dict_with_versions(tmp_path):
    """`module.state_dict()` is an OrderedDict with notes on versions."""
    norm = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    torch.save(norm.state_dict(), tmp_path / "a.bin")
    assert same(read(tmp_path / "a.bin").tensors, dict(norm.state_dict()))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_pickle_protocol(protocol, made_up, tmp_path):
    torch.save(made_up(), tmp_path / "a.bin", pickle_protocol=protocol)
    assert same(read(tmp_path / "a.bin").tensors, made_up())


def test_convert_writes_what_is_used(made_up, made_up_official, small_inputs, tmp_path):
    path, folder = made_up_official(heads=2, eps=1e-9), tmp_path / "a" / "models"
    written = convert(path, folder)
    assert sorted(file.name for file in folder.iterdir()) == [SUMMARY, NETWORK_FILE]
    state = made_up()
    assert written.tensors.keys() < state.keys()
    again = read(folder / NETWORK_FILE)
    assert same(again.tensors, {name: state[name] for name in written.tensors})
    assert set(again.heads.values()) == {2} and set(again.layer_norm_eps.values()) == {1e-9}
    summary = json.loads((folder / SUMMARY).read_text())
    assert (
        summary["heads"] == again.heads
        and summary["tensors"] == len(again.tensors)
        and summary["made_from"] == "model.bin"
    )
    inputs = [value.double() for value in small_inputs]
    expected = DiceNetwork.from_state_dict(state, 2, 1e-9).double()(*inputs)
    for source in (folder, folder / NETWORK_FILE, path):
        prediction = load(source).double()(*inputs)
        assert all(torch.allclose(*pair, rtol=0, atol=1e-12) for pair in zip(prediction, expected, strict=True))
    assert os.stat(folder / NETWORK_FILE).st_mode & 0o777 == 0o666 & ~current_mask()


def current_mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_convert_again_replaces_and_accepts_its_own(made_up_official, tmp_path):
    convert(made_up_official(heads=4), tmp_path)
    first = (tmp_path / NETWORK_FILE).read_bytes()
    convert(made_up_official(heads=2), tmp_path)
    assert set(read(tmp_path / NETWORK_FILE).heads.values()) == {2}
    convert(tmp_path / NETWORK_FILE, tmp_path / "copy")
    assert (tmp_path / "copy" / NETWORK_FILE).read_bytes() == (tmp_path / NETWORK_FILE).read_bytes() != first


def test_unknown_tensors_are_left_out_with_a_note(made_up, tmp_path):
    torch.save(made_up() | {"extra_head.weight": torch.ones(3)}, tmp_path / "a.bin")
    written = convert(tmp_path / "a.bin", tmp_path / "models")
    assert "extra_head.weight" not in written.tensors
    assert any("1 tensors" in note and "extra_head.weight" in note for note in written.notes)
    assert any("extra_head.weight" in note for note in json.loads((tmp_path / "models" / SUMMARY).read_text())["notes"])


def test_half_precision_weights_run_in_single(made_up, small_inputs, tmp_path):
    state = made_up()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    torch.save(halves, tmp_path / "a.bin")
    convert(tmp_path / "a.bin", tmp_path)
    expected = DiceNetwork.from_state_dict({name: value.float() for name, value in halves.items()})(*small_inputs)
    for source in (tmp_path / "a.bin", tmp_path):
        prediction = load(source)(*small_inputs)
        assert all(value.dtype == torch.float32 for value in prediction)
        assert all(torch.equal(*pair) for pair in zip(prediction, expected, strict=True))


@dataclass(frozen=True)
class Kit:
    """What wrong files are made from: a place, a good file, a good state dict."""

    path: Path
    good: Path
    state: dict

    def write(self, content: bytes) -> Path:
        self.path.write_bytes(content)
        return self.path

    def save(self, value: object, **options: object) -> Path:
        torch.save(value, self.path, **options)
        return self.path

    def cut(self, keep: float) -> Path:
        content = self.good.read_bytes()
        return self.write(content[: int(len(content) * keep)])

    def archive(self, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(self.path, "w", compression) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return self.path

    def compressed(self) -> Path:
        with zipfile.ZipFile(self.good) as archive:
            return self.archive({name: archive.read(name) for name in archive.namelist()}, zipfile.ZIP_DEFLATED)

    def flipped(self) -> Path:
        """One bit of one weight, as a bad disk or download leaves it."""
        content = bytearray(self.good.read_bytes())
        with zipfile.ZipFile(self.good) as archive:
            largest = max(archive.infolist(), key=lambda info: info.file_size * ("/data/" in info.filename))
            content[largest.header_offset + 300] ^= 1
        return self.write(bytes(content))

    def filled(self, name: str, value: float) -> Path:
        return self.save(self.state | {name: torch.full_like(self.state[name], value)})

    def without(self, name: str) -> Path:
        return self.save({key: value for key, value in self.state.items() if key != name})

    def shared(self) -> Path:
        """Many layers that are all the same tensors: a small file, a huge network."""
        prefix = "trans_encoder.0.bert.encoder.layer."
        layer = {name.removeprefix(f"{prefix}0."): value for name, value in self.state.items() if f"{prefix}0." in name}
        copies = {f"{prefix}{index}.{name}": value for index in range(60) for name, value in layer.items()}
        return self.save(self.state | copies)


HTML = b"\n <!DOCTYPE html><html><title>Link expired</title></html>"
OTHER = {f"layer{index}.weight": torch.zeros(2, 2) for index in range(30)}
ODD = {
    "web page": (lambda kit: kit.write(HTML), "web page.*expired"),
    "empty": (lambda kit: kit.write(b""), "is empty"),
    "noise": (lambda kit: kit.write(np.random.default_rng(1).bytes(5000)), "torch did not save it"),
    "text": (lambda kit: kit.write(b"version https://git-lfs"), "Git LFS pointer"),
    "body model": (lambda kit: kit.write(b"\x80\x02}q\x00U\x0av_templateq\x01]s."), "a pickle, but torch"),
    "old torch": (lambda kit: kit.save(kit.state, _use_new_zipfile_serialization=False), "before 1.6"),
    "error in JSON": (lambda kit: kit.write(b'{"error": "Link expired"}'), "server's answer.*expired"),
    "error in XML": (lambda kit: kit.write(b"<Error><Code>AccessDenied</Code></Error>"), "web page.*expired"),
    "cut short": (lambda kit: kit.cut(0.6), "is incomplete"),
    "cut at the end": (lambda kit: kit.cut(0.9999), "is incomplete"),
    "only begun": (lambda kit: kit.cut(0.001), "is incomplete"),
    "one bit": (lambda kit: kit.flipped(), "damaged .the checksum"),
    "compressed": (lambda kit: kit.compressed(), "compressed"),
    "npz": (lambda kit: kit.archive({"a.npy": b"1"}), "archive of something else"),
    "torchscript": (lambda kit: kit.archive({"a/data.pkl": b"", "a/constants.pkl": b""}), "archive of something else"),
    "big endian": (lambda kit: kit.archive({"a/data.pkl": b"", "a/byteorder": b"big"}), "byte order"),
    "list": (lambda kit: kit.save([1, 2]), "neither a network nor a state dict"),
    "training state": (lambda kit: kit.save({"model": {"a": 1}, "epoch": 3}), "else among its tensors: model, epoch"),
    "numpy inside": (lambda kit: kit.save({"a": np.zeros(3)}), "numpy.*_reconstruct, numpy.ndarray.*was run"),
    "other network": (lambda kit: kit.save(OTHER), "of another network: it has layer0.weight, .* and 18 more"),
    "empty state dict": (lambda kit: kit.save({}), "of another network: it has no tensors at all"),
    "one missing": (lambda kit: kit.without("cam_param_fc.bias"), "lacks 1 tensors.*cam_param_fc.bias"),
    "not a number": (lambda kit: kit.filled("conv_learn_tokens.bias", np.nan), "not finite: conv_learn_tokens.bias"),
    "infinite": (lambda kit: kit.filled("cam_param_fc.bias", np.inf), "not finite: cam_param_fc.bias"),
    "shared": (lambda kit: kit.shared(), "more than its own size"),
    "a folder": (lambda kit: kit.path.parent, "Cannot read"),
    "nothing": (lambda kit: kit.path, "Cannot read.*No such file"),
}


@pytest.mark.parametrize("case", ODD)
def test_wrong_files_are_refused_without_a_trace(case, made_up, made_up_official, tmp_path):
    make, message = ODD[case]
    (tmp_path / "in").mkdir()
    path = make(Kit(tmp_path / "in" / "x", made_up_official(), made_up(trans=((64, 7), (4, 3)))))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DiceError, match=message) as error:
        convert(path, tmp_path / "models")
    assert error.value.remedy and "Traceback" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_refusal_leaves_the_earlier_conversion(made_up_official, tmp_path):
    convert(made_up_official(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DiceError):
        convert(written(tmp_path.parent / "page.bin", HTML), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_write_that_fails_leaves_nothing(made_up_official, tmp_path, monkeypatch):
    path = made_up_official()
    with pytest.raises(DiceError, match="Cannot write"):
        convert(path, written(tmp_path / "file", b"") / "models")
    (tmp_path / "file").unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tensorfile, "write", full)
    with pytest.raises(DiceError, match="No space left"):
        convert(path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_layers_that_do_not_agree(made_up_official, monkeypatch):
    """The pickle names heads and eps layer by layer; who differs within a block is not a network we know."""
    module_heads = iter(range(1, 100))
    original = torch.nn.Module.__setattr__

    def uneven(self, name, value):
        original(self, name, next(module_heads) if name == "num_attention_heads" else value)

    monkeypatch.setattr(torch.nn.Module, "__setattr__", uneven)
    path = made_up_official()
    monkeypatch.undo()
    with pytest.raises(DiceError, match="layers in trans_encoder.0 that do not agree"):
        read_official(path)


def test_another_batch_norm_is_refused(made_up_official, monkeypatch):
    original = torch.nn.BatchNorm2d.__init__
    monkeypatch.setattr(torch.nn.BatchNorm2d, "__init__", lambda self, width: original(self, width, eps=1e-3))
    path = made_up_official()
    monkeypatch.undo()
    with pytest.raises(DiceError, match="normalises backbone.bn1"):
        read_official(path)


def test_fields_are_the_officials():
    assert (
        Prediction._fields[0] == "cam_param" and Prediction._fields[-1] == "presence" and len(Prediction._fields) == 26
    )
