# SPDX-License-Identifier: GPL-3.0-or-later
"""`evaluate`: figures that can be worked out by hand or by another library, and the command as a user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import head_model
from dice_core.evaluate.comparison import Case, compare
from dice_core.evaluate.figures import face_part, mean, solid_faces
from dice_core.evaluate.metrics import contact_score
from dice_core.evaluate.summary import balanced_accuracy, confusion, summarise
from dice_core.result.store import save
from dice_core.types import Camera, Capture, Hand, Head

RADIUS = 0.1
MIDDLE = np.array([0.02, -0.01, 0.6])
BALL, SMALL = trimesh.creation.icosphere(3, RADIUS), trimesh.creation.icosphere(2, 0.02)


def a_hand(side: str = "right", depth: float = 0.0) -> Hand:
    """A small ball whose foremost point is so deep in the head, beside it."""
    centre = MIDDLE + [RADIUS + 0.02 - depth, 0, 0]
    vertices = SMALL.vertices + centre
    contact = np.float32(SMALL.vertices[:, 0] < -0.015)
    joints = vertices[:21]
    return Hand(side, np.float32(vertices), np.int32(SMALL.faces), contact, np.float32(joints))  # type: ignore[arg-type]


def a_truth(*hands: Hand, touch: bool = True) -> Capture:
    """A ball with a dent of up to 4 mm where the hand lies, and the hand: it touches unless told otherwise."""
    near = BALL.vertices[:, 0] > 0.09
    dent = np.where(near[:, None], [-0.004, 0, 0], 0) * touch
    head = Head(
        np.float32(BALL.vertices + MIDDLE), np.int32(BALL.faces), np.float32(dent), np.float32(near * touch),
        np.float32(BALL.vertices[:68] + MIDDLE),
    )  # fmt: skip
    camera = Camera((640, 480), matrix=np.float32([[700, 0, 320], [0, 700, 240], [0, 0, 1]]))
    state = "touch" if touch else "no-touch" if hands else "no-hand"
    return Capture("truth", "a.jpg", camera, head, hands, state, float(touch))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def truth() -> Capture:
    return a_truth(a_hand(depth=0.004))


def moved(capture: Capture, turn: NDArray, scale: float, shift: NDArray) -> Capture:
    """Everything turned, scaled and shifted; the displacement only turned."""

    def points(array: NDArray) -> NDArray:
        return np.float32(scale * array.astype(float) @ turn + shift)

    head = replace(
        capture.head, vertices=points(capture.head.vertices), landmarks=points(capture.head.landmarks),
        deformation=np.float32(capture.head.deformation @ turn),
    )  # fmt: skip
    hands = tuple(replace(hand, vertices=points(hand.vertices), joints=points(hand.joints)) for hand in capture.hands)
    return replace(capture, head=head, hands=hands)


def figures(prediction: Capture | None, truth: Capture) -> dict[str, float]:
    return compare("a", prediction, truth).figures  # type: ignore[return-value]


def test_the_truth_itself_has_no_error(truth):
    found = figures(truth, truth)
    assert all(value == pytest.approx(0, abs=1e-4) for name, value in found.items() if name.startswith(("pve", "mpj")))
    assert all(value == 1 for name, value in found.items() if name.startswith("contact_"))
    assert found["zero_baseline_mm"] == pytest.approx(4, abs=1e-4)
    numbers = summarise([compare("a", truth, truth)]).values
    assert numbers["detection_rate"] == 1 and numbers["deformation_error_ratio"] == pytest.approx(0, abs=1e-4)


def test_a_shift_of_all_is_an_error_of_place_only(truth):
    found = figures(moved(truth, np.eye(3), 1, np.array([0.003, 0, 0.004])), truth)
    for name in ("pve_head_mm", "pve_hand_mm", "mpjpe_head_mm", "mpjpe_hand_mm"):
        assert found[name] == pytest.approx(5, abs=1e-3), name
    for name in ("pve_star_head_mm", "pve_star_hand_mm", "pa_mpvpe_head_mm", "pa_mpvpe_hand_mm", "hand_rel_head_mm"):
        assert found[name] == pytest.approx(0, abs=1e-3), name


def test_a_shift_of_the_hand_alone_is_an_error_relative_to_the_head(truth):
    (hand,) = truth.hands
    away = replace(truth, hands=(replace(hand, vertices=hand.vertices + np.float32([0, 0.007, 0])),))
    found = figures(away, truth)
    for name in ("pve_hand_mm", "pve_star_hand_mm", "hand_rel_head_mm"):
        assert found[name] == pytest.approx(7, abs=1e-3), name
    assert found["pa_mpvpe_hand_mm"] == pytest.approx(0, abs=1e-3) and found["pve_head_mm"] == 0


def test_turn_size_and_place_do_not_matter_after_alignment(truth):
    turn = Rotation.from_rotvec([0.2, -0.4, 0.3]).as_matrix()
    found = figures(moved(truth, turn, 1.2, np.array([0.05, 0.02, -0.1])), truth)
    assert found["pve_star_head_mm"] > 10
    for name in ("pa_mpvpe_hand_mm", "hand_rel_head_mm", "deformation_error_mm", "deformation_outside_max_mm"):
        assert found[name] == pytest.approx(0, abs=1e-2), name


def test_alignment_agrees_with_scipy(truth):
    random = np.random.default_rng(4)
    noisy = truth.hands[0].vertices + random.normal(0, 0.002, truth.hands[0].vertices.shape)
    found = figures(replace(truth, hands=(replace(truth.hands[0], vertices=np.float32(noisy)),)), truth)
    true = truth.hands[0].vertices.astype(float)
    first, second, _ = procrustes(true, np.float32(noisy))
    size = np.linalg.norm(true - true.mean(0))
    expected = 1000 * size * np.linalg.norm(first - second, axis=1).mean()
    assert found["pa_mpvpe_hand_mm"] == pytest.approx(expected, rel=1e-6)


def test_contact_sets_by_hand():
    """On a line: said at 0 mm, true at 4 and at 10 mm."""
    places = np.array([[0, 0, 0], [0.004, 0, 0], [0.010, 0, 0], [0.040, 0, 0]])
    said, true = np.array([1, 0, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert contact_score(said, true, places, 0) == (0, 0, 0)
    assert contact_score(said, true, places, 0.005) == pytest.approx((1, 0.5, 2 / 3))
    assert contact_score(said, true, places, 0.012) == (1, 1, 1)
    also_far = said | np.array([0, 0, 0, 1], bool)
    assert contact_score(also_far, true, places, 0.012) == pytest.approx((0.5, 1, 2 / 3))
    assert contact_score(~said & ~true & False, true, places, 0.012) == (None, 0, 0)
    assert contact_score(said, true & False, places, 0.012) is None


def test_contact_sets_agree_with_all_distances():
    random = np.random.default_rng(6)
    places = random.uniform(0, 0.05, (80, 3))
    for radius in (0.005, 0.012):
        said, true = random.uniform(size=(2, 80)) < 0.2
        near = cdist(places[said], places[true]) <= radius
        score = contact_score(said, true, places, radius)
        assert score[:2] == pytest.approx((near.any(1).mean(), near.any(0).mean()))


def test_contact_beside_the_true_one_counts_by_its_distance(truth):
    truth = moved(truth, np.eye(3), 0.5, np.zeros(3))  # neighbours on the hand are 3 mm apart
    (hand,) = truth.hands
    beside = np.float32((SMALL.vertices[:, 0] > -0.014) & (SMALL.vertices[:, 0] < 0.01))
    found = figures(replace(truth, hands=(replace(hand, contact=beside),)), truth)
    near = [contact_score(beside > 0, hand.contact > 0, hand.vertices, radius).f1 for radius in (0, 0.005, 0.012)]
    assert [found[f"contact_f1_{label}_hand"] for label in ("exact", "5mm", "12mm")] == near
    assert 0 == near[0] < near[1] < near[2] <= 1


def test_contact_is_found_by_its_threshold_and_only_where_something_touches(truth):
    faint = replace(truth, head=replace(truth.head, contact=0.49 * truth.head.contact))
    assert figures(faint, truth)["contact_f1_12mm_head"] == 0
    calm = a_truth(a_hand(depth=-0.03), touch=False)
    assert figures(truth, calm)["contact_f1_12mm_head"] is None
    assert summarise([compare("a", truth, calm)]).values["contact_f1_12mm_head"] is None


def test_two_cases_by_hand(truth):
    """One touch that was seen, one that was imagined: each truth's share is 1 and 0."""
    calm = a_truth(a_hand(depth=-0.03), touch=False)
    cases = [compare("a", truth, truth), compare("b", truth, calm)]
    summary = summarise(cases)
    assert summary.confusion["touch"] == {"touch": 1, "unsure": 0, "no-touch": 0, "missed": 0}
    assert summary.confusion["no-touch"] == {"touch": 1, "unsure": 0, "no-touch": 0, "missed": 0}
    assert summary.values["contact_state_balanced_accuracy"] == 0.5
    assert summary.values["no_touch_deformation_max_mm"] == pytest.approx(4, abs=1e-4)
    assert summary.values["no_touch_contact_max"] == 1


def test_unsure_and_missed_do_not_count_as_decided():
    said = {("touch", "touch"): 3, ("touch", "no-touch"): 1, ("touch", "unsure"): 2, ("touch", "missed"): 5,
            ("no-touch", "no-touch"): 2, ("no-touch", "unsure"): 2}  # fmt: skip
    cases = [Case("a", true, answer, ()) for (true, answer), count in said.items() for _ in range(count)]
    assert confusion(cases)["touch"] == {"touch": 3, "unsure": 2, "no-touch": 1, "missed": 5}
    assert balanced_accuracy(confusion(cases)) == pytest.approx((3 / 4 + 1) / 2)
    assert summarise(cases).values["contact_state_unsure"] == pytest.approx(4 / 10)


def test_where_no_hand_is_none_is_the_right_answer(truth):
    nobody = a_truth(touch=False)
    right = compare("a", nobody, nobody)
    assert (right.truth, right.answer, right.missing) == ("no-touch", "no-touch", ())
    assert compare("a", truth, nobody).answer == "touch"
    assert compare("a", None, nobody).answer == "missed", "there is a head"
    lost = compare("a", replace(truth, hands=(), contact_state="no-hand"), truth)
    assert (lost.answer, lost.missing) == ("missed", ("right hand",))
    assert lost.plausibility == {} and lost.figures.get("penetration_mm") is None


@pytest.mark.parametrize("turn", [np.eye(3), Rotation.from_rotvec([0, 0.5, 0.2]).as_matrix()], ids=["as is", "turned"])
def test_half_the_dent_is_half_the_error(truth, turn):
    half = replace(truth, head=replace(truth.head, deformation=truth.head.deformation / 2))
    case = compare("a", moved(half, turn, 1, np.zeros(3)), truth)
    assert case.figures["deformation_error_mm"] == pytest.approx(2, abs=1e-3)
    assert case.figures["deformation_outside_max_mm"] == pytest.approx(0, abs=1e-3)
    nothing = replace(truth, head=replace(truth.head, deformation=0 * truth.head.deformation))
    numbers = summarise([case]).values
    assert numbers["deformation_error_ratio"] == pytest.approx(0.5, abs=1e-3)
    both = summarise([case, compare("b", nothing, truth)]).values
    assert both["deformation_error_ratio"] == pytest.approx(0.75, abs=1e-3)


def test_skin_that_moves_beside_the_dent_is_told(truth):
    place = BALL.vertices[:, 0]
    beside = np.where((place > 0.07) & (place <= 0.09), 0.001, 0)
    wrong = truth.head.deformation + np.float32(beside[:, None] * [0, 1, 0])
    found = figures(replace(truth, head=replace(truth.head, deformation=wrong)), truth)
    assert found["deformation_error_mm"] == pytest.approx(0, abs=1e-4)
    assert found["deformation_outside_max_mm"] == pytest.approx(1, abs=1e-4)
    assert 0 < found["deformation_outside_mm"] < 1


@pytest.mark.parametrize("depth", [0.06, 0.012, 0.003, -0.02])
def test_penetration_of_a_ball(depth):
    """The deepest point of the hand is so deep; head and truth are not dented."""
    flat = a_truth(a_hand(depth=depth), touch=False)
    found = figures(flat, flat)
    assert found["penetration_mm"] == pytest.approx(max(1000 * depth, 0), abs=0.3)


def test_plausibility_is_that_of_the_papers():
    """At the surface, 12 mm deep, and away from the head where the truth touches; away where it is away too."""
    touching, away = (a_truth(a_hand(depth=depth), touch=False) for depth in (0.001, -0.1))
    cases = [compare(str(depth), a_truth(a_hand(depth=depth), touch=False), touching) for depth in (0.001, 0.012, -0.1)]
    cases.append(compare("away", away, away))
    values, counts = (getattr(summarise(cases), name) for name in ("values", "counts"))
    for rule in ("paper", "closed"):
        assert values[f"non_collision_ratio_{rule}"] == 3 / 4
        assert values[f"touchness_ratio_{rule}"] == pytest.approx(2 / 3) and counts[f"touchness_ratio_{rule}"] == 3
        assert values[f"plausibility_f_score_{rule}"] == pytest.approx(2 * (3 / 4) * (2 / 3) / (3 / 4 + 2 / 3))
        assert 0 < values[f"collision_distance_mm_{rule}"] < 4
    depths = [case.figures["penetration_mm"] for case in cases]
    assert values["penetration_mm_p95"] == pytest.approx(np.percentile(depths, 95))
    none = summarise(cases[-1:]).values
    assert none["non_collision_ratio_paper"] == 1 and none["touchness_ratio_paper"] is None


def test_a_hand_of_the_other_side_is_compared_and_told(truth):
    case = compare("a", replace(truth, hands=(replace(truth.hands[0], side="left"),)), truth)
    assert case.wrong_side == 1 and case.detected and case.figures["pve_hand_mm"] == 0


def test_two_hands_are_averaged_and_the_one_that_lacks_is_missing():
    true = a_truth(a_hand("right"), a_hand("left", -0.05))
    shifted = replace(true.hands[0], vertices=true.hands[0].vertices + np.float32([0, 0, 0.006]))
    both, one = (replace(true, hands=hands) for hands in ((shifted, true.hands[1]), (shifted,)))
    assert figures(both, true)["pve_hand_mm"] == pytest.approx(3, abs=1e-3)
    case = compare("a", one, true)
    assert case.missing == ("left hand",) and case.wrong_side == 0
    assert case.figures["pve_hand_mm"] == pytest.approx(6, abs=1e-3)


def test_interaction_is_three_stages(truth):
    stages = {"landmarks": 1.0, "placement": 0.2, "contact": 0.03, "deformation": 0.004}
    timed = replace(truth, timings=stages)
    assert figures(timed, truth)["interaction_ms"] == pytest.approx(234)
    assert "interaction_ms" not in figures(truth, truth)
    cases = [compare("a", replace(truth, timings=stages | {"contact": c}), truth) for c in (0.03, 0.05, 9)]
    assert summarise(cases).values["interaction_ms_median"] == pytest.approx(254)


def test_means_are_of_what_is_defined():
    assert mean([1.0, None, 3.0]) == 2 and mean([None]) is None and mean([]) is None
    assert summarise([]).values["detection_rate"] is None


def test_the_open_head_is_measured_as_its_engine_does(sample_capture):
    head = head_model()
    frontal = (head.part == 0) & (head.mean[:, 2] < -0.03) & (head.mean[:, 1] < 0.06)
    assert np.array_equal(face_part(len(head.mean)), frontal) and face_part(7).all()
    tongue = set(np.flatnonzero(head.part == 4))
    kept = [face for face in head.faces.tolist() if not tongue & set(face)]
    assert np.array_equal(solid_faces(sample_capture.head), kept)
    found = figures(sample_capture, sample_capture)
    assert found["penetration_mm"] == pytest.approx(sample_capture.quality["penetration_mm"], abs=0.02)
    assert found["pa_mpvpe_head_mm"] == pytest.approx(0, abs=1e-3)


@pytest.fixture
def folders(truth, tmp_path: Path) -> Path:
    """pred and truth: a is right, b was not found."""
    for name in ("pred/a", "truth/a", "truth/b"):
        save(tmp_path / f"{name}.npz", truth)
    return tmp_path


def table(out: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for line in out.splitlines() if (words := line.split())}


def test_two_files(command, folders):
    ran = command("evaluate", "pred/a.npz", "truth/b.npz", "--json", "out/figures.json")
    assert ran.code == 0 and ran.err == "", ran.err
    said = table(ran.out)
    assert said["detection_rate"] == ["1.000", "1"] and said["pve_head_mm"] == ["0.000", "1"]
    assert said["wrote"] == ["out/figures.json"]
    written = json.loads((folders / "out" / "figures.json").read_text())
    assert written["summary"]["contact_f1_12mm_head"] == 1
    case = written["cases"]["b"]
    assert case["detected"] and case["answer"] == "touch" and case["plausibility"]["paper"]["should_touch"]
    assert case["figures"]["contact_f1_5mm_hand"] == 1


def test_folders_with_one_that_was_not_found(command, folders, truth):
    save(folders / "pred" / "spare.npz", truth)
    ran = command("evaluate", "pred", "truth", "--json", "figures.json")
    assert ran.code == 0 and ran.err == "", ran.err
    said = table(ran.out)
    assert said["detection_rate"] == ["0.500", "2"] and said["pve_hand_mm"] == ["0.000", "1"]
    assert said["touch"] == ["1", "0", "0", "1"], "one said, one missed"
    assert "left aside: spare" in ran.out
    written = json.loads((folders / "figures.json").read_text())
    assert written["cases"]["b"]["missing"] == ["head", "right hand"] and written["unknown"] == ["spare"]


def test_a_broken_file_is_named_and_the_others_go_on(command, folders):
    (folders / "pred" / "b.npz").write_bytes(b"PK\x03\x04 not really")
    ran = command("evaluate", "pred", "truth", "--json", "figures.json")
    assert ran.code == 1 and "Traceback" not in ran.err
    assert "b.npz is not a capture result" in ran.err and "pred" in ran.err and len(ran.err.splitlines()) == 2
    assert table(ran.out)["detection_rate"] == ["1.000", "1"]
    assert list(json.loads((folders / "figures.json").read_text())["problems"]) == ["b"]


def test_other_meshes_are_told(command, folders, make_capture):
    save(folders / "pred" / "b.npz", make_capture())
    for arguments in (("pred/b.npz", "truth/b.npz"), ("pred", "truth")):
        ran = command("evaluate", *arguments)
        assert ran.code == 1 and "Traceback" not in ran.err
        assert "The truth of b is of another body model" in ran.err and ran.err.startswith("Error: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "truth"), "no file or folder nowhere"),
        (("pred", "nowhere.npz"), "no file or folder nowhere.npz"),
        (("empty", "truth"), "empty holds no .npz file"),
        (("pred", "empty"), "empty holds no .npz file"),
        (("pred", "truth/a.npz"), "is a folder and"),
        (("pred/a.npz", "letter.npz"), "letter.npz is not a capture result"),
    ],
)
def test_what_cannot_be_compared_is_1(command, folders, arguments, words):
    (folders / "empty").mkdir()
    (folders / "letter.npz").write_text("Dear Anna,")
    ran = command("evaluate", *arguments, "--json", "figures.json")
    assert ran.code == 1 and ran.out == "" and not (folders / "figures.json").exists()
    told = ran.err.splitlines()
    assert len(told) == 2 and words in told[0] and all(line.endswith(".") for line in told), ran.err


@pytest.mark.parametrize("arguments", [["a.npz"], ["a", "b", "--json", "figures.txt"], ["", "b"]])
def test_wrong_usage_is_2(command, arguments):
    ran = command("evaluate", *arguments)
    assert ran.code == 2 and "usage:" in ran.err


def test_a_benchmark_of_two_pictures(sample, sample_capture, tmp_path):
    """One whose truth is what the engine found, and one in which there is nothing to find."""
    from tools.benchmark.run import KEYS, run

    cases, out = tmp_path / "cases", tmp_path / "out"
    for name in ("face #1", "wall"):
        save(cases / f"{name}.npz", replace(sample_capture, engine="truth"))
    (cases / "face #1.jpg").write_bytes(sample.read_bytes())
    Image.new("RGB", (320, 240), "grey").save(cases / "wall.jpg")
    (cases / "index.json").write_text(json.dumps({"cases": ["face #1", {"name": "wall", "pose": "<none>"}]}))
    (cases / "wall.figure.npz").write_bytes(b"what somebody else keeps there")
    save(out / "benchmark" / "predictions" / "wall.npz", sample_capture)  # of an earlier run
    assert run(cases, out, page=True) == 0
    written = json.loads((out / "benchmark.json").read_text())
    assert list(written) == ["cases", *KEYS, "details"]
    assert written["cases"] == 2 and written["detection_rate"] == 0.5
    assert written["hand_rel_head_mm"] == pytest.approx(0, abs=1e-3) and written["contact_f1_12mm_head"] == 1
    assert [path.name for path in (out / "benchmark" / "predictions").iterdir()] == ["face #1.npz"]
    page = (out / "benchmark" / "index.html").read_text()
    pictures = list((out / "benchmark" / "pictures").iterdir())
    assert len(pictures) == 6 + 2 and all(path.stat().st_size <= 60_000 for path in pictures)
    assert all(f"pictures/{quote(path.name)}" in page for path in pictures)
    assert "pose: &lt;none&gt;" in page and "missing: head, right hand" in page
