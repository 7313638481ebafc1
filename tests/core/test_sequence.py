# SPDX-License-Identifier: GPL-3.0-or-later
"""A short movie into a folder: one person throughout, gaps, smoothing anew, and every way to be interrupted."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from dice_core.client import Client
from dice_core.errors import Cancelled, DiceError, MediaError, NothingFound
from dice_core.paths import ROOT
from dice_core.protocol import Failure, Glimpse, ProgressMessage, SequenceDone
from dice_core.result.sequence import Sequence
from dice_core.sequence.folder import CHUNK, Folder
from dice_core.sequence.job import Settings

from .clips import RATE, SIZE, differences, everything, write_clip

EMPTY, THERE, GONE = 26, 18, 6  # frames: more than a second without anybody, then the person, who leaves
COUNT = EMPTY + THERE + GONE


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shown = [False] * EMPTY + [True] * THERE + [False] * GONE
    return write_clip(tmp_path_factory.mktemp("clip") / "Filmaufnahme – 1.mp4", shown)


@pytest.fixture(scope="module")
def folder(pipeline, movie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The movie, captured in one go."""
    return pipeline.capture_sequence([movie], tmp_path_factory.mktemp("captured") / "clip", Settings())


@pytest.fixture(scope="module")
def sequence(folder: Path) -> Sequence:
    return Sequence.load(folder)


def test_no_frame_is_lost(sequence: Sequence, movie: Path) -> None:
    assert (sequence.info.count, sequence.info.rate, sequence.info.image_size) == (COUNT, RATE, SIZE)
    assert sequence.info.source == movie.name and not list(sequence.folder.glob("*.partial"))
    assert sorted(sequence.parts) == ["hand_right", "head"]


def test_gaps_stay_gaps_and_the_last_pose_is_held(sequence: Sequence) -> None:
    """Nobody in the first second, and the person leaves."""
    for part in sequence.parts:
        seen = sequence.seen(part)
        assert not seen[:EMPTY].any() and not seen[EMPTY + THERE :].any()
        assert seen[EMPTY + 1 : EMPTY + THERE].mean() > 0.8, part
        assert (sequence.curve(f"{part}_confidence")[~seen] == 0).all()
        assert (sequence.curve(f"{part}_confidence")[seen] > 0.4).all()
        first, last = np.flatnonzero(seen)[[0, -1]]
        vertices = sequence.caches[part]
        assert np.ptp(vertices[: first + 1], axis=0).max() == 0
        assert np.ptp(vertices[last:], axis=0).max() == 0
    states = sequence.curve("contact_state")
    assert set(states[:EMPTY]) == set(states[EMPTY + THERE :]) == {"no-head"}
    assert sequence.capture(0).head is None and sequence.capture(0).hands == ()


def test_the_touch_is_found_and_the_skin_gives_way(sequence: Sequence) -> None:
    middle = slice(EMPTY + 4, EMPTY + THERE - 2)
    assert set(sequence.curve("contact_state")[middle]) == {"touch"}
    assert (sequence.curve("contact_probability")[middle] > 0.5).all()
    deformation = 1000 * np.linalg.norm(sequence.caches["head_deformation"], axis=2).max(1)
    assert (deformation[middle] > 0.5).all() and (deformation[: EMPTY - 1] == 0).all()
    assert (sequence.curve("quality_penetration_mm") <= 1.0).all()  # as it is measured
    assert (sequence.curve("quality_pressed_mm")[middle] > 0.5).all()
    capture = sequence.capture(EMPTY + 9)
    assert capture.frame == EMPTY + 9 and capture.contact_state == "touch"
    assert capture.head is not None and capture.head.contact.max() > 0.5 and capture.hands[0].contact.max() > 0.5


def test_nothing_penetrates_after_smoothing(sequence: Sequence) -> None:
    """By another measure than the engine's: winding numbers of the deformed head."""
    from dice_core.evaluate.plausibility import judge

    for frame in (EMPTY + 5, EMPTY + 10, EMPTY + 14):
        head, hand = sequence.capture(frame).head, sequence.capture(frame).hands[0]
        depth = judge(head.vertices + head.deformation, head.faces, hand.vertices, "closed").depth
        assert 1000 * depth.max() < 2.0


def test_it_is_one_person(sequence: Sequence) -> None:
    """Distances that no pose changes: between points of the skull, and of a finger's bones."""
    there = sequence.seen("head")
    eyes = sequence.curve("head_landmarks")[there][:, [36, 45]]  # outer corners; lids hardly move them
    apart = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1)
    assert np.ptp(apart) < 0.002
    joints = sequence.curve("hand_right_joints")
    for first, second in ((0, 9), (5, 6), (6, 7)):
        lengths = np.linalg.norm(joints[:, first] - joints[:, second], axis=1)
        assert np.ptp(lengths) < 1e-5


def test_the_meshes_lie_on_the_picture(sequence: Sequence) -> None:
    """The truth is the sample's: the same person as in one picture, moved as the clip was made."""
    first = sequence.capture(EMPTY + 8)
    assert first.quality["face_error"] < 1.5 and first.quality["hand_right_error"] < 6
    landmarks = first.camera.project(first.head.landmarks)
    assert (landmarks > 0).all() and (landmarks < SIZE).all()


def test_the_parameters_pose_the_meshes(sequence: Sequence) -> None:
    from dice_core.body.openbody import hand_model, head_model
    from dice_core.body.skinning import rotation_matrices

    capture = sequence.capture(EMPTY + 7)
    params = {name: value.astype(float) for name, value in capture.params.items()}
    rest = head_model().vertices(params["head_identity"], params["head_expression"])
    posed = rest @ rotation_matrices(params["head_global_orient"]).T + params["head_transl"]
    assert np.abs(posed - capture.head.vertices).max() < 1e-6
    keys = ("global_orient", "transl", "betas", "pose")
    vector = np.concatenate([params[f"hand_right_{key}"] for key in keys])
    assert np.abs(hand_model("right").pose(vector[None])[0][0] - capture.hands[0].vertices).max() < 1e-6


def test_smoothing_anew_is_as_if_captured_so(pipeline, movie: Path, folder: Path, tmp_path: Path) -> None:
    """And looks at nothing again: the movie is gone."""
    again = shutil.copytree(folder, tmp_path / "again")
    facts = Folder(again).facts
    Folder(again).note(source=facts["source"] | {"paths": ["gone.mp4"]})
    pipeline.smooth_sequence(again, 0.0)
    rough = Sequence.load(again)
    smooth = Sequence.load(folder)
    middle = slice(EMPTY + 2, EMPTY + THERE - 2)

    def shaking(sequence: Sequence, part: str) -> float:
        return float(np.linalg.norm(np.diff(sequence.caches[part][middle], 2, axis=0), axis=2).mean())

    for part in smooth.parts:
        assert shaking(smooth, part) < 0.7 * shaking(rough, part)
    del rough
    told: list[float] = []
    pipeline.smooth_sequence(again, 0.5, lambda stage, share: told.append(share))
    assert told[0] == 0 and told == sorted(told) and 0.5 < told[-1] <= 1
    assert differences(everything(again), everything(folder)) == []
    with pytest.raises(DiceError, match="smoothing of 2"):
        pipeline.smooth_sequence(again, 2)
    with pytest.raises(DiceError, match="holds no captured sequence"):
        pipeline.smooth_sequence(tmp_path / "nothing", 0.5)


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
def test_smoothing_interrupted_while_it_forgets(
    pipeline, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: int
) -> None:
    """Before each step that is to be made again; nothing of the old movement may remain."""
    again = shutil.copytree(folder, tmp_path / "again")
    drop = Folder.drop

    def dying(self: Folder, *steps: str) -> None:
        drop(self, *steps[:reached])
        if reached == 3:
            (again / "frames").mkdir()
            shutil.copy(folder / "frames" / "000000.npz", again / "frames")  # it had not come to this one yet
        raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "drop", dying)
    with pytest.raises(KeyboardInterrupt):
        pipeline.smooth_sequence(again, 0.0)
    monkeypatch.undo()
    with pytest.raises(DiceError, match="not finished"):
        Sequence.load(again)
    (movie,) = Folder(again).facts["source"]["paths"]
    pipeline.capture_sequence([movie], again, Settings(), resume=True)
    finished = Sequence.load(again)
    assert finished.info.settings["smoothing"] == 0
    assert np.abs(np.diff(finished.caches["head"], 2, axis=0)).mean() > 1.4 * np.abs(
        np.diff(Sequence.load(folder).caches["head"], 2, axis=0)).mean()  # fmt: skip
    assert finished.caches["head"][-1].any()


def test_a_cancelled_capture_goes_on(pipeline, movie: Path, folder: Path, tmp_path: Path) -> None:
    told: Counter[str] = Counter()

    def report(stage: str, fraction: float) -> None:
        assert 0 <= fraction <= 1
        told[stage] += 1
        if told[stage] == (CHUNK + 4 if stage == "looking" else 2 if stage in ("fitted", "placed", "frames") else 1):
            raise Cancelled()

    cancelled = 0
    while True:
        try:
            pipeline.capture_sequence([movie], tmp_path / "a", Settings(), resume=True, report=report)
            break
        except Cancelled:
            cancelled += 1
            with pytest.raises(DiceError, match="not finished|no captured sequence"):
                Sequence.load(tmp_path / "a")
    assert cancelled >= 8  # once in each step
    assert differences(everything(tmp_path / "a"), everything(folder)) == []


def test_what_is_there_is_not_overwritten(pipeline, movie: Path, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(DiceError, match="holds a sequence already"):
        pipeline.capture_sequence([movie], folder, Settings())
    assert pipeline.capture_sequence([movie], folder, Settings(), resume=True) == folder  # it was complete
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_only_the_same_is_resumed(pipeline, movie: Path, folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(movie, tmp_path / "other.mp4"))
    for asked, settings, start, what in (
        (other, Settings(), 0, "another path"), (movie, Settings(hand="left"), 0, "other settings"),
        (movie, Settings(), 3, "another range"),
    ):  # fmt: skip
        with pytest.raises(DiceError, match=what):
            pipeline.capture_sequence([asked], folder, settings, start=start, resume=True)


def test_what_cannot_be_asked_for_leaves_nothing(pipeline, movie: Path, tmp_path: Path) -> None:
    for settings, start, end in ((Settings(smoothing=7), 0, None), (Settings(smoothing=float("nan")), 0, None),
                                 (Settings(), 10, 5), (Settings(), -1, None)):  # fmt: skip
        with pytest.raises(DiceError):
            pipeline.capture_sequence([movie], tmp_path / "out", settings, start=start, end=end)
    assert not (tmp_path / "out").exists()
    with pytest.raises(MediaError, match="no frame 500"):
        pipeline.capture_sequence([movie], tmp_path / "out", Settings(), start=500)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NothingFound):  # a better range needs no other folder
        pipeline.capture_sequence([movie], tmp_path / "out", Settings(), end=2)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".mine").touch()
    with pytest.raises(NothingFound):
        pipeline.capture_sequence([movie], tmp_path / "out", Settings(), end=2)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".mine"]
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "zero.mp4").touch()
    with pytest.raises(MediaError):
        pipeline.capture_sequence([tmp_path / "zero.mp4"], tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(DiceError, match="holds other files, as notes.txt"):
        pipeline.capture_sequence([movie], tmp_path / "mine", Settings())
    assert (tmp_path / "mine" / "notes.txt").exists() and not (tmp_path / "mine" / "capture.json").exists()


def test_what_never_began_leaves_nothing_behind(pipeline, movie: Path, folder: Path, tmp_path: Path) -> None:
    """A power cut took the first chunk: later ones still are of what was asked for then."""
    there = shutil.copytree(folder, tmp_path / "there")
    Folder(there).note(complete=False)
    Folder(there).file("seen", 0).unlink()
    with pytest.raises(DiceError, match="holds a sequence already"):
        pipeline.capture_sequence([movie], there, Settings(hand="left"))
    with pytest.raises(DiceError, match="begun with other settings"):
        pipeline.capture_sequence([movie], there, Settings(hand="left"), resume=True)
    pipeline.capture_sequence([movie], there, Settings(), resume=True)
    assert differences(everything(there), everything(folder)) == []


def test_another_rate_is_not_resumed(pipeline, movie: Path, sample_frame, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        cv2.imwrite(str(pictures / f"{number}.png"), sample_frame.pixels[..., ::-1])
    pipeline.capture_sequence([pictures], tmp_path / "out", Settings(), rate=12)
    with pytest.raises(DiceError, match="begun with another rate"):
        pipeline.capture_sequence([pictures], tmp_path / "out", Settings(), rate=30, resume=True)
    pipeline.capture_sequence([pictures], tmp_path / "out", Settings(), resume=True)


@pytest.mark.parametrize("rate", [1, 240])
def test_slow_and_fast_movies(pipeline, sample_frame, tmp_path: Path, rate: int) -> None:
    movie = tmp_path / "movie.mp4"
    writer = cv2.VideoWriter(str(movie), cv2.VideoWriter_fourcc(*"mp4v"), rate, (320, 320))
    for index in range(8):
        writer.write(cv2.warpAffine(cv2.resize(sample_frame.pixels[..., ::-1], (320, 320)),
                                    np.float32([[1, 0, index], [0, 1, 0]]), (320, 320)))  # fmt: skip
    writer.release()
    sequence = Sequence.load(pipeline.capture_sequence([movie], tmp_path / "out", Settings()))
    assert sequence.info.rate == pytest.approx(rate) and sequence.info.count == 8
    assert sequence.seen("head").all() and sequence.seen("hand_right").mean() > 0.5
    assert json.loads((tmp_path / "out" / "capture.json").read_text())["identity"]["head_identity"]


def test_both_hands_on_one_face(pipeline, sample_frame, tmp_path: Path) -> None:
    """The half of the sample that shows the hand, and the same in a mirror."""
    pixels = sample_frame.pixels[..., ::-1]
    half = pixels[:, : round(0.56 * pixels.shape[1])]
    picture = np.hstack([half, half[:, ::-1]])
    movie = tmp_path / "movie.mp4"
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    writer = cv2.VideoWriter(str(movie), cv2.VideoWriter_fourcc(*"mp4v"), 24, (width, height))
    for _ in range(12):
        writer.write(np.ascontiguousarray(picture[:height, :width]))
    writer.release()
    sequence = Sequence.load(pipeline.capture_sequence([movie], tmp_path / "out", Settings()))
    assert set(sequence.parts) == {"head", "hand_right", "hand_left"}
    capture = sequence.capture(10)
    assert capture.contact_state == "touch" and [hand.side for hand in capture.hands] == ["right", "left"]
    assert all(hand.contact.max() > 0.5 for hand in capture.hands)
    moved = np.linalg.norm(capture.head.deformation, axis=1) > 0.0005
    x = (capture.head.vertices - capture.head.vertices.mean(0))[moved, 0]
    assert (x < 0).any() and (x > 0).any(), "both cheeks give way"


def test_two_do_not_work_in_one_folder(pipeline, movie: Path, tmp_path: Path) -> None:
    with Folder(tmp_path / "out").locked(), pytest.raises(DiceError, match="Another process works in"):
        pipeline.capture_sequence([movie], tmp_path / "out", Settings())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_at_random_moments(movie: Path, tmp_path: Path) -> None:
    """40 SIGKILLs in every step; what is resumed equals what nobody interrupted."""
    command = [sys.executable, "-m", "tests.core.killed", str(movie), str(tmp_path), "40"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    completed = [Path(line) for line in ran.stdout.splitlines()]
    assert len(completed) > 1
    whole = everything(completed[0])
    for killed in completed[1:]:
        assert differences(everything(killed), whole) == []


def test_the_command_killed(movie: Path, folder: Path, tmp_path: Path, runtime: Path) -> None:
    """At random moments, with the processes that it has started; none of them stays."""
    command = [sys.executable, "-m", "dice_core", "capture", str(movie), "-o", str(tmp_path / "a"), "--resume"]
    environment = os.environ | {"DICE_RUNTIME": str(runtime), "PYTHONPATH": str(ROOT)}
    dice, killed, longest = random.Random(3), 0, 3.0
    while killed < 8:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert process.wait(dice.uniform(0.8, longest)) == 0, process.stderr.read()
            assert differences(everything(tmp_path / "a"), everything(folder)) == []
            shutil.rmtree(tmp_path / "a")
        except subprocess.TimeoutExpired:
            process.kill()
            assert process.wait() == -signal.SIGKILL
            killed, longest = killed + 1, longest + 1  # what was looked at last may need longer
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=120).returncode == 0
    assert differences(everything(tmp_path / "a"), everything(folder)) == []
    if Path("/proc").is_dir():
        assert not [one for one in Path("/proc").glob("[0-9]*/cmdline")
                    if str(tmp_path).encode() in one.read_bytes() and one.parent.name != "self"]  # fmt: skip


def test_the_worker_killed_and_asked_again(movie: Path, folder: Path, tmp_path: Path, runtime: Path) -> None:
    client = Client(runtime)
    client.submit_sequence([str(movie)], str(tmp_path / "a"))
    glimpses = []
    while True:
        message = client.events.get(timeout=120)
        if isinstance(message, Glimpse):
            glimpses.append(message)
        if isinstance(message, ProgressMessage) and message.stage == "fitted":
            client._process.kill()
        if isinstance(message, Failure):
            break
    assert message.kind == "WorkerDied"
    assert glimpses and glimpses[-1].count == COUNT and glimpses[-1].arrays["picture"].shape == (256, 320, 3)
    client.stop()
    client = Client(runtime)
    try:
        client.submit_sequence([str(movie)], str(tmp_path / "a"), resume=True)
        while not isinstance(message := client.events.get(timeout=120), SequenceDone):
            assert not isinstance(message, Failure), message
    finally:
        client.stop()
    assert differences(everything(tmp_path / "a"), everything(folder)) == []


def test_a_power_cut_leaves_half_a_file(pipeline, movie: Path, folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "a")
    Folder(broken).note(complete=False)
    for path in (broken / "fitted" / "000032.npz", broken / "motion.npz"):
        path.write_bytes(path.read_bytes()[:100])
    for cache in broken.glob("*.pc2"):
        cache.unlink()
    for path in broken.glob("frames/*"):
        path.unlink()
    (broken / "static.npz").unlink()
    pipeline.capture_sequence([movie], broken, Settings(), resume=True)
    assert differences(everything(broken), everything(folder)) == []


def test_the_source_may_not_change_meanwhile(pipeline, movie: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(movie, tmp_path / "a.mp4"))

    def spoil(stage: str, fraction: float) -> None:
        if stage == "looking" and fraction > 0.1:
            copy.write_bytes(copy.read_bytes() + b"more")

    with pytest.raises(MediaError, match="changed"):
        pipeline.capture_sequence([copy], tmp_path / "out", Settings(), report=spoil)
    copy.unlink()
    with pytest.raises(MediaError):
        pipeline.capture_sequence([copy], tmp_path / "out", Settings(), resume=True)


def test_a_full_disk_is_said(pipeline, movie: Path, tmp_path: Path) -> None:
    """As it is noticed: when a chunk is written."""
    resource = pytest.importorskip("resource", reason="this system limits no files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DiceError, match="Cannot write") as caught:
            pipeline.capture_sequence([movie], tmp_path / "out", Settings(), end=EMPTY + 4)
        assert "disk space" in caught.value.remedy
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list((tmp_path / "out" / "seen").glob("*"))


def test_nobody_in_the_whole_clip(pipeline, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [False] * 4)
    with pytest.raises(NothingFound, match="no face and no hand"):
        pipeline.capture_sequence([clip], tmp_path / "out", Settings())


def test_a_movie_named_from_where_it_lies(command, tmp_path: Path) -> None:
    """The folder's facts name it wholly, for who resumes elsewhere."""
    write_clip(tmp_path / "clip.mp4", [True] * 3)
    assert command("capture", "clip.mp4").code == 0
    assert Sequence.load(tmp_path / "clip-sequence").info.paths == (str(tmp_path / "clip.mp4"),)


def test_pictures_with_a_gap(command, sample: Path, tmp_path: Path) -> None:
    """Numbered stills by the command line: one is missing, one is broken, one of another size; none ends the rest."""
    from PIL import Image

    with Image.open(sample) as opened:
        small = opened.resize((320, 320))
    (tmp_path / "stills").mkdir()
    for number in (1, 2, 4, 5, 6):
        small.save(tmp_path / "stills" / f"shot.{number}.png")
    (tmp_path / "stills" / "shot.4.png").write_bytes(b"broken")
    small.resize((100, 90)).save(tmp_path / "stills" / "shot.5.png")
    ran = command("capture", tmp_path / "stills", "-o", tmp_path / "out", "--rate", "10", "--smoothing", "0")
    assert ran.code == 0, ran.err
    assert "frames: 6 at 10 a second" in ran.out and "Frames that could not be read: 3." in ran.out
    sequence = Sequence.load(tmp_path / "out")
    assert list(sequence.seen("head")) == [True, True, False, False, False, True]
    assert json.loads((tmp_path / "out" / "capture.json").read_text())["settings"]["smoothing"] == 0


@pytest.mark.parametrize("arguments", [
    ("a.mp4", "--preview", "a.png"), ("a.mp4", "-o", "a.npz"), ("a.jpg", "--resume"),
    ("a.mp4", "--frame", "2", "--end", "3"),
])  # fmt: skip
def test_wrong_usage(command, arguments: tuple[str, ...]) -> None:
    assert command("capture", *arguments).code == 2
