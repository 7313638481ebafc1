# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture process as Blender uses it: started, asked, cancelled, killed. Every test runs a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dice_core import protocol
from dice_core.client import Client, finish
from dice_core.errors import Cancelled, DiceError, MediaError, NotInstalled, WorkerDied
from dice_core.paths import ROOT, runtime_python
from dice_core.types import Capture

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(scope="module")
def warm(runtime: Path) -> Iterator[Client]:
    """A process that several tests share: whoever ends it, fails the next."""
    client = Client(runtime)
    yield client
    client.stop()


@pytest.fixture
def client(runtime: Path) -> Iterator[Client]:
    client = Client(runtime)
    yield client
    client.stop()


def await_stage(client: Client, stage: str, seconds: float = 30) -> None:
    """Wait until the job has reached a stage."""
    deadline = time.monotonic() + seconds
    while True:
        message = client.events.get(timeout=max(deadline - time.monotonic(), 0.01))
        assert not isinstance(message, protocol.Failure | protocol.Result), message
        if isinstance(message, protocol.ProgressMessage) and message.stage == stage:
            return


def running(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def assert_equal_captures(one: Capture, other: Capture) -> None:
    assert one.contact_state == other.contact_state
    assert one.contact_probability == pytest.approx(other.contact_probability)
    for name in ("vertices", "deformation", "contact", "landmarks"):
        np.testing.assert_allclose(getattr(one.head, name), getattr(other.head, name), atol=1e-6, err_msg=name)
    assert [hand.side for hand in one.hands] == [hand.side for hand in other.hands]
    for first, second in zip(one.hands, other.hands, strict=True):
        for name in ("vertices", "joints", "contact"):
            np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-6, err_msg=name)


def test_the_process_gives_what_the_pipeline_gives(warm, sample, sample_capture):
    warm.submit(str(sample))
    stages: list[tuple[str, float]] = []
    assert_equal_captures(finish(warm, lambda *stage: stages.append(stage)), sample_capture)
    fractions = [fraction for _, fraction in stages]
    assert fractions == sorted(fractions) and 0 <= fractions[0] and fractions[-1] < 1
    assert [stage for stage, _ in stages][:3] == ["loading", "landmarks", "head"]


def test_it_says_hello_first(client):
    hello = client.events.get(timeout=20)
    assert isinstance(hello, protocol.Hello)
    assert hello.version == protocol.VERSION and hello.python.startswith("3.") and "CPU" in hello.device


def test_an_array_is_as_good_as_a_file(warm, sample_frame, tmp_path):
    """But for the EXIF focal length, which an image in Blender does not have either."""
    Image.fromarray(sample_frame.pixels).save(tmp_path / "Image.png")
    warm.submit(image=sample_frame.pixels, source="Image.001")
    from_array = finish(warm)
    warm.submit(str(tmp_path / "Image.png"))
    from_file = finish(warm)
    assert from_array.source == "Image.001" and from_file.source == "Image.png"
    assert_equal_captures(from_array, from_file)


def test_a_path_is_ours_not_the_process_own(warm, sample, tmp_path, monkeypatch):
    (tmp_path / "Fotos für Anna").mkdir()
    (tmp_path / "Fotos für Anna" / "a b.jpg").write_bytes(sample.read_bytes())
    monkeypatch.chdir(tmp_path)
    warm.submit("Fotos für Anna/a b.jpg")
    assert finish(warm).source == "a b.jpg"


def test_a_nameless_array(warm, sample_frame):
    warm.submit(image=sample_frame.pixels[::2, ::2])
    assert finish(warm).source == ""


def test_the_second_picture_needs_no_loading(client, sample):
    """The models and libraries load once: that is why the process stays."""
    assert isinstance(client.events.get(timeout=20), protocol.Hello)

    def seconds() -> tuple[float, float]:
        start = time.monotonic()
        client.submit(str(sample))
        capture = finish(client)
        whole = time.monotonic() - start
        return whole - sum(capture.timings.values()), whole

    (loading, first), (again, second) = seconds(), seconds()
    sys.stdout.write(f"first {first:.2f} s, of it loading {loading:.2f}; second {second:.2f} s, loading {again:.2f}\n")
    assert again < loading / 2 and again < 0.5


def test_a_bad_picture_leaves_the_process_alive(warm, sample, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    warm.submit(str(tmp_path / "bad.jpg"))
    with pytest.raises(MediaError, match="bad.jpg"):
        finish(warm)
    warm.submit(image=np.zeros((4, 4), np.uint8), source="flat")
    with pytest.raises(MediaError, match="flat"):
        finish(warm)
    for wrong in ({"engine": "magic"}, {"hand": "third"}):
        warm.submit(str(sample), **wrong)
        with pytest.raises(DiceError, match="Choose one of"):
            finish(warm)
    warm.submit(str(sample))
    assert finish(warm).head is not None


def test_cancel_is_prompt_and_the_process_goes_on(warm, sample, sample_capture):
    warm.submit(str(sample))
    await_stage(warm, "head")
    start = time.monotonic()
    warm.cancel()
    with pytest.raises(Cancelled):
        finish(warm)
    seconds = time.monotonic() - start
    sys.stdout.write(f"cancelled after {seconds:.2f} s\n")
    assert seconds < 2
    warm.submit(str(sample))
    assert_equal_captures(finish(warm), sample_capture)


def test_a_cancelled_job_waiting_behind_another_never_starts(warm, sample):
    first = warm.submit(str(sample))
    warm.submit(str(sample))
    warm.cancel()
    with pytest.raises(Cancelled):
        finish(warm)
    assert first == warm.job - 1


@posix
def test_a_killed_process_is_an_error_in_words(client, sample):
    client.submit(str(sample))
    await_stage(client, "landmarks")
    os.kill(client._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match=r"\(exit code -9\): .*memory.*Capture again"):
        finish(client, timeout=5)
    assert not client.alive
    client.submit(str(sample))
    client.cancel()
    with pytest.raises(WorkerDied):  # and not wait for an answer that nobody will give
        finish(client, timeout=5)


@posix
def test_a_crash_tells_its_last_words(tmp_path):
    """A library that fails to load, say: the user sees why, not what was printed in passing."""
    python = tmp_path / "python" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\n{ echo 'Traceback:'; echo 'ImportError: libfoo.so.'; echo 'INFO: hello'; echo; } >&2\nexit 3\n"
    )
    python.chmod(0o755)
    (tmp_path / "complete.json").write_text("{}")
    client = Client(tmp_path)
    assert until(lambda: not client.events.empty(), 20)  # dead before there is a job
    client.submit("a.png")
    with pytest.raises(WorkerDied) as caught:
        finish(client, timeout=20)
    assert caught.value.message == "The capture process stopped (exit code 3): ImportError: libfoo.so."
    assert "Traceback:" in client.log


@posix
@pytest.mark.parametrize("stage", ["idle", "loading", "placement"])
def test_stopping_ends_the_process_within_two_seconds(client, sample, stage):
    pid = client._process.pid
    client.events.get(timeout=20)
    if stage != "idle":
        client.submit(str(sample))
        await_stage(client, stage)
    start = time.monotonic()
    client.stop()
    assert not running(pid) and time.monotonic() - start < 2
    assert client._process.returncode == 0  # by itself, not by force
    left = [client.events.get_nowait() for _ in range(client.events.qsize())]
    assert not any(isinstance(message, protocol.Failure) for message in left)  # it was asked to: no error


@posix
def test_a_process_that_hangs_is_ended_by_force(client):
    client.events.get(timeout=20)
    os.kill(client._process.pid, signal.SIGSTOP)
    start = time.monotonic()
    client.stop()
    assert not client.alive and time.monotonic() - start < 4


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_no_process_outlives_a_killed_parent(busy, runtime, sample):
    """Blender crashes, in the middle of a capture or between two: nothing may be left behind."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom dice_core.client import Client\n"
        f"client = Client(Path({str(runtime)!r}))\nclient.events.get(timeout=20)\n"
        f"if {busy}: client.submit({str(sample)!r})\n"
        "print(client._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert running(pid)
    parent.kill()
    parent.wait()
    assert until(lambda: not running(pid), 2)


@posix
def test_rubbish_on_its_input_ends_the_process(runtime):
    """Nobody could ask it anything any more: it must not wait for ever."""
    environment = os.environ | {"DICE_RUNTIME": str(runtime)}
    done = subprocess.run(
        [runtime_python(runtime), "-m", "dice_core.worker"], input=b"rubbish\n", capture_output=True, cwd=ROOT,
        env=environment, timeout=20,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"not a message" in done.stderr and b"Traceback" not in done.stderr


def test_an_empty_or_unfinished_runtime_is_not_started(tmp_path, runtime):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "python").symlink_to(runtime / "python", target_is_directory=True)
    for folder in (tmp_path / "none", tmp_path, tmp_path / "unfinished"):
        with pytest.raises(NotInstalled, match="Install"):
            Client(folder)


def test_other_pythons_do_not_leak_in(runtime, sample, tmp_path, monkeypatch):
    """Blender, conda and render farms set these; the process has its own Python and packages."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("raise ImportError('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    client = Client(runtime)
    try:
        hello = client.events.get(timeout=20)
        assert isinstance(hello, protocol.Hello), hello
    finally:
        client.stop()


def test_the_runtime_given_is_the_one_used(runtime, sample, tmp_path, monkeypatch):
    """The add-on's preferences may name a folder; the environment need not know of it."""
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "elsewhere"))
    client = Client(runtime)
    try:
        client.submit(str(sample))
        assert finish(client).head is not None
    finally:
        client.stop()


@posix
def test_no_answer_in_time(client, sample):
    client.events.get(timeout=20)
    os.kill(client._process.pid, signal.SIGSTOP)
    client.submit(str(sample))
    with pytest.raises(WorkerDied, match="no answer"):
        finish(client, timeout=0.5)
