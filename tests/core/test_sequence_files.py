# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence's folder: its caches, reading and checking it, and its curves with few keys."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dice_core.errors import DiceError
from dice_core.result import caches, store
from dice_core.result.caches import CacheFile
from dice_core.result.keys import Keys, reduced
from dice_core.result.sequence import Sequence
from dice_core.result.sequence_info import read_info
from tools.made_up_sequence import write

COUNT, START, GAP = 70, 12, (30, 37)


def values(frames: int, vertices: int = 5) -> np.ndarray:
    return np.random.default_rng(frames).normal(size=(frames, vertices, 3)).astype(np.float32)


def test_a_cache_is_written_in_any_order_and_read_by_anyone(tmp_path: Path) -> None:
    path, wanted = tmp_path / "head.pc2", values(7)
    cache = CacheFile.create(path, 5, 7)
    assert not path.exists() and cache.partial.stat().st_size == 32 + 7 * 5 * 12
    cache.write(4, wanted[4:])
    CacheFile(path, 5, 7).write(0, wanted[:4])  # as another process does
    cache.finish()
    cache.finish()
    assert [one.name for one in tmp_path.iterdir()] == ["head.pc2"]
    data = path.read_bytes()
    assert struct.unpack("<12siiffi", data[:32]) == (b"POINTCACHE2\0", 1, 5, 0.0, 1.0, 7)
    np.testing.assert_array_equal(np.frombuffer(data[32:], "<f4").reshape(7, 5, 3), wanted)
    np.testing.assert_array_equal(caches.read(path), wanted)


def test_a_cache_that_was_begun_keeps_its_frames_and_one_of_another_size_does_not(tmp_path: Path) -> None:
    path, wanted = tmp_path / "head.pc2", values(3)
    CacheFile.create(path, 5, 7).write(2, wanted)
    cache = CacheFile.create(path, 5, 7)
    cache.finish()
    np.testing.assert_array_equal(caches.read(path)[2:5], wanted)
    CacheFile.create(path, 5, 7).write(2, wanted)
    CacheFile.create(path, 5, 8).finish()
    assert caches.read(path).shape == (8, 5, 3) and not caches.read(path).any()


def test_a_new_cache_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "head.pc2"
    for wanted in (values(7), values(7) + 1):
        cache = CacheFile.create(path, 5, 7)
        cache.write(0, wanted)
        cache.finish()
        np.testing.assert_array_equal(caches.read(path), wanted)


@pytest.mark.parametrize(("position", "shape"), [(-1, (1, 5, 3)), (6, (2, 5, 3)), (0, (2, 4, 3)), (0, (5, 3))])
def test_frames_that_do_not_fit_are_a_mistake_of_ours(tmp_path: Path, position: int, shape: tuple[int, ...]) -> None:
    cache = CacheFile.create(tmp_path / "head.pc2", 5, 7)
    with pytest.raises(ValueError, match="is not in"):
        cache.write(position, np.zeros(shape, np.float32))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve")
def test_a_full_disk_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiceError, match="No space left on device.*Free some disk space"):
        CacheFile.create(tmp_path / "head.pc2", 5, 7)
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_cannot_reserve_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(file: int, start: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    CacheFile.create(tmp_path / "head.pc2", 5, 7).finish()
    assert caches.read(tmp_path / "head.pc2").shape == (7, 5, 3)


def test_folders_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(DiceError, match="Cannot write head.pc2"):
        CacheFile.create(tmp_path / "no" / "head.pc2", 5, 7)
    with pytest.raises(DiceError, match="Cannot write head.pc2"):
        CacheFile(tmp_path / "head.pc2", 5, 7).write(0, values(7))
    with pytest.raises(DiceError, match="Cannot write head.pc2"):
        CacheFile(tmp_path / "head.pc2", 5, 7).finish()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences") / "clip"
    parts = ("head", "hand_right", "hand_left")
    write(folder, COUNT, parts=parts, start=START, gaps={"hand_left": GAP, "head": (0, 3)}, rate=23.976)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """To be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "clip"))


def truth(made: Path, name: str, k: int) -> np.ndarray:
    """One frame of a curve, straight from its file."""
    with np.load(made / "frames" / f"{32 * (k // 32):06}.npz") as chunk:
        return chunk[name][k % 32]


def cached(made: Path, name: str, k: int) -> np.ndarray:
    data = (made / f"{name}.pc2").read_bytes()
    vertices = struct.unpack_from("<i", data, 16)[0]
    return np.frombuffer(data, "<f4", 3 * vertices, 32 + 12 * vertices * k).reshape(-1, 3)


@pytest.mark.parametrize("k", [0, 31, 32, 33, COUNT - 1])
def test_every_frame_is_what_the_files_hold(made: Path, k: int) -> None:
    sequence = Sequence.load(made)
    assert sequence.info.count == COUNT and sequence.info.rate == 23.976 and sequence.info.start == START
    assert list(sequence.parts) == ["head", "hand_right", "hand_left"]
    for part in sequence.parts:
        np.testing.assert_array_equal(sequence.vertices(part, k), cached(made, part, k))
        np.testing.assert_array_equal(sequence.contact(part, k), cached(made, f"{part}_contact", k)[:, 0])
        np.testing.assert_array_equal(sequence.seen(part)[k], truth(made, f"{part}_seen", k))
        skeleton = sequence.skeleton(part, k)
        np.testing.assert_array_equal(skeleton.transforms, truth(made, f"{part}_bone_transforms", k))
    np.testing.assert_array_equal(sequence.deformation(k), cached(made, "head_deformation", k))
    np.testing.assert_array_equal(sequence.curve("params_head_expression")[k], truth(made, "params_head_expression", k))
    assert len(sequence.curve("contact_state")) == COUNT
    low, high = sequence.bounds
    assert (sequence.vertices("hand_right", k) >= low).all() and (sequence.vertices("hand_right", k) <= high).all()


@pytest.mark.parametrize(("k", "sides"), [(1, "right left"), (20, "right left"), (GAP[0], "right"), (60, "right left")])
def test_one_frame_is_a_capture_that_can_be_saved(made: Path, tmp_path: Path, k: int, sides: str) -> None:
    capture = Sequence.load(made).capture(k)
    assert (capture.frame, capture.source, capture.engine) == (START + k, "clip.mp4", "open")
    assert (capture.head is None) == (k < 3) and [hand.side for hand in capture.hands] == sides.split()
    assert ("hand_left_pose" in capture.params) == ("left" in sides) and ("head_identity" in capture.params) == (k >= 3)
    assert capture.contact_state == str(truth(made, "contact_state", k))
    assert ("penetration_mm" in capture.quality) == bool(np.isfinite(truth(made, "quality_penetration_mm", k)))
    store.save(tmp_path / "frame.npz", capture)
    wanted, found = store.to_arrays(capture), store.to_arrays(store.load(tmp_path / "frame.npz"))
    assert wanted.keys() == found.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(array, found[key], err_msg=key)


def test_cameras_may_change_from_frame_to_frame(tmp_path: Path) -> None:
    write(tmp_path, 5, orthographic=True)
    sequence = Sequence.load(tmp_path)
    for k in range(5):
        camera = sequence.camera(k)
        assert camera.model == "orthographic"
        np.testing.assert_array_equal(camera.ortho, truth(tmp_path, "camera_ortho", k))
        np.testing.assert_array_equal(camera.matrix, truth(tmp_path, "camera_matrix", k))
        store.to_arrays(sequence.capture(k))


def fact(**facts: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "capture.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return change


def array(file: str, name: str, change: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    """Change an array of a file; None removes it."""

    def spoil(folder: Path) -> None:
        with np.load(folder / file) as old:
            arrays = {key: old[key] for key in old.files}
        new = change(arrays.pop(name))
        np.savez(folder / file, **arrays | ({} if new is None else {name: new}))

    return spoil


def put(index: object, value: object) -> Callable[[np.ndarray], np.ndarray]:
    def change(old: np.ndarray) -> np.ndarray:
        old[index] = value
        return old

    return change


def spoilt_cache(name: str, place: int, data: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with open(folder / name, "r+b") as file:
            file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
            file.write(data)

    return spoil


CHUNK = "frames/000032.npz"
NAN = struct.pack("<f", np.nan)
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing there": (lambda folder: shutil.rmtree(folder), "holds no captured sequence"),
    "no facts": (lambda folder: (folder / "capture.json").unlink(), "holds no captured sequence"),
    "broken facts": (lambda folder: (folder / "capture.json").write_text("{"), "capture.json .* damaged"),
    "facts of another kind": (lambda folder: (folder / "capture.json").write_text("[1]"), "capture.json .* damaged"),
    "a newer version": (fact(schema=2), "newer version.*Update"),
    "unfinished": (fact(complete=False), "not finished.*Resume"),
    "no frames": (fact(count=0), "damaged"),
    "a rate of nothing": (fact(rate=0), "damaged"),
    "an endless rate": (fact(rate=float("inf")), "damaged"),
    "more frames": (fact(count=COUNT + 40), "frames|missing"),
    "fewer frames": (fact(count=COUNT - 1), "damaged"),
    "no static file": (lambda folder: (folder / "static.npz").unlink(), "static.npz is missing"),
    "a broken static file": (lambda folder: (folder / "static.npz").write_bytes(b"PK"), "static.npz .* damaged"),
    "no chunk": (lambda folder: (folder / CHUNK).unlink(), "000032.npz is missing"),
    "a broken chunk": (spoilt_cache(CHUNK, 300, bytes(2000)), "damaged"),
    "half a chunk": (lambda folder: os.truncate(folder / CHUNK, 2000), "damaged"),
    "a chunk that lacks something": (array(CHUNK, "head_seen", lambda _: None), "damaged"),
    "a curve too short": (array(CHUNK, "head_seen", lambda old: old[:-1]), "damaged"),
    "a curve of another shape": (array(CHUNK, "head_landmarks", lambda old: old[:, :67]), "damaged"),
    "a state that is none": (array(CHUNK, "contact_state", put(3, "to")), "damaged"),
    "a bone that is nowhere": (array(CHUNK, "head_bone_transforms", put((2, 1), np.nan)), "head_bone_transforms"),
    "a face that is none": (array("static.npz", "head_faces", put((0, 0), 114)), "head in static.npz"),
    "weights too small": (array("static.npz", "head_bone_weights", lambda old: old / 2), "head in static.npz"),
    "a parent after its child": (array("static.npz", "head_bone_parents", put(0, 1)), "head in static.npz"),
    "no names": (array("static.npz", "head_bone_names", lambda _: None), "head_bone_names"),
    "no camera": (array("static.npz", "camera_matrix", lambda _: None), "camera"),
    "a camera of another shape": (array("static.npz", "camera_matrix", lambda old: old[:2]), "camera"),
    "no cache": (lambda folder: (folder / "hand_left.pc2").unlink(), "hand_left.pc2 is missing"),
    "half a cache": (lambda folder: os.truncate(folder / "head.pc2", 5000), "head.pc2 is damaged"),
    "an empty cache": (lambda folder: os.truncate(folder / "head.pc2", 0), "head.pc2 is damaged"),
    "a cache of something else": (spoilt_cache("head.pc2", 0, b"PNG"), "head.pc2 is damaged"),
    "a cache of other vertices": (
        lambda folder: shutil.copy(folder / "hand_left.pc2", folder / "head.pc2"), "head.pc2 .* damaged",
    ),
    "a vertex that is nowhere": (spoilt_cache("hand_right.pc2", -4, NAN), "hand_right.pc2 .* damaged"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_told(folder: Path, fault: str) -> None:
    spoil, told = FAULTS[fault]
    spoil(folder)
    with pytest.raises(DiceError, match=told) as caught:
        Sequence.load(folder)
    assert caught.value.remedy


def test_an_unknown_curve_is_told_and_facts_alone_are_quick(made: Path) -> None:
    with pytest.raises(DiceError, match="holds no params_nose"):
        Sequence.load(made).curve("params_nose")
    assert read_info(made).image_size == (640, 360)


def drawn(keys: Keys, count: int) -> np.ndarray:
    """(N, D) the curves in each frame: cubics through the keys with their slopes (Hermite's form)."""
    if len(keys.positions) == 1:
        return np.repeat(keys.values, count, 0)
    frames = np.arange(count)
    at = np.clip(np.searchsorted(keys.positions, frames, "right") - 1, 0, len(keys.positions) - 2)
    left, right = keys.positions[at], keys.positions[at + 1]
    length, u = (right - left)[:, None], ((frames - left) / (right - left))[:, None]
    return (
        (1 + 2 * u) * (1 - u) ** 2 * keys.values[at] + u * (1 - u) ** 2 * length * keys.after[at]
        + u**2 * (3 - 2 * u) * keys.values[at + 1] - u**2 * (1 - u) * length * keys.before[at + 1]
    )  # fmt: skip


def test_still_curves_have_one_key_lines_and_cubics_two() -> None:
    t = np.arange(50.0)
    curves = np.stack([0 * t + 3, 0.5 * t - 2, 1e-5 * t**3 - 1e-3 * t**2 + t], 1)[..., None]
    still, line, cubic = reduced(curves, 1e-6)
    assert still.positions.tolist() == [0] and still.values.tolist() == [[3.0]]
    assert line.positions.tolist() == cubic.positions.tolist() == [0, 49]
    np.testing.assert_allclose([line.after[0, 0], line.before[1, 0]], 0.5, atol=1e-6)
    slopes = 3e-5 * np.array([0, 49]) ** 2 - 2e-3 * np.array([0, 49]) + 1
    np.testing.assert_allclose([cubic.after[0, 0], cubic.before[1, 0]], slopes, atol=1e-4)


@pytest.mark.parametrize("tolerance", [0.0, 0.002, 0.05])
def test_curves_never_miss_a_value_by_more_than_the_tolerance(tolerance: float) -> None:
    rng = np.random.default_rng(5)
    t = np.arange(300)[:, None, None] / 30
    curves = np.sin(2 * np.pi * rng.uniform(0.2, 1, (6, 4)) * t + rng.uniform(0, 6, (6, 4))) * 0.2
    curves[:, 3] += rng.normal(size=(300, 4)) * 0.003
    curves[150:, 4] += 1  # a jump
    found = reduced(curves, tolerance)
    for index, keys in enumerate(found):
        np.testing.assert_array_equal(keys.values, curves[keys.positions, index])
        assert np.abs(drawn(keys, 300) - curves[:, index]).max() <= max(tolerance, 1e-7)
    if tolerance == 0.002:
        assert len(found[0].positions) < 60


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_curves(count: int) -> None:
    curves = np.arange(count, dtype=float)[:, None, None] ** 2
    keys = reduced(curves, 0.0)[0]
    np.testing.assert_allclose(drawn(keys, count), curves[:, 0], atol=1e-7)
    assert reduced(np.zeros((count, 0, 4)), 0.1) == []
