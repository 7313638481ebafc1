# SPDX-License-Identifier: GPL-3.0-or-later
"""The result file: what goes in comes out, what is broken or dangerous is refused, what was there is not lost."""

from __future__ import annotations

import os
import zipfile
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dice_core.errors import DiceError
from dice_core.files import atomic
from dice_core.result import store


def assert_same(one, other, name: str = "capture") -> None:
    """Equal to the bit, type by type, through dataclasses, tuples and dictionaries."""
    if is_dataclass(one):
        assert type(one) is type(other), name
        for item in fields(one):
            assert_same(getattr(one, item.name), getattr(other, item.name), f"{name}.{item.name}")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape, name
        assert np.array_equal(one, other), name
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_same(one[key], other[key], f"{name}[{key}]")
    elif isinstance(one, tuple) and one and is_dataclass(one[0]):
        assert len(one) == len(other), name
        for first, second in zip(one, other, strict=True):
            assert_same(first, second, name)
    else:
        assert one == other, name


CASES = {
    "perspective": {},
    "orthographic": {"orthographic": True},
    "both cameras": {"both": True},
    "notes": {"notes": ("The head fills 70% of the crop.", "Größer.")},
    "no head": {"head": False},
    "no hand": {"sides": ()},
    "two hands": {"sides": ("right", "left")},
    "left hand": {"sides": ("left",)},
    "without bones, as before there were any": {"bones": False, "sides": ("right", "left")},
}


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case, make_capture, tmp_path):
    capture = make_capture(**CASES[case])
    store.save(tmp_path / "a.npz", capture)
    assert_same(capture, store.load(tmp_path / "a.npz"))


def test_a_movies_frame_goes_along(make_capture, tmp_path):
    capture = replace(make_capture(), picture=bytes(range(256)) + b"\0")
    store.save(tmp_path / "a.npz", capture)
    assert_same(capture, store.load(tmp_path / "a.npz"))


def test_real_capture_survives(sample_capture, tmp_path):
    store.save(tmp_path / "a.npz", sample_capture)
    loaded = store.load(tmp_path / "a.npz")
    assert_same(sample_capture.head, loaded.head)
    assert_same(sample_capture.hands, loaded.hands)
    assert_same(sample_capture.params, loaded.params)
    assert loaded.quality == pytest.approx(sample_capture.quality)


def test_plain_types_that_any_reader_understands(make_capture, tmp_path):
    """docs/result-format.md promises float32, int32 and text: nothing that only this program reads."""
    store.save(tmp_path / "a.npz", make_capture(sides=("right", "left")))
    with np.load(tmp_path / "a.npz") as archive:
        assert int(archive["schema"]) == 1
        assert archive["camera_matrix"].dtype == np.float32
        assert archive["hand_left_joints"].shape == (21, 3)
        assert "camera_ortho" not in archive.files
        assert {archive[key].dtype.kind for key in archive.files} <= set("fiU")
        assert {archive[key].dtype for key in archive.files if key.endswith("_faces")} == {np.dtype(np.int32)}


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("key", ["head_vertices", "params_extra", "schema"])
def test_pickled_objects_are_refused_unread(key, make_capture, tmp_path):
    arrays = store.to_arrays(make_capture())
    arrays[key] = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(tmp_path / "trap.npz", **arrays)
    with pytest.raises(DiceError):
        store.load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()
    np.load(tmp_path / "trap.npz", allow_pickle=True)[key]  # the trap does work
    assert (tmp_path / "sprung").exists()


BROKEN = {
    "missing key": lambda a: a.pop("head_contact"),
    "missing camera": lambda a: a.pop("camera_matrix"),
    "missing schema": lambda a: a.pop("schema"),
    "vertices (V, 2)": lambda a: a.update(head_vertices=a["head_vertices"][:, :2]),
    "vertices of no shape": lambda a: a.update(head_vertices=np.float32(3)),
    "contact too short": lambda a: a.update(head_contact=a["head_contact"][:-1]),
    "deformation too long": lambda a: a.update(head_deformation=np.zeros((51, 3), np.float32)),
    "faces of four": lambda a: a.update(head_faces=np.zeros((9, 4), np.int32)),
    "faces of no vertex": lambda a: a["hand_right_faces"].__setitem__((0, 0), 30),
    "negative face": lambda a: a["head_faces"].__setitem__((0, 0), -1),
    "67 landmarks": lambda a: a.update(head_landmarks=a["head_landmarks"][:-1]),
    "20 joints": lambda a: a.update(hand_right_joints=a["hand_right_joints"][:-1]),
    "vertex NaN": lambda a: a["head_vertices"].__setitem__((3, 1), np.nan),
    "deformation infinite": lambda a: a["head_deformation"].__setitem__((3, 1), np.inf),
    "joint NaN": lambda a: a["hand_right_joints"].__setitem__((3, 1), np.nan),
    "four names of three bones": lambda a: a.update(head_bone_names=np.array(["a", "b", "c", "d"])),
    "two bones of one name": lambda a: a.update(head_bone_names=np.array(["a", "b", "a"])),
    "a bone without a name": lambda a: a.update(head_bone_names=np.array(["a", "", "c"])),
    "names of no shape": lambda a: a.update(head_bone_names=np.array("abc")),
    "no parents": lambda a: a.pop("hand_right_bone_parents"),
    "a parent behind its child": lambda a: a.update(hand_right_bone_parents=np.int32([-1, 2, 0])),
    "a bone that is its own parent": lambda a: a.update(hand_right_bone_parents=np.int32([-1, 1, 0])),
    "a parent before all": lambda a: a.update(hand_right_bone_parents=np.int32([-1, -2, 0])),
    "joints (B, 2)": lambda a: a.update(head_bone_joints=a["head_bone_joints"][:, :2]),
    "transforms (B, 3, 4)": lambda a: a.update(head_bone_transforms=a["head_bone_transforms"][:, :3]),
    "transform NaN": lambda a: a["head_bone_transforms"].__setitem__((1, 2, 3), np.nan),
    "weights of another mesh": lambda a: a.update(head_bone_weights=a["hand_right_bone_weights"]),
    "weights that do not sum to 1": lambda a: a["head_bone_weights"].__setitem__((5, 1), 0.9),
    "a negative weight": lambda a: a["head_bone_weights"].__setitem__((7, slice(None)), [-0.5, 1, 0.5]),
    "camera of 2 x 2": lambda a: a.update(camera_matrix=np.eye(2, dtype=np.float32)),
    "camera NaN": lambda a: a["camera_matrix"].__setitem__((0, 0), np.nan),
    "text for numbers": lambda a: a.update(head_vertices=np.array(["a"] * 50)),
    "three image sizes": lambda a: a.update(image_size=np.int32([1, 2, 3])),
    "newer schema": lambda a: a.update(schema=np.int32(2)),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_results_are_refused_in_words(fault, make_capture, tmp_path):
    arrays = {key: value.copy() for key, value in store.to_arrays(make_capture()).items()}
    BROKEN[fault](arrays)
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DiceError) as caught:
        store.load(tmp_path / "a.npz")
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")


def test_newer_schema_says_update(make_capture):
    arrays = store.to_arrays(make_capture()) | {"schema": np.int32(2), "head_vertices": np.zeros(1)}
    with pytest.raises(DiceError, match="newer.*Update"):
        store.from_arrays(arrays)


def test_other_files_are_refused(tmp_path, make_capture):
    store.save(tmp_path / "good.npz", make_capture())
    good = (tmp_path / "good.npz").read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    files = {"empty": b"", "text": b"hello\n", "half": good[: len(good) // 2], "pickle": b"\x80\x04K\x01."}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for path in (*map(tmp_path.joinpath, files), tmp_path / "array.npy", tmp_path / "zip.npz", tmp_path):
        with pytest.raises(DiceError):
            store.load(path)
    with pytest.raises(DiceError, match="no file"):
        store.load(tmp_path / "none.npz")


def test_damaged_bytes_never_end_in_anything_but_an_explanation(make_capture, tmp_path):
    store.save(tmp_path / "good.npz", make_capture())
    good = np.frombuffer((tmp_path / "good.npz").read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        bad = good.copy()
        bad[random.integers(0, len(bad), 3)] = random.integers(0, 256, 3)
        (tmp_path / "bad.npz").write_bytes(bad.tobytes())
        try:
            store.load(tmp_path / "bad.npz")
        except DiceError:
            refused += 1
    assert refused > 250


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failing_write_leaves_the_old_file_alone(make_capture, tmp_path, monkeypatch):
    store.save(tmp_path / "a.npz", make_capture())
    before = (tmp_path / "a.npz").read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DiceError, match="No space left.*Free some disk space or choose another"):
        store.save(tmp_path / "a.npz", make_capture(head=False))
    assert (tmp_path / "a.npz").read_bytes() == before
    assert listing(tmp_path) == ["a.npz"]


def test_who_still_reads_the_old_file_keeps_it(make_capture, tmp_path):
    """The new file takes the name; nothing is written into the old one."""
    store.save(tmp_path / "a.npz", make_capture())
    before = (tmp_path / "a.npz").read_bytes()
    with open(tmp_path / "a.npz", "rb") as old:
        store.save(tmp_path / "a.npz", make_capture(head=False))
        assert old.read() == before
    assert store.load(tmp_path / "a.npz").head is None


def test_an_interrupted_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        assert not (tmp_path / "a.bin").exists()
        raise KeyboardInterrupt
    assert listing(tmp_path) == []


def test_a_folder_in_the_way_is_an_error_in_words(make_capture, tmp_path):
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(DiceError, match="a.npz"):
        store.save(tmp_path / "a.npz", make_capture())
    assert listing(tmp_path) == ["a.npz"]


def test_unwritable_folders(make_capture, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DiceError, match="Choose a folder"):
        store.save(tmp_path / "file" / "a.npz", make_capture())
    if os.geteuid():  # nothing is forbidden to root
        (tmp_path / "locked").mkdir(mode=0o555)
        with pytest.raises(DiceError, match="Choose a folder"):
            store.save(tmp_path / "locked" / "a.npz", make_capture())


def test_missing_folders_are_made_and_the_file_is_an_ordinary_one(make_capture, tmp_path):
    target = tmp_path / "new" / "ganz neu" / "a.npz"
    store.save(target, make_capture())
    (target.parent / "other").touch()
    assert target.stat().st_mode == (target.parent / "other").stat().st_mode  # not a private temporary file's


def test_a_full_disk_is_an_error_in_words_and_leaves_nothing(make_capture, tmp_path):
    """A limit to the size of files fails as a full disk does: in the middle of writing."""
    resource = pytest.importorskip("resource", reason="this system has no limits to the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        with pytest.raises(DiceError, match="Cannot write full.npz.*Free some disk space"):
            store.save(tmp_path / "full.npz", make_capture())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
