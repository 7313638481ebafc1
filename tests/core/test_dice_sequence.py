# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures by the dice engine, with balls for bodies and made-up weights, or a stand-in that says what they said
of one picture and a little else of others. That is nonsense; how it becomes one movement does not depend on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.engines.dice import DiceEngine, square_of  # noqa: E402
from dice_core.engines.runs import answers  # noqa: E402
from dice_core.errors import Cancelled, DiceError, NothingFound, NotInstalled  # noqa: E402
from dice_core.fit.camera import guess_camera  # noqa: E402
from dice_core.landmarks.people import find_people  # noqa: E402
from dice_core.landmarks.regions import Region  # noqa: E402
from dice_core.landmarks.track import Tracker  # noqa: E402
from dice_core.media.decode import read_picture  # noqa: E402
from dice_core.network.model import Prediction  # noqa: E402
from dice_core.network.preprocess import SIZE, normalise  # noqa: E402
from dice_core.paths import ROOT  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result.sequence import Sequence  # noqa: E402
from dice_core.sequence import pool  # noqa: E402
from dice_core.sequence.dice_surfaces import smooth_surfaces  # noqa: E402
from dice_core.sequence.folder import CHUNK, Folder  # noqa: E402
from dice_core.sequence.job import Settings  # noqa: E402
from dice_core.types import Frame, silent  # noqa: E402
from tests.core.bodies.official_files import hand_ball, head_ball  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]
FRAMES = CHUNK + 3
CROP = (60.0, 40.0, 640.0)
FLOAT = np.array([0, 0, -0.125])  # metres, of the hand from the head's mean: 5 mm before it
Capturing = Callable[..., Sequence]


@pytest.fixture(scope="module")
def models(official_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bodies that are nearly stiff balls, for all processes."""
    folder = tmp_path_factory.mktemp("balls")
    for file in official_models.iterdir():
        (folder / file.name).symlink_to(file)
    for name, (points, faces) in {"flame": head_ball(), "mano_right": hand_ball()}.items():
        with np.load(official_models / f"{name}.npz") as archive:
            arrays = {key: archive[key] for key in archive.files}
        weights = 0.1 * arrays["weights"]
        weights[:, 0] += 0.9
        arrays |= {"template": points, "faces": faces.astype(arrays["faces"].dtype), "weights": weights,
                   "shapedirs": 0.05 * arrays["shapedirs"], "posedirs": 0.05 * arrays["posedirs"]}  # fmt: skip
        (folder / f"{name}.npz").unlink()
        np.savez(folder / f"{name}.npz", **arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICE_MODELS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def pipeline(runtime: Path, models: Path) -> Pipeline:
    """Its network says that the hand lies before the head, and presses it in a little."""
    pipeline = Pipeline(runtime)
    runner = pipeline.engine("dice").runner  # type: ignore[attr-defined]
    run = runner.run

    def said(images: np.ndarray) -> Prediction:
        answer = run(images)
        return answer._replace(
            deform=np.float32(0.004) * np.tanh(answer.head_verts),
            rh_transl=np.float32(0.001) * answer.rh_transl + answer.face_transl + np.float32(FLOAT),
        )

    runner.run = said
    return pipeline


@pytest.fixture(scope="module")
def engine(pipeline: Pipeline) -> DiceEngine:
    return pipeline.engine("dice")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def stand_in(engine: DiceEngine, sample_frame: Frame) -> Callable[[np.ndarray], Prediction]:
    """For the network: a linear function of coarse pixels."""
    shown = normalise([square_of(sample_frame, Region(np.array(CROP[:2]) + CROP[2] / 2, CROP[2]))])
    said, random = engine.runner.run(shown), np.random.default_rng(1)

    def coarse(images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, 3, 7, 32, 7, 32).mean((3, 5)).reshape(len(images), -1)

    small = [part[0].size <= 100 and part is not said.presence for part in said]
    ways = [np.float32(random.normal(0, 0.002, (147, part[0].size)) * few) if few else np.zeros((147, 1), np.float32)
            for part, few in zip(said, small, strict=True)]  # fmt: skip

    def answer(images: np.ndarray) -> Prediction:
        pixels = coarse(images) - coarse(shown)
        others = (pixels @ way for way in ways)
        return Prediction(*(
            part + other.reshape(len(images), *(part.shape[1:] if few else [1] * (part.ndim - 1)))
            for part, other, few in zip(said, others, small, strict=True)
        ))  # fmt: skip

    return answer


@pytest.fixture
def quick(engine: DiceEngine, stand_in, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the network."""
    monkeypatch.setattr(engine.runner, "run", stand_in)


@pytest.fixture
def still(engine: DiceEngine, sample_frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector sees in every frame what it sees in the sample, but in empty ones nothing."""
    seen = find_people(engine.landmarker, sample_frame)
    monkeypatch.setattr(Tracker, "__call__", lambda self, frame, step: seen if frame.pixels.any() else (None, []))


@pytest.fixture(scope="module")
def clip(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, moving to the right and down."""
    folder = tmp_path_factory.mktemp("clip")
    picture = cv2.imread(str(sample))
    for index in range(FRAMES):
        shifted = cv2.warpAffine(picture, np.float32([[1, 0, index], [0, 1, 0.4 * index]]), picture.shape[1::-1],
                                 borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        cv2.imwrite(str(folder / f"{index:03}.jpg"), shifted)
    return folder


@pytest.fixture
def capture(pipeline: Pipeline, tmp_path: Path) -> Capturing:
    """`capture(paths, hand="left")`: the sequence, not smoothed unless told."""

    def captured(paths: list[Path], name: str = "sequence", **asked) -> Sequence:
        settings = Settings("dice", **{"smoothing": 0.0} | asked)
        return Sequence.load(pipeline.capture_sequence(paths, tmp_path / name, settings))

    return captured


@pytest.fixture(scope="module")
def whole(pipeline: Pipeline, stand_in, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip, captured in one go, four pictures at a time."""
    folder = tmp_path_factory.mktemp("captured") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.engine("dice").runner, "_batch", 4)  # type: ignore[attr-defined]
        patch.setattr(pipeline.engine("dice").runner, "run", stand_in)  # type: ignore[attr-defined]
        return pipeline.capture_sequence([clip], folder, Settings("dice", smoothing=0.0))


def test_frames_are_what_the_network_says_with_one_identity(capture, clip, engine, monkeypatch):
    """Frame by frame, by the engine's own way from a crop to the picture; asked about four at a time, and one."""
    with monkeypatch.context() as patch:
        patch.setattr(engine.runner, "_batch", 4)
        sequence = capture([clip / f"{k:03}.jpg" for k in range(6)])
    assert sequence.info.count == 6 and sequence.seen("head").all() and sequence.seen("hand_right").all()
    assert list(sequence.parts) == ["head", "hand_right"] and set(sequence.curve("contact_state")) == {"touch"}
    shape, betas = (sequence.static[f"params_right_{name}"][None] for name in ("face_shape", "rh_betas"))
    for k in (0, 3, 5):
        frame, found = read_picture(clip / f"{k:03}.jpg"), sequence.capture(k)
        row = Folder(sequence.folder).load("seen", 0)["region"][k]
        region = Region(row[:2], row[2], row[3])
        said = engine.runner.run(normalise([square_of(frame, region)]))
        place = region.to_picture(SIZE), SIZE, guess_camera(frame)
        (raw,) = answers(said, engine.bodies, ["right"], *place)
        (one,) = answers(said._replace(face_shape=shape, rh_betas=betas), engine.bodies, ["right"], *place)
        close = dict(atol=2e-5)
        assert np.allclose(found.camera.ortho, one.camera.ortho, rtol=1e-4)
        assert np.allclose(found.head.vertices, one.head.vertices, **close)
        assert np.allclose(found.head.deformation, one.head.deformation, **close)
        assert np.abs(found.head.deformation).max() > 0.001, "there is something to see"
        assert np.allclose(found.head.landmarks, one.head.landmarks, **close)
        assert np.allclose(found.head.contact, one.head.contact, **close)
        assert np.allclose(found.hands[0].contact, one.hand.contact, **close)
        wrist, expected, before = (hand.joints[0] for hand in (found.hands[0], one.hand, raw.hand))
        assert np.allclose(found.hands[0].vertices - wrist, one.hand.vertices - expected, **close)
        assert np.allclose(wrist - found.head.vertices.mean(0), before - raw.head.vertices.mean(0), **close)
        rest = found.head.skeleton
        posed = np.einsum("vb,bij->vij", rest.weights, rest.transforms)
        assert np.linalg.cond(posed[:, :3, :3]).max() < 10, "the bones can be undone"


def test_nobody_changes(whole):
    """Bones keep their lengths, and what the clip says of a shape is what its better half says in the middle."""
    sequence = Sequence.load(whole)
    for name, part in sequence.parts.items():
        ends = np.einsum("nbij,bj->nbi", sequence.curve(f"{name}_bone_transforms"), np.c_[part.bone_joints, np.ones(
            len(part.bone_joints))])[..., :3]  # fmt: skip
        child = np.flatnonzero(part.bone_parents >= 0)
        lengths = np.linalg.norm(ends[:, child] - ends[:, part.bone_parents[child]], axis=2)
        assert np.ptp(lengths, axis=0).max() < (1e-6 if name != "head" else 1e-3), name
    seen = Folder(whole).together("seen", FRAMES, ["right_rh_betas"])["right_rh_betas"]
    assert (sequence.static["params_right_rh_betas"] <= seen.max(0)).all()
    assert (sequence.static["params_right_rh_betas"] >= seen.min(0)).all()
    assert not any("shape" in name or "betas" in name for name in sequence.curves)
    assert np.ptp(sequence.curve("params_right_face_exp"), axis=0).max() > 0


def test_what_was_interrupted_goes_on(whole, clip, pipeline, engine, quick, tmp_path, monkeypatch):
    """In the middle of looking, and of building; afterwards every file is the same."""
    folder = tmp_path / "sequence"
    stops = [("looking", 0.45 * 0.95), ("frames", 0.0)]

    def interrupt(stage: str, fraction: float) -> None:
        if stops and stage == stops[0][0] and fraction >= stops[0][1]:
            stops.pop(0)
            raise Cancelled("Cancelled.", "")

    monkeypatch.setattr(engine.runner, "_batch", 4)
    monkeypatch.setattr(pool, "MOST", 1)  # no other processes, for a change
    for _ in range(2):
        with pytest.raises(Cancelled):
            pipeline.capture_sequence([clip], folder, Settings("dice", smoothing=0.0), resume=True, report=interrupt)
    pipeline.capture_sequence([clip], folder, Settings("dice"), resume=True, report=interrupt)
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.suffix in (".npz", ".pc2")}
    assert files == {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".npz", ".pc2")}
    for file in files:
        if file.suffix == ".pc2":
            assert (whole / file).read_bytes() == (folder / file).read_bytes(), file
            continue
        with np.load(whole / file) as one, np.load(folder / file) as other:
            assert all(np.array_equal(one[key], other[key], equal_nan=one[key].dtype.kind == "f") for key in one), file


def test_smoothing_can_be_changed(whole, pipeline, tmp_path, monkeypatch):
    """Without looking again; a movement in a straight line stays where it is, and trembles less."""
    folder = tmp_path / "sequence"
    shutil.copytree(whole, folder)
    monkeypatch.setattr(pool, "MOST", 1)
    before = Sequence.load(whole)
    after = Sequence.load(pipeline.smooth_sequence(folder, 0.8))

    def trembling(sequence: Sequence) -> float:
        points = np.array([sequence.vertices("head", k)[::50] for k in range(FRAMES)])
        return float(np.linalg.norm(np.diff(points, 2, axis=0), axis=2).mean())

    assert trembling(after) < 0.8 * trembling(before)
    middle = FRAMES // 2
    assert np.abs(after.vertices("head", middle) - before.vertices("head", middle)).max() < 0.01
    assert before.info.settings["smoothing"] == 0 and after.info.settings["smoothing"] == 0.8


def test_a_still_clip_is_the_capture_of_its_picture(capture, engine, quick, sample, sample_frame):
    """However it is smoothed; the focal length of a movie is not known."""
    one = engine.capture(replace(sample_frame, focal=None), "right", silent, CROP)
    found = capture([sample] * 5, hand="right", crop=CROP, smoothing=0.7).capture(2)
    assert np.allclose(found.head.vertices, one.head.vertices, atol=1e-5)
    assert np.allclose(found.head.deformation, one.head.deformation, atol=1e-6)
    assert np.allclose(found.hands[0].vertices, one.hands[0].vertices, atol=1e-5)
    assert np.allclose(found.hands[0].contact, one.hands[0].contact, atol=1e-5)
    assert found.contact_state == one.contact_state == "touch"
    assert found.contact_probability == pytest.approx(one.contact_probability, abs=1e-5)
    bones, same = found.hands[0].skeleton, one.hands[0].skeleton
    assert bones.names == same.names and np.allclose(bones.transforms, same.transforms, atol=1e-5)
    for name in ("face_error", "hand_right_error"):
        assert found.quality[name] == pytest.approx(one.quality[name], rel=0.02), "landmarks are tracked"


def test_left_hands_are_right_hands_in_a_mirror(capture, quick, sample_frame, tmp_path):
    for name, pixels in (("right", sample_frame.pixels), ("left", sample_frame.pixels[:, ::-1])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels[..., ::-1])
    width = sample_frame.size[0]
    right = capture([tmp_path / "right.png"] * 2, "right", hand="right", crop=CROP)
    left = capture([tmp_path / "left.png"] * 2, "left", hand="left", crop=(width - CROP[0] - CROP[2], *CROP[1:]))
    mirror = np.array([-1, 1, 1])
    for part, other in (("head", "head"), ("hand_right", "hand_left")):
        assert np.allclose(right.vertices(part, 1), left.vertices(other, 1) * mirror, atol=1e-5)
        assert np.array_equal(right.parts[part].faces, left.parts[other].faces[:, [0, 2, 1]])
        assert np.allclose(right.contact(part, 1), left.contact(other, 1), atol=1e-6)
    assert np.allclose(right.deformation(1), left.deformation(1) * mirror, atol=1e-6)
    assert np.abs(right.deformation(1)).max() > 0.001


def two_hands(monkeypatch: pytest.MonkeyPatch, later: int = 0) -> None:
    """The detector sees a left hand beside the right one, from a frame on."""
    call, frames = Tracker.__call__, iter(range(1000))

    def seen(self, frame, step):
        face, hands = call(self, frame, step)
        hand = replace(hands[0], side="right", side_score=0.99)
        other = replace(hand, side="left", points=hand.points + [90.0, 0])
        return face, [hand, other] if next(frames) >= later else [hand]

    monkeypatch.setattr(Tracker, "__call__", seen)


def test_both_hands_share_one_head(capture, engine, quick, sample, sample_frame, monkeypatch):
    found = engine.landmarker.hands(sample_frame.pixels)[0]
    two_hands(monkeypatch)
    sequence = capture([sample] * 2, hand="both", crop=CROP)
    both = [found, replace(found, side="left", points=found.points + [90.0, 0])]
    monkeypatch.setattr(engine.landmarker, "hands", lambda pixels, near=None: both)
    one, close = engine.capture(replace(sample_frame, focal=None), "both", silent, CROP), dict(atol=1e-4)
    assert [hand.side for hand in one.hands] == ["right", "left"]
    assert np.allclose(sequence.vertices("head", 0), one.head.vertices, **close)
    assert np.allclose(sequence.deformation(0), one.head.deformation, **close)
    assert np.allclose(sequence.contact("head", 0), one.head.contact, **close)
    wrists = [sequence.curve(f"{name}_joints")[0, 0] for name in ("hand_right", "hand_left")]
    for name, hand, wrist in zip(("hand_right", "hand_left"), one.hands, wrists, strict=True):
        assert np.allclose(wrist, hand.joints[0], atol=2e-3), "both have one shape now"
        assert np.allclose(sequence.vertices(name, 0), hand.vertices, atol=6e-3)


def presences(engine: DiceEngine, monkeypatch: pytest.MonkeyPatch, said: Callable[[int, bool], float]) -> None:
    """What the network says of touching, of the frame and whether it is asked for the left hand."""
    run, asked = engine.runner.run, []

    def answer(images: np.ndarray):
        found = run(images)
        values = []
        for image in images:
            mirrored = bool(asked) and np.abs(image[..., ::-1] - asked[-1]).max() == 0
            if not mirrored:
                asked.append(image)
            values.append(said(len(asked) - 1, mirrored))
        presence = np.float32(values)[:, None]
        return found._replace(presence=presence, deform=found.deform * (presence > 0.5)[..., None])

    monkeypatch.setattr(engine.runner, "run", answer)


def test_auto_decides_for_the_whole_clip(capture, engine, quick, still, clip, monkeypatch):
    """The hand that touches in some frames is kept in all, the other one in none; the head is the lead's all along."""
    two_hands(monkeypatch, later=2)
    presences(engine, monkeypatch, lambda frame, left: 0.9 if left and frame > 3 else 0.1)
    paths = [clip / f"{k:03}.jpg" for k in range(8)]
    sequence = capture(paths)
    assert list(sequence.parts) == ["head", "hand_left"]
    assert sequence.seen("hand_left").tolist() == [False] * 2 + [True] * 6 and sequence.seen("head").all()
    states = sequence.curve("contact_state").tolist()
    assert states == ["no-hand"] * 2 + ["no-touch"] * 2 + ["touch"] * 4
    deformed = [float(np.abs(sequence.deformation(k)).max()) for k in range(8)]
    assert not any(deformed[:4]) and min(deformed[4:]) > 0.001
    assert np.array_equal(sequence.vertices("hand_left", 0), sequence.vertices("hand_left", 2)), "it waits there"


def test_touches_rise_and_fall(capture, engine, quick, still, clip, monkeypatch):
    """Smoothed, a single frame is no touch, and the skin gives way little by little, never without a touch."""
    presences(engine, monkeypatch, lambda frame, left: 0.95 if frame == 3 or 8 <= frame < 18 else 0.05)
    sequence = capture([clip / f"{k:03}.jpg" for k in range(24)], hand="right", smoothing=0.5)
    touching = sequence.curve("contact_state") == "touch"
    assert np.abs(np.flatnonzero(np.diff(touching.astype(int))) - [7, 17]).max() <= 1
    deformed = np.array([np.abs(sequence.deformation(k)).max() for k in range(24)])
    assert not deformed[~touching].any() and (deformed[touching] > 0).all()
    first = np.flatnonzero(touching)[0]
    assert deformed[first] < 0.7 * deformed[13], "it rises"


def test_frames_without_a_face(capture, engine, quick, still, clip, sample_frame, tmp_path, monkeypatch):
    """At the beginning, in the middle, and one of which the network makes no sense: held, and not a frame is lost."""
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.zeros_like(sample_frame.pixels))
    run, asked = engine.runner.run, iter(range(100))

    def answer(images: np.ndarray):
        found = run(images)
        sense = np.float32([next(asked) != 2 for _ in images])[:, None]
        return found._replace(cam_param=found.cam_param * sense)

    monkeypatch.setattr(engine.runner, "run", answer)
    paths = [empty, empty, *(clip / f"{k:03}.jpg" for k in range(4)), empty, clip / "004.jpg"]
    sequence = capture(paths, hand="right")
    expected = [False, False, True, True, False, True, False, True]
    assert sequence.info.count == 8 and sequence.seen("head").tolist() == expected
    assert (sequence.curve("head_confidence") > 0).tolist() == expected
    assert [state == "no-head" for state in sequence.curve("contact_state")] == [not seen for seen in expected]
    for k, as_in in ((0, 2), (1, 2), (4, 3), (6, 5)):
        assert np.array_equal(sequence.vertices("head", k), sequence.vertices("head", as_in))
    assert not sequence.deformation(6).any()
    with pytest.raises(NothingFound, match="No face was found"):
        capture([empty] * 2, "nobody")
    monkeypatch.setattr(engine.runner, "run", lambda images: run(images)._replace(
        cam_param=np.zeros((len(images), 3), np.float32)))  # fmt: skip
    with pytest.raises(DiceError, match="The network sees no head"):
        capture([clip / "000.jpg"], "nonsense")


def test_fixed_contact_neither_jumps_nor_sinks_in(capture, pipeline, engine, quick, still, clip, monkeypatch):
    """The hand floats; where it touches it comes to the skin, and where it does not, it keeps its distance to that."""
    presences(engine, monkeypatch, lambda frame, left: 0.95 if frame % 2 else 0.05)
    run = engine.runner.run
    palm = (hand_ball()[0] @ [0, 0, 1] > 0.025)[None, :, None]
    brow = (head_ball()[0] @ [0, 0, -1] > 0.085)[None, :, None]
    monkeypatch.setattr(engine.runner, "run", lambda images: (found := run(images))._replace(
        hand_contact=np.float32(0.9 * palm + 0 * found.hand_contact),
        head_contact=np.float32(0.9 * brow + 0 * found.head_contact),
        rh_rot=0 * found.rh_rot, rh_pose=0 * found.rh_pose, face_rot=0 * found.face_rot, face_pose=0 * found.face_pose,
    ))  # fmt: skip
    monkeypatch.setattr(pipeline, "engine", lambda *_, **chosen: engine)
    paths = [clip / f"{k:03}.jpg" for k in range(2)]
    free, fixed = (capture(paths, f"{fixing}", hand="right", fix_contact=fixing) for fixing in (False, True))
    moved = np.array([np.linalg.norm(fixed.curve("hand_right_joints")[k, 0] - free.curve("hand_right_joints")[k, 0])
                      for k in range(2)])  # fmt: skip
    assert np.ptp(moved) < 0.004 < moved.min() and free.info.settings != fixed.info.settings
    assert fixed.curve("quality_penetration_mm").max() <= 2 and fixed.contact("head", 1).max() > 0.5
    assert np.array_equal(free.vertices("head", 1), fixed.vertices("head", 1))
    assert not fixed.deformation(0).any()


def test_surfaces_are_smoothed_across_chunks(tmp_path):
    """As one mean over the whole clip would do it: alike forwards and backwards, with no seam, and no weight for frames
    that do not count."""
    count, random = 3 * CHUNK - 5, np.random.default_rng(0)
    times, folder = np.arange(count) / 30, Folder(tmp_path)
    seen, touch = random.uniform(size=count) > 0.1, np.where(np.arange(count) < 50, 0, 1)
    contact = random.uniform(size=(count, 778, 1)).astype(np.float32)
    for start in folder.starts(count):
        part = slice(start, min(start + CHUNK, count))
        size = part.stop - start
        folder.save("seen", {
            "right_answered": np.ones(size, bool), "right_presence": np.full((size, 1), 0.9, np.float32),
            "right_hand_contact": contact[part], "right_head_contact": np.zeros((size, 5023, 1), np.float32),
            "right_deform": np.tile(np.float32(0.01 * (1 + touch[part, None, None])), (1, 5023, 3)),
        }, start)  # fmt: skip
        folder.save("fitted", {"right_crop_turn": np.zeros((size, 3))}, start)
    motion = {"right_hand": seen, "right_touch": touch, "right_rise": np.ones(count)}
    cutoff = 1.0
    found = [smooth_surfaces(folder, start, "right", times, motion, cutoff) for start in folder.starts(count)]
    smooth, deform = (np.concatenate([part[name] for part in found]) for name in ("hand_contact", "deform"))
    weights = np.exp(-2 * np.pi * cutoff * np.abs(times[:, None] - times)) * seen
    expected = (weights / weights.sum(1, keepdims=True)) @ contact[..., 0]
    assert np.abs(smooth[seen, :, 0] - expected[seen]).max() < 0.01 and not smooth[~seen].any()
    assert np.allclose(deform[seen], 0.01 * (1 + touch[seen, None, None]), atol=1e-8), "touches are not mixed"
    sharp = smooth_surfaces(folder, CHUNK, "right", times, motion, np.inf)["hand_contact"]
    part = slice(CHUNK, 2 * CHUNK)
    assert np.array_equal(sharp[seen[part]], contact[part][seen[part]])


def test_later_steps_need_no_torch():
    code = "import sys, dice_core.sequence.dice_steps; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_missing_files_are_named(runtime, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("DICE_MODELS", str(tmp_path / "none"))
    with pytest.raises(NotInstalled, match="The dice engine lacks"):
        Pipeline(runtime).capture_sequence([sample], tmp_path / "sequence", Settings("dice"))

