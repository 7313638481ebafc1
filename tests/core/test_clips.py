# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's clips: what moves moves as told, the truth is true, and the pictures show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from dice_core.body.openbody import SKIN, head_model
from dice_core.evaluate.sequences import motion_figures
from dice_core.interaction.distance import Surface
from dice_core.result.sequence import Sequence
from tools.benchmark import appearance_skin, clips_look, clips_press
from tools.benchmark.clips import clips, draw
from tools.benchmark.clips_motion import LAP, Clip, HandPlan, followed, minimum_jerk, noise
from tools.benchmark.clips_people import Motion, moved, person_of
from tools.benchmark.clips_raster import seen
from tools.benchmark.clips_truth import CONTACT, Truth, complaint, truth_of, write

SIZE = (200, 150)
STREWN = 0.0005  # metres between the points strewn over the skin
SMALL = Clip("small", 1, 24, 4.01 / 24, (
    HandPlan("right", "tips", "cheek", "right", ((0.0, (-0.03, 0.02, 0.0)), (2 / 24, (0.0, 0.0, 0.0))),
             ((0.0, 0.03), (2 / 24, 0.0)), ((2 / 24, 0.0), (3 / 24, 0.002))),
), size=SIZE)  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Four frames of a hand that comes, touches and presses: the clip as it moves, its truth, and where it is."""
    folder = tmp_path_factory.mktemp("clips")
    person = person_of(SMALL, 0)
    motion = moved(SMALL, person, 0)
    truth = truth_of(motion)
    write(folder / "small", SMALL, motion, truth)
    plainly(SMALL, motion, truth, folder / "small.mp4")
    return motion, truth, folder


def plainly(clip: Clip, motion: Motion, truth: Truth, path: Path) -> None:
    """Draw without what takes seconds: painted skin, and shade in every fold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips_look, "SIDES", 6)
        for paint in ("paint_head", "paint_hand"):
            patch.setattr(appearance_skin, paint, lambda *_: np.full((64, 64, 3), 190, np.uint8))
        draw(clip, motion, truth, path)


def test_the_list_is_what_a_benchmark_of_movement_needs():
    tune, test = clips("tune"), clips("test")
    assert [clip.name for clip in tune] == [clip.name for clip in test] and len(tune) >= 6
    assert not {clip.seed for clip in tune} & {clip.seed for clip in test}
    assert {clip.rate for clip in tune} == {24, 30} and {len(clip.hands) for clip in tune} == {1, 2}
    assert all(3 <= clip.seconds <= 10 for clip in tune)
    assert max(press for clip in tune for plan in clip.hands for _, press in plan.press) <= 0.006


def test_tracks_rest_in_their_keys():
    """Between two keys a hand moves by the minimum-jerk polynomial, in the middle 15/8 as fast as on average."""
    times = np.linspace(-1, 4, 501)
    values = followed(((0.0, 1.0), (2.0, 5.0), (3.0, 2.0)), times)
    assert values[times <= 0] == pytest.approx(1) and values[times >= 3] == pytest.approx(2)
    assert np.interp([1.0, 2.0], times, values) == pytest.approx([3.0, 5.0], abs=1e-6)
    assert np.gradient(values, times)[200] == pytest.approx(15 / 8 * 2, rel=1e-3)
    places = followed(((0, LAP), (1, (0, 0, 0))), np.array([0, 0.5, 1]))
    assert places == pytest.approx(np.array([LAP, np.array(LAP) / 2, np.zeros(3)]))
    assert minimum_jerk(np.array([-1, 0, 1, 2])).tolist() == [0, 0, 1, 1]


def test_noise_is_as_strong_as_told_and_smooth():
    times = np.arange(0, 400, 1 / 24)
    made = noise(np.random.default_rng(0), times, np.array([0.01, 1.0]), 0.5)
    assert made.std(0) == pytest.approx([0.01, 1.0], rel=0.15)
    speed = np.diff(made, axis=0).std(0) * 24
    assert speed == pytest.approx(np.array([0.01, 1.0]) / (0.5 * np.sqrt(2)), rel=0.15)  # of Gaussian noise


def test_forces_push_and_planes_hold():
    """The active set's answer is the one of a non-negative least-squares problem of the same energy."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        levers, root = rng.normal(size=(12, 9)), rng.normal(size=(9, 9))
        compliance, slack = root @ root.T, rng.uniform(0.1, 1, 12)
        gap = rng.normal(size=12)
        force = clips_press._forces(levers, compliance, slack, gap)
        factor = np.linalg.cholesky(levers @ compliance @ levers.T + np.diag(slack)).T
        expected = nnls(factor, np.linalg.solve(factor.T, -gap))[0]
        assert force == pytest.approx(expected, abs=1e-9)


def test_the_truth_is_true(small):
    """The hand stays out of the skin, and what is called contact is: told by points strewn over the skin."""
    motion, truth, _ = small
    assert complaint(SMALL, motion, truth) == ""
    held, model = motion.hands[0], head_model()
    corners = (motion.head(3) + truth.dent[3])[model.solid]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    strewn = np.concatenate([np.einsum("sk,fkd->fsd", weights, corners).reshape(-1, 3), corners.reshape(-1, 3)])
    distance = cKDTree(strewn).query(held.vertices[3])[0]
    assert (distance[truth.on_hands[0][3]] < CONTACT + STREWN).all()
    assert (distance[~truth.on_hands[0][3]] > CONTACT - STREWN).all()
    assert truth.left.max() < 0.0005 and truth.gap[0, 0] > 0.02 and truth.gap[3, 0] < 0.0005
    assert not truth.dent[0].any() and 0.001 < np.linalg.norm(truth.dent[3], axis=1).max() < 0.005
    assert set(np.flatnonzero(truth.on_head[3])) <= set(np.flatnonzero(model.part == SKIN))
    undented = Surface(motion.head(3), model.solid, model.neck_rim).nearest(held.vertices[3]).distance.min()
    assert undented < -0.001


def test_the_folder_is_a_sequence(small):
    motion, truth, folder = small
    sequence = Sequence.load(folder / "small")
    assert sequence.info.engine == "truth" and sequence.info.count == 4 and sequence.info.rate == 24
    assert sequence.curve("contact_state").tolist()[::3] == ["no-touch", "touch"]
    assert sequence.vertices("head", 2) == pytest.approx(motion.head(2), abs=1e-6)
    assert sequence.deformation(3) == pytest.approx(truth.dent[3])
    hand = sequence.capture(3).hands[0]
    assert hand.skeleton is not None and hand.contact.sum() == truth.on_hands[0][3].sum()
    model, parameters = motion.hands[0].model, sequence.capture(3).params["hand_right_parameters"]
    assert model.pose(parameters[None].astype(float))[0][0] == pytest.approx(hand.vertices, abs=1e-5)
    figures = motion_figures(sequence, sequence)
    assert figures["acceleration_error_hand_at_head_mm"] == pytest.approx(0, abs=1e-3)
    assert figures["hand_change_mm"] == pytest.approx(0, abs=1e-2)
    assert figures["head_change_mm"] == pytest.approx(0, abs=1e-2)


def test_the_movie_shows_it(small):
    """Frames and rate are kept, something moves, and the same seeds draw the same again."""
    motion, truth, folder = small
    movie = cv2.VideoCapture(str(folder / "small.mp4"))
    assert movie.get(cv2.CAP_PROP_FPS) == 24
    pictures = []
    while True:
        there, picture = movie.read()
        if not there:
            break
        pictures.append(picture.astype(float))
    assert len(pictures) == 4 and pictures[0].shape == (*SIZE[::-1], 3)
    assert np.abs(pictures[3] - pictures[0]).mean() > 0.5
    again = folder / "again.mp4"
    plainly(replace(SMALL, seconds=1.01 / 24), motion, truth, again)
    assert np.array_equal(cv2.VideoCapture(str(again)).read()[1], pictures[0].astype(np.uint8))


def test_pixels_show_the_nearest_triangle():
    """Each pixel's centre, on its triangle by the weights, is where that pixel looks; a ray finds nothing before it."""
    model, focal = head_model(), 300.0
    vertices = (model.mean + [0.01, -0.02, 0.6]).astype(np.float32)
    shown = seen(vertices, model.faces, SIZE, focal)
    places = shown.at(vertices, model.faces)
    row, column = np.divmod(shown.pixel, SIZE[0])
    looked = focal * places[:, :2] / places[:, 2:] + np.array(SIZE) / 2
    assert looked == pytest.approx(np.stack([column, row], 1) + 0.5, abs=0.01)
    rays = places[::499] / places[::499, 2:]
    for ray, place in zip(rays.astype(float), places[::499], strict=True):
        assert first_hit(vertices.astype(float)[model.faces], ray) == pytest.approx(place[2], abs=1e-4)


def first_hit(corners: np.ndarray, ray: np.ndarray) -> float:
    """How far along a ray from the origin it meets the first of (F, 3, 3) triangles."""
    sides = corners[:, 1:] - corners[:, :1]
    matrix = np.stack([sides[:, 0], sides[:, 1], np.tile(-ray, (len(corners), 1))], 2)
    across = np.abs(np.linalg.det(matrix)) > 1e-15
    second, third, along = np.linalg.solve(matrix[across], -corners[across, 0, :, None])[..., 0].T
    inside = (second > -1e-6) & (third > -1e-6) & (second + third < 1 + 1e-6) & (along > 0)
    return float(along[inside].min())


def test_a_person_can_be_made_again(small):
    """Everything follows from the seed, and the trial."""
    first, again = small[0].person, person_of(SMALL, 0)
    assert np.array_equal(first.rest, again.rest) and first.focal == again.focal
    assert np.array_equal(first.ways[0].parameters, again.ways[0].parameters)
