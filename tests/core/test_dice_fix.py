# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact that is fixed in the dice engine's captures: made-up weights, and balls in place of head and hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body.bodies import Bodies  # noqa: E402
from dice_core.body.kinds import converted  # noqa: E402
from dice_core.engines.contact import SOFTNESS, fixed  # noqa: E402
from dice_core.engines.dice import FIX, STAGES, DiceEngine  # noqa: E402
from dice_core.errors import DiceError  # noqa: E402
from dice_core.evaluate.plausibility import judge  # noqa: E402
from dice_core.paths import models_dir  # noqa: E402
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.result.store import from_arrays, to_arrays  # noqa: E402
from dice_core.types import Capture, Frame, silent  # noqa: E402
from tests.core.bodies.official_files import hand_ball, head_ball  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]
CROP = (60.0, 40.0, 640.0)
HEAD, HAND = 0.09, 0.03  # metres, radii
TOWARDS = np.array([-0.4, 0.2, -0.9]) / np.linalg.norm([-0.4, 0.2, -0.9])  # from the head to the hand
Capturing = Callable[..., Capture]


@pytest.fixture(scope="module")
def engines(runtime, official_models) -> dict[bool, DiceEngine]:
    """Without and with the option."""
    return {on: DiceEngine(models_dir(runtime), official_models, fix_contact=on) for on in (False, True)}


@pytest.fixture(scope="module")
def nonsense(engines, sample_frame: Frame) -> dict[bool, Capture]:
    """Of the made-up bodies, which are thickets of triangles, in which nothing is at home."""
    return {on: engine.capture(sample_frame, "right", silent, CROP) for on, engine in engines.items()}


def as_balls(bodies: Bodies) -> Bodies:
    """Parts that are stiff: neither shape nor pose changes them."""
    shaped = {}
    for name, (template, faces) in (("flame", head_ball(HEAD)), ("mano", hand_ball(HAND))):
        model = getattr(bodies, name)
        weights = np.zeros_like(model.weights)
        weights[:, 0] = 1
        shaped[name] = replace(
            model, template=template, faces=faces.astype(np.int32), weights=weights,
            shapedirs=np.zeros_like(model.shapedirs), posedirs=np.zeros_like(model.posedirs),
        )  # fmt: skip
    lowest = (head_ball(HEAD)[0][:, 1] < 0.85 * HEAD)[:, None]
    return replace(bodies, **shaped, deformable=lowest.astype(float))


@pytest.fixture
def captured(engines, sample_frame: Frame, monkeypatch: pytest.MonkeyPatch) -> Capturing:
    """`captured(gap, fix=True)`: the network says that the hand lies so far before the head, or in it, and touches."""

    def capture(gap: float, *, fix: bool, presence: float = 0.9, hand: str = "right", contact: float = 0.9) -> Capture:
        engine = engines[fix]
        run = engine.runner.run
        head, ball = head_ball(HEAD)[0], hand_ball(HAND)[0]
        place = TOWARDS * (HEAD + gap + HAND)
        meet = TOWARDS * HEAD
        on_hand = np.where(np.linalg.norm(ball + TOWARDS * HAND, axis=1) < 0.012, contact, 0.1)
        on_head = np.where(np.linalg.norm(head - meet, axis=1) < 0.012, contact, 0.1)

        def said(images: np.ndarray):
            answer = run(images)
            still = {name: np.zeros_like(getattr(answer, name)) for name in
                     ("rh_rot", "rh_pose", "face_pose", "face_rot", "face_transl", "deform")}  # fmt: skip
            many = (len(images), 1)
            return answer._replace(
                **still, presence=np.full(many, presence, np.float32),
                rh_transl=np.tile(np.float32(place), many),
                hand_contact=np.tile(np.float32(on_hand), many)[..., None],
                head_contact=np.tile(np.float32(on_head), many)[..., None],
            )  # fmt: skip

        with monkeypatch.context() as patch:
            patch.setattr(engine, "bodies", as_balls(engine.bodies))
            patch.setattr(engine.runner, "run", said)
            return engine.capture(sample_frame, hand, silent, CROP)

    return capture


def deepest(capture: Capture) -> float:
    """Millimetres in the deformed skin."""
    head = capture.head
    vertices = np.vstack([hand.vertices for hand in capture.hands])
    return 1000 * float(judge(head.vertices + head.deformation, head.faces, vertices, "closed").depth.max())


def same(one: Capture, other: Capture) -> bool:
    """Bit for bit but for the notes and times."""
    first, second = (
        {name: value for name, value in to_arrays(capture).items() if not name.startswith(("timings", "notes"))}
        for capture in (one, other)
    )
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("hand", ["right", "left"])
@pytest.mark.parametrize("gap", [0.012, -0.012])
def test_the_hand_comes_to_the_skin(gap, hand, captured):
    before, after = (captured(gap, fix=fix, hand=hand) for fix in (False, True))
    assert np.array_equal(before.head.vertices, after.head.vertices)
    apart = np.linalg.norm(after.hands[0].vertices.mean(0) - after.head.vertices[:3931].mean(0))
    was = np.linalg.norm(before.hands[0].vertices.mean(0) - before.head.vertices[:3931].mean(0))
    assert 1000 * (was - apart - gap) == pytest.approx(0, abs=2.5)
    assert deepest(after) <= 2 and after.quality["penetration_mm"] <= 2 and after.quality["pressed_mm"] < 4.1
    assert before.quality["penetration_mm"] > 10 if gap < 0 else before.quality["penetration_mm"] == 0
    assert after.head.contact.max() > 0.5 and after.hands[0].contact.max() > 0.5
    pixels = [capture.camera.project(capture.hands[0].vertices) for capture in (before, after)]
    assert np.linalg.norm(pixels[1] - pixels[0], axis=1).mean() < 0.006 * before.camera.ortho[0], "6 mm"
    moved = 1000 * np.linalg.norm(after.hands[0].vertices - before.hands[0].vertices, axis=1).mean()
    assert f"Contact was fixed: the {hand} hand was moved by {moved:.1f} mm." in after.notes
    joints = np.linalg.norm(after.hands[0].joints[:, None] - after.hands[0].vertices[::50], axis=2)
    assert np.allclose(joints, np.linalg.norm(
        before.hands[0].joints[:, None] - before.hands[0].vertices[::50], axis=2), atol=1e-5)  # fmt: skip
    assert set(after.timings) == {*STAGES, FIX} and set(before.timings) == set(STAGES)


def test_where_skin_is_pressed_it_gives_way(captured):
    """The neck does not, nor do eyes."""
    capture = captured(-0.004, fix=True)
    length = np.linalg.norm(capture.head.deformation, axis=1)
    assert 0.0003 < length.max() < 0.008 and capture.head.deformation.dtype == np.float32
    assert not length[3931:].any() and not length[head_ball(HEAD)[0][:, 1] >= 0.85 * HEAD].any()


@pytest.mark.parametrize("said", [{"presence": 0.4}, {"contact": 0.4}], ids=["presence", "contact"])
def test_without_contact_nothing_changes(said, captured):
    before, after = (captured(-0.012, fix=fix, **said) for fix in (False, True))
    assert same(before, after) and "There was no contact to fix" in " ".join(after.notes)


def test_off_it_is_as_it_was(captured):
    capture = captured(-0.012, fix=False)
    place = capture.hands[0].vertices.mean(0) - capture.head.vertices.mean(0)
    ball, head = (part[0] for part in (hand_ball(HAND), head_ball(HEAD)))
    assert np.allclose(place, TOWARDS * (HEAD + HAND - 0.012) + ball.mean(0) - head.mean(0), atol=1e-5)
    assert not any("ontact" in note for note in capture.notes)


def test_nonsense_ends_with_no_penetration_and_says_so(nonsense):
    off, on = nonsense[False], nonsense[True]
    assert np.array_equal(off.head.vertices, on.head.vertices) and off.head.deformation.any()
    assert on.quality["penetration_mm"] <= 2 and deepest(on) <= 2
    assert any("Contact was fixed" in note and "so far that this result is doubtful" in note for note in on.notes)
    assert np.isfinite(on.hands[0].vertices).all() and np.isfinite(on.head.deformation).all()


def assert_fixed_alike(after: Capture, on: Capture) -> None:
    assert np.array_equal(after.head.deformation, on.head.deformation)
    for one, other in zip(after.hands, on.hands, strict=True):
        assert np.array_equal(one.vertices, other.vertices) and np.array_equal(one.contact, other.contact)
    assert sorted(after.notes) == sorted(on.notes)


def test_afterwards_it_is_the_same_as_at_once(nonsense, official_models, monkeypatch):
    off, on = nonsense[False], nonsense[True]
    monkeypatch.setenv("DICE_MODELS", str(official_models))
    after = Pipeline().fix_contact(from_arrays(to_arrays(off)))
    assert_fixed_alike(after, on)
    assert not np.array_equal(off.hands[0].vertices, on.hands[0].vertices)
    assert {name: on.quality[name] for name in after.quality} == pytest.approx(after.quality)
    with pytest.raises(DiceError, match="open engine brings hands to the skin itself"):
        Pipeline().fix_contact(replace(off, engine="open"))


def test_softness_is_the_users(engines, runtime, official_models, tmp_path):
    """Stiffness 0 is softest; without the file, which captures do not need, there is something in between."""
    with np.load(converted(official_models, "stiffness_final")) as archive:
        assert np.array_equal(engines[True].softness, 1 - archive["stiffness"])
    for file in official_models.iterdir():
        if "stiffness" not in file.name:
            (tmp_path / file.name).symlink_to(file)
    assert (DiceEngine(models_dir(runtime), tmp_path, fix_contact=True).softness == SOFTNESS).all()
    assert engines[False].softness is None


def test_two_hands(engines, official_models, sample_frame, captured, monkeypatch):
    """Each is moved and named; both on one head; at once or afterwards."""
    seen = engines[True].landmarker.hands(sample_frame.pixels)[0]
    other = replace(seen, side="left", points=seen.points + [90.0, 0])
    for engine in engines.values():
        monkeypatch.setattr(engine.landmarker, "hands", lambda *_: [seen, other])
    capture = captured(0.01, fix=True, hand="both")
    assert [hand.side for hand in capture.hands] == ["right", "left"] and deepest(capture) <= 2
    (note,) = (note for note in capture.notes if note.startswith("Contact was fixed"))
    assert "the right hand was moved by" in note and "and the left hand was moved by" in note
    assert all(hand.contact.max() > 0.5 for hand in capture.hands)
    balls = as_balls(engines[True].bodies)
    monkeypatch.setattr(Bodies, "load", lambda models: balls)
    assert_fixed_alike(fixed(captured(0.01, fix=False, hand="both"), official_models), capture)
