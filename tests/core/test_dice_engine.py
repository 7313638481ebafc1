# SPDX-License-Identifier: GPL-3.0-or-later
"""The dice engine with made-up weights and bodies: what it shows the network, and where it puts what the network says.

What the network says is nonsense, so the scenes look absurd; how pictures become answers and answers become captures
does not depend on that.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body import flame  # noqa: E402
from dice_core.body.kinds import KINDS  # noqa: E402
from dice_core.engines import dice  # noqa: E402
from dice_core.engines.dice import STAGES, DiceEngine  # noqa: E402
from dice_core.engines.runs import IBUG_MIRROR  # noqa: E402
from dice_core.errors import DiceError, NothingFound, NotInstalled  # noqa: E402
from dice_core.landmarks.people import distance  # noqa: E402
from dice_core.media.decode import from_array  # noqa: E402
from dice_core.network import checkpoint, preprocess  # noqa: E402
from dice_core.paths import models_dir  # noqa: E402
from dice_core.result.store import load, save  # noqa: E402
from dice_core.types import Capture, Frame, silent  # noqa: E402
from tools.made_up_network import Sizes, state  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]
CROP = (60.0, 40.0, 640.0)


@pytest.fixture(scope="module")
def engine(runtime, official_models) -> DiceEngine:
    return DiceEngine(models_dir(runtime), official_models)


@pytest.fixture(scope="module")
def right(engine, sample_frame) -> Capture:
    """The sample as the network sees it with the crop above."""
    return engine.capture(sample_frame, "right", silent, CROP)


def flipped(frame: Frame) -> Frame:
    return replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, ::-1]), source="flipped")


def two_hands(engine: DiceEngine, frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector sees a left hand beside the right one."""
    seen = engine.landmarker.hands(frame.pixels)[0]
    other = replace(seen, side="left", points=seen.points + [90.0, 0])
    monkeypatch.setattr(engine.landmarker, "hands", lambda pixels, near=None: [seen, other])


def touching(engine: DiceEngine, monkeypatch: pytest.MonkeyPatch, *presences: float) -> None:
    """The network says with these probabilities that there is contact, and gives some deformation where there is."""
    run = engine.runner.run

    def said(images: np.ndarray):
        answer = run(images)
        presence = np.float32(presences)[: len(images), None]
        deform = np.float32(0.01) * np.tanh(answer.head_verts)
        return answer._replace(presence=presence, deform=deform * (presence > 0.5)[..., None])

    monkeypatch.setattr(engine.runner, "run", said)


def test_answers_lie_where_the_official_camera_puts_them(engine, right, sample_frame, official_models):
    """By the official steps, one by one, with the plain network: crop, forward, bodies, minus sign, camera, pixels."""
    left, top, side = (int(value) for value in CROP)
    square = sample_frame.pixels[top : top + side, left : left + side]
    shown = preprocess.normalise([preprocess.crop_pixels(square, preprocess.centre_crop(side, side))])
    network = checkpoint.load(official_models)
    template = [torch.from_numpy(part)[None] for part in engine.bodies.templates()]
    answer = network(torch.from_numpy(shown), *template)
    said = type(answer)(*(value.double().numpy() for value in answer))
    posed = engine.bodies.from_parameters(said)
    scale, shift = 10 * abs(said.cam_param[0, 0]), said.cam_param[0, 1:]
    for points, mesh in ((posed.head[0], right.head.vertices), (posed.hand[0], right.hands[0].vertices),
                         (posed.landmarks[0], right.head.landmarks),
                         (posed.openpose_keypoints[0], right.hands[0].joints)):  # fmt: skip
        pixels = (scale * points[:, :2] + shift) * side / 224 + [left, top]
        assert np.abs(right.camera.project(mesh) - pixels).max() < 0.05
        assert np.allclose(mesh - right.head.vertices.mean(0), points, atol=1e-4)
    deform = said.deform[0] * (said.presence[0] > 0.5)
    assert np.linalg.norm(deform, axis=1).max() > 0.01 and right.contact_state == "touch", "there is something to see"
    deform[np.flatnonzero(engine.bodies.deformable == 0)] = 0
    assert np.allclose(right.head.deformation, -deform, atol=1e-4)
    assert np.allclose(right.head.contact, said.head_contact[0, :, 0], atol=1e-4)
    assert right.contact_probability == pytest.approx(float(said.presence[0, 0]), abs=1e-4)
    for name in ("rh_pose", "rh_betas", "face_shape", "face_pose", "cam_param"):
        assert np.allclose(right.params[f"right_{name}"], getattr(said, name)[0], atol=1e-3)


def test_the_capture_is_whole(right, tmp_path):
    assert right.engine == "dice" and set(right.timings) == set(STAGES)
    assert right.head.vertices.shape == (5023, 3) and right.hands[0].vertices.shape == (778, 3)
    assert right.camera.model == "orthographic" and right.camera.matrix is not None
    assert {"deformation_mm", "pressed_mm", "penetration_mm", "face_error", "face_score"} <= set(right.quality)
    save(tmp_path / "r.npz", right)
    again = load(tmp_path / "r.npz")
    assert np.array_equal(again.head.deformation, right.head.deformation) and again.notes == right.notes
    assert np.array_equal(again.camera.ortho, right.camera.ortho)
    assert np.array_equal(again.camera.matrix, right.camera.matrix)


def test_left_hands_are_right_hands_in_a_mirror(engine, right, sample_frame):
    """The picture in a mirror, asked for a left hand, gives the mirror image: meshes, landmarks, sides, windings."""
    width = sample_frame.size[0]
    left = engine.capture(flipped(sample_frame), "left", silent, (width - CROP[0] - CROP[2], *CROP[1:]))
    mirror = np.array([-1, 1, 1])
    assert [hand.side for hand in left.hands] == ["left"]
    for ours, other in ((left.head, right.head), (left.hands[0], right.hands[0])):
        assert np.allclose(ours.vertices * mirror, other.vertices, atol=1e-5)
        assert np.array_equal(ours.faces[:, [0, 2, 1]], other.faces)
        assert np.allclose(ours.contact, other.contact, atol=1e-6)
    assert np.abs(right.head.deformation).max() > 0.01
    assert np.allclose(left.head.deformation * mirror, right.head.deformation, atol=1e-6)
    assert np.allclose(left.head.landmarks[IBUG_MIRROR] * mirror, right.head.landmarks, atol=1e-5)
    seen, expected = left.camera.project(left.head.vertices), right.camera.project(right.head.vertices)
    assert np.allclose(seen, [width, 0] + expected * [-1, 1], atol=0.05)


def test_the_mirrored_landmarks_are_those_of_the_other_side():
    """By the places of a schematic face: iBUG's left is the picture's left, pairs are level."""
    assert sorted(IBUG_MIRROR) == list(range(68)) and np.array_equal(IBUG_MIRROR[IBUG_MIRROR], np.arange(68))
    middle = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert np.array_equal(np.flatnonzero(IBUG_MIRROR == np.arange(68)), middle)
    for one, other in {0: 16, 17: 26, 31: 35, 36: 45, 39: 42, 41: 46, 48: 54, 50: 52, 59: 55, 60: 64, 67: 65}.items():
        assert IBUG_MIRROR[one] == other


def test_both_hands_share_one_head(engine, sample_frame, monkeypatch):
    """Each hand keeps its distances to its own head's landmarks; what both do to the skin is added up."""
    two_hands(engine, sample_frame, monkeypatch)
    touching(engine, monkeypatch, 0.9, 0.8)
    both, right, left = (engine.capture(sample_frame, hand, silent, CROP) for hand in ("both", "right", "left"))
    assert [hand.side for hand in both.hands] == ["right", "left"]
    close = dict(atol=1e-4)  # a batch of two rounds otherwise than a batch of one
    assert np.allclose(both.hands[0].vertices, right.hands[0].vertices, **close)
    assert np.allclose(both.head.vertices, right.head.vertices, **close) and both.contact_probability > 0.89
    hand, own = left.hands[0].vertices[::50], left.head.landmarks
    before = np.linalg.norm(hand[:, None] - own.mean(0), axis=2)
    after = np.linalg.norm(both.hands[1].vertices[::50][:, None] - both.head.landmarks.mean(0), axis=2)
    assert np.allclose(before, after, **close)
    same = engine.counterparts
    assert np.allclose(both.head.contact, np.maximum(right.head.contact, left.head.contact[same]), **close)
    added = np.linalg.norm(both.head.deformation - right.head.deformation, axis=1)
    assert np.allclose(added, np.linalg.norm(left.head.deformation[same], axis=1), **close) and added.max() > 0.001


def test_counterparts_lie_on_the_other_side(engine):
    template = engine.bodies.flame.template
    mirrored = template * [-1, 1, 1]
    errors = np.linalg.norm(template[engine.counterparts] - mirrored, axis=1)
    nearest = np.array([np.linalg.norm(template - point, axis=1).min() for point in mirrored[::200]])
    assert np.allclose(errors[::200], nearest) and engine.counterparts.shape == (flame.VERTICES,)


def test_automatic_crop(engine, sample_frame, monkeypatch):
    """The square holds face and hand; what is captured says so in the picture's pixels."""
    shown: list[np.ndarray] = []
    run = engine.runner.run
    monkeypatch.setattr(engine.runner, "run", lambda images: shown.append(images) or run(images))
    capture = engine.capture(sample_frame, "auto", silent)
    assert [hand.side for hand in capture.hands] == ["right"] and shown[0].shape == (1, 3, 224, 224)
    matrix = capture.params["crop"]
    corners = np.array([[0, 0], [224, 0], [224, 224], [0, 224]]) @ matrix[:, :2].T + matrix[:, 2]
    faces = engine.landmarker.faces(sample_frame.pixels)[0].points
    hands = engine.landmarker.hands(sample_frame.pixels, faces)[0].points
    assert (np.vstack([faces, hands]) > corners.min(0)).all() and (np.vstack([faces, hands]) < corners.max(0)).all()
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_AREA
    expected = cv2.warpAffine(sample_frame.pixels, matrix, (224, 224), flags=back)
    assert np.abs(shown[0] - preprocess.normalise([expected])).mean() < 0.1, "in standard deviations of the colours"
    assert capture.contact_state in ("touch", "no-touch")


def test_tilted_heads_are_straightened(engine, sample_frame, monkeypatch):
    """A quarter turn: the network sees nearly the same, and the answer lies turned in the picture."""
    turned = from_array(np.ascontiguousarray(np.rot90(sample_frame.pixels)), "turned")
    shown: list[np.ndarray] = []
    run = engine.runner.run
    monkeypatch.setattr(engine.runner, "run", lambda images: shown.append(images[:1]) or run(shown[0]))
    upright, tilted = engine.capture(sample_frame, "right", silent), engine.capture(turned, "right", silent)
    assert np.abs(shown[0] - shown[1]).mean() < 0.15, "in standard deviations of the colours; unturned it is 1.4"
    lying = sample_frame.size[0] - upright.camera.project(upright.head.vertices)[:, 0]
    seen = tilted.camera.project(tilted.head.vertices)
    assert np.abs(seen[:, 1] - lying).max() < 0.05 * np.ptp(lying)
    assert np.allclose(np.ptp(tilted.head.vertices, axis=0)[2], np.ptp(upright.head.vertices, axis=0)[2], rtol=0.01)


def test_no_contact_no_deformation(engine, sample_frame, monkeypatch):
    touching(engine, monkeypatch, 0.3)
    capture = engine.capture(sample_frame, "right", silent, CROP)
    assert capture.contact_state == "no-touch" and not capture.head.deformation.any()
    touching(engine, monkeypatch, 0.7)
    capture = engine.capture(sample_frame, "right", silent, CROP)
    assert capture.contact_state == "touch" and capture.quality["deformation_mm"] > 1
    assert not capture.head.deformation[engine.bodies.deformable[:, 0] == 0].any()


def test_auto_keeps_the_hands_that_touch(engine, sample_frame, monkeypatch):
    two_hands(engine, sample_frame, monkeypatch)
    for presences, sides in (((0.9, 0.8), ["right", "left"]), ((0.1, 0.8), ["left"]), ((0.9, 0.2), ["right"])):
        with monkeypatch.context() as patch:
            touching(engine, patch, *presences)
            capture = engine.capture(sample_frame, "auto", silent)
        assert [hand.side for hand in capture.hands] == sides
        assert capture.contact_state == "touch"


@pytest.mark.parametrize("near", ["right", "left"])
def test_where_none_touches_auto_keeps_the_nearest_hand(near, engine, sample_frame, monkeypatch):
    face = engine.landmarker.faces(sample_frame.pixels)[0]
    seen = engine.landmarker.hands(sample_frame.pixels)[0]
    away = np.ptp(face.points, axis=0).max() * np.array([-0.6, 0])
    hands = {side: replace(seen, side=side, points=seen.points + (0 if side == near else away))
             for side in ("left", "right")}  # fmt: skip
    assert distance(hands[near], face) < min(distance(hand, face) for side, hand in hands.items() if side != near) < 1
    for order in (["left", "right"], ["right", "left"]):
        monkeypatch.setattr(engine.landmarker, "hands", lambda *_, order=order: [hands[side] for side in order])
        with monkeypatch.context() as patch:
            touching(engine, patch, 0.1, 0.2)
            capture = engine.capture(sample_frame, "auto", silent)
        assert [hand.side for hand in capture.hands] == [near]


def test_auto_leaves_a_far_hand_alone(engine, sample_frame, monkeypatch):
    """Somebody else's hand, or one on the table, would only make the crop large; who wants it says so."""
    face = engine.landmarker.faces(sample_frame.pixels)[0]
    seen = engine.landmarker.hands(sample_frame.pixels)[0]
    far = replace(seen, side="left", points=seen.points + [2.5 * np.ptp(face.points, axis=0).max(), 0])
    asked: list[int] = []
    run = engine.runner.run
    monkeypatch.setattr(engine.runner, "run", lambda images: asked.append(len(images)) or run(images))
    monkeypatch.setattr(engine.landmarker, "hands", lambda *_: [seen, far])
    auto, both = (engine.capture(sample_frame, hand, silent) for hand in ("auto", "both"))
    assert asked == [1, 2] and [hand.side for hand in auto.hands] == ["right"] and len(both.hands) == 2
    assert both.params["crop"][0, 0] > 1.2 * auto.params["crop"][0, 0], "a larger crop"
    monkeypatch.setattr(engine.landmarker, "hands", lambda *_: [far])
    assert [hand.side for hand in engine.capture(sample_frame, "auto", silent).hands] == ["left"], "better than none"


def test_a_picture_larger_than_the_working_size(engine, right, sample_frame, monkeypatch):
    """Crops and results are in pixels of the full picture, of which the engine sees a smaller one."""
    times = 4
    large = from_array(sample_frame.pixels.repeat(times, 0).repeat(times, 1), "large")
    assert large.scale > 1 and large.size == (times * 768, times * 768)
    shown: list[np.ndarray] = []
    run = engine.runner.run
    monkeypatch.setattr(engine.runner, "run", lambda images: shown.append(images) or run(images))
    engine.capture(sample_frame, "right", silent, CROP)
    capture = engine.capture(large, "right", silent, tuple(times * value for value in CROP))
    assert np.abs(shown[1] - shown[0]).mean() < 0.1, "in standard deviations of the colours"
    expected, seen = (one.camera.project(one.head.vertices) for one in (right, capture))
    assert np.abs(seen - times * expected).max() < 0.01 * times * np.ptp(expected)
    assert np.allclose(capture.params["crop"], times * right.params["crop"])


def test_a_face_without_a_hand(engine, sample_frame, monkeypatch):
    monkeypatch.setattr(engine.landmarker, "hands", lambda pixels, near=None: [])
    touching(engine, monkeypatch, 0.9)
    capture = engine.capture(sample_frame, "auto", silent)
    assert capture.contact_state == "no-hand" and capture.hands == () and capture.contact_probability == 0
    assert not capture.head.deformation.any() and not capture.head.contact.any()
    asked = engine.capture(sample_frame, "left", silent, CROP)
    assert [hand.side for hand in asked.hands] == ["left"] and "No hand was detected" in asked.notes[0]


def test_no_face(engine, sample_frame, monkeypatch):
    monkeypatch.setattr(engine.landmarker, "faces", lambda pixels: [])
    with pytest.raises(NothingFound, match="No face was found"):
        engine.capture(sample_frame, "auto", silent)
    assert engine.capture(sample_frame, "auto", silent, CROP).head is not None
    with pytest.raises(DiceError, match="outside of sample.jpg"):
        engine.capture(sample_frame, "auto", silent, (5000.0, 0.0, 100.0))


def test_a_crop_far_larger_than_the_picture(engine, sample_frame):
    capture = engine.capture(sample_frame, "right", silent, (-400.0, -400.0, 1500.0))
    assert capture.head is not None
    with pytest.raises(DiceError, match="more than 2 times as long as sample.jpg"):
        engine.capture(sample_frame, "right", silent, (-5e5, -5e5, 1e6))


def test_a_network_for_other_meshes(runtime, official_models, tmp_path):
    for file in official_models.glob("*.npz"):
        (tmp_path / file.name).symlink_to(file)
    torch.save(state(Sizes(cells=49)), tmp_path / "state_dict.bin")
    checkpoint.convert(tmp_path / "state_dict.bin", tmp_path)
    with pytest.raises(DiceError, match="made for other meshes.*'head': 20"):
        DiceEngine(models_dir(runtime), tmp_path)


def test_a_large_head_is_noted(engine, sample_frame):
    face = engine.landmarker.faces(sample_frame.pixels)[0].points
    low, high = face.min(0).astype(int) - 10, face.max(0).astype(int) + 10
    close = from_array(np.ascontiguousarray(sample_frame.pixels[low[1] : high[1], low[0] : high[0]]), "close")
    capture = engine.capture(close, "auto", silent)
    assert any("of the crop" in note for note in capture.notes)


@pytest.mark.parametrize("value, message", [(np.nan, "not finite"), (0.0, "no head")])
def test_an_answer_that_makes_no_sense(value, message, engine, sample_frame, monkeypatch):
    run = engine.runner.run

    def nonsense(images: np.ndarray):
        answer = run(images)
        return answer._replace(cam_param=np.full_like(answer.cam_param, value))

    monkeypatch.setattr(engine.runner, "run", nonsense)
    with pytest.raises(DiceError, match=message):
        engine.capture(sample_frame, "right", silent, CROP)


def test_missing_files_are_named(runtime, official_models, tmp_path):
    """All at once, with the folder that was looked in."""
    with pytest.raises(NotInstalled) as raised:
        DiceEngine(models_dir(runtime), tmp_path)
    needed = [kind.file for kind in KINDS.values() if kind.needed]
    assert all(file in raised.value.message for file in needed) and str(tmp_path) in raised.value.message
    assert "dice_core convert" in raised.value.remedy and "DICE_MODELS" in raised.value.remedy
    for file in official_models.glob("*.npz"):
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(NotInstalled, match=r"lacks in .*: the network's weights \(model.bin\)\.") as raised:
        DiceEngine(models_dir(runtime), tmp_path)


def test_a_wrong_answer_is_no_secret(engine, sample_frame, right, monkeypatch):
    """Who reads no numbers reads the note; an answer that lies on the face has none."""
    assert right.quality["face_error"] > 25 and any("do not trust this result" in note for note in right.notes)
    monkeypatch.setattr(dice, "_quality", lambda *_: {"face_error": 3.0})
    assert engine.capture(sample_frame, "right", silent, CROP).notes == ()


def test_one_hand_where_both_were_asked_for(engine, sample_frame):
    for crop in (None, CROP):
        capture = engine.capture(sample_frame, "both", silent, crop)
        assert len(capture.hands) == 1 and "Only one hand was found." in capture.notes


def test_smplx_poses_the_same(runtime, official_models, right, sample_frame, monkeypatch):
    smplx = pytest.importorskip("smplx", reason="smplx is not installed (install_deps.py --research)")
    posed, lbs = [], smplx.lbs.lbs
    monkeypatch.setattr(smplx.lbs, "lbs", lambda *given, **chosen: posed.append(1) or lbs(*given, **chosen))
    other = DiceEngine(models_dir(runtime), official_models, body_layer="smplx")
    capture = other.capture(sample_frame, "right", silent, CROP)
    assert np.abs(capture.head.vertices - right.head.vertices).max() < 1e-6
    assert np.abs(capture.hands[0].vertices - right.hands[0].vertices).max() < 1e-6
    assert len(posed) == 3, "a head, once more for its bones, and a hand, by smplx"
