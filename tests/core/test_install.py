# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer against a Python that only pretends: what it leaves behind, interrupted or not, and what it says."""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dice_core import runtime
from dice_core.errors import DiceError, NotInstalled
from dice_core.installer import environment, plan, selftest
from dice_core.paths import MARKER, ROOT
from dice_core.runtime import Request, install, is_complete, remove

FAKE = Path(__file__).parent / "fake_python.py"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake Python is a script with a shebang")


class World:
    """The pretending Python, its settings, and the folder to install into."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.python = folder / "fake" / "python"
        self.python.parent.mkdir()
        self.python.write_text(f"#!{sys.executable}\n{FAKE.read_text(encoding='utf-8')}", encoding="utf-8")
        self.python.chmod(0o755)
        self.settings = self.python.with_name("settings.json")
        self.wheel = wheel
        self.target = folder / "run time ä"
        self.said: list[tuple[float, str]] = []
        self.set()

    def set(self, **settings: Any) -> None:
        self.settings.write_text(json.dumps({"wheel": str(self.wheel)} | settings))

    def install(self, **options: Any) -> None:
        install(Request(self.target, **options), lambda fraction, text: self.said.append((fraction, text)))

    def complete(self, **options: Any) -> bool:
        return is_complete(Request(self.target, **options))

    @property
    def calls(self) -> list[list]:
        file = self.settings.with_name("calls")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def pips(self) -> list[list]:
        return [call for call in self.calls if "pip" in call]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_up_models: Path) -> World:
    made = World(tmp_path, made_up_models)
    monkeypatch.setenv("FAKE_PYTHON", str(made.settings))
    monkeypatch.setattr(environment, "candidates", lambda versions: iter([made.python]))
    return made


def test_installs_then_does_nothing(world: World) -> None:
    world.install()
    assert world.complete() and not world.complete(dev=True) and not world.complete(engine="dice")
    assert {file.name for file in (world.target / "models").iterdir()} == {"first.tflite", "second.tflite"}
    marker = json.loads((world.target / MARKER).read_text())
    assert marker["engine"] == "open" and marker["locks"] == {"open.txt": environment.fingerprint("open.txt")}
    fractions = [fraction for fraction, _ in world.said]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert any(text == "Fetching open.txt (1.5 MB)" for _, text in world.said)
    before = len(world.calls)
    world.install()
    assert len(world.calls) == before


@pytest.mark.parametrize("version", [24.0, 24.1])
def test_bytes_are_counted_where_pip_tells_them(world: World, version: float) -> None:
    world.set(pip_version=version)
    world.install()
    counted = dict(reversed(said) for said in world.said if said[1].startswith("Fetching open.txt, "))
    if version < 24.1:
        assert not counted and all("--progress-bar=off" in call for call in world.pips())
        return
    assert list(counted) == ["Fetching open.txt, 0 of 15 MB", "Fetching open.txt, 8 of 15 MB"]
    assert counted["Fetching open.txt, 0 of 15 MB"] < counted["Fetching open.txt, 8 of 15 MB"]


def test_every_package_is_installed_with_its_hash(world: World) -> None:
    world.install(dev=True, blender=True)
    for call in world.pips():
        if "install" in call:
            assert "--require-hashes" in call and "--only-binary=:all:" in call
            assert Path(call[call.index("--python") + 1]).is_relative_to(world.target)
    assert world.complete(dev=True, blender=True)


@pytest.mark.parametrize("where", ["open.txt", "dev.txt", "bpy-4.5.15.txt"])
def test_killed_installation_is_finished_by_the_next(world: World, where: str) -> None:
    world.set(hang=where)
    script = f"""
import sys
from pathlib import Path
from dice_core.installer import environment
from dice_core.runtime import Request, install
environment.candidates = lambda versions: iter([Path({str(world.python)!r})])
install(Request(Path({str(world.target)!r}), dev=True, blender=True), lambda *said: None)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    _wait_for(lambda: list(world.target.glob(f"*/half-{where}")))
    process.kill()
    process.wait()
    with open(world.target / runtime.LOCK) as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not (world.target / MARKER).exists() and not world.complete()
    os.kill(world.pips()[-1][0], signal.SIGKILL)  # its pip, which lives on and holds the lock
    world.set()
    world.install(dev=True, blender=True)
    assert world.complete(dev=True, blender=True)
    assert not list(world.target.glob("*/half-*"))


def hears_ctrl_c() -> None:
    """What a shell puts into the background with & hears nothing, nor do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_pip_too_and_says_how_to_go_on(world: World) -> None:
    world.set(hang="open.txt")
    script = f"""
import sys
from pathlib import Path
from dice_core.installer import environment
environment.candidates = lambda versions: iter([Path({str(world.python)!r})])
import install_deps
sys.argv = ["install_deps.py", "--target", {str(world.target)!r}]
sys.exit(install_deps.guarded(lambda: install_deps.act(install_deps.arguments())))
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True,
                               preexec_fn=hears_ctrl_c)  # fmt: skip
    _wait_for(lambda: list(world.target.glob("*/half-open.txt")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130 and "Run it again" in errors and "Traceback" not in errors
    _wait_for(lambda: not _alive(world.pips()[-1][0]))
    world.set()
    world.install()
    assert world.complete()


def test_two_at_once_wait_for_each_other(world: World) -> None:
    world.target.mkdir()
    (world.target / runtime.LOCK).touch()
    hold = f"f = open({str(world.target / runtime.LOCK)!r}); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True)"
    script = f"import fcntl, time; {hold}; time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        world.install()
        assert other.poll() is not None or other.wait(1) == 0
    assert world.said[0][1].startswith("Waiting") and world.complete()


def test_the_second_of_two_finds_it_done(world: World) -> None:
    both = [threading.Thread(target=world.install) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    assert world.complete() and len([call for call in world.calls if "dice_core.installer.selftest" in call]) == 1


def test_failed_addition_leaves_what_worked(world: World) -> None:
    world.install()
    world.set(fail="ERROR: Connection refused")
    with pytest.raises(DiceError, match="network cannot be reached") as caught:
        world.install(engine="dice", device="cpu")
    assert str(caught.value.__cause__) == "ERROR: Connection refused"
    assert world.complete() and not world.complete(engine="dice")
    (world.target / "python" / "half-torch").touch()
    world.set()
    world.install(engine="dice", device="cpu")
    assert not (world.target / "python" / "half-torch").exists()
    assert world.complete(engine="dice", device="cpu")
    assert world.complete()  # the dice engine's runtime serves the open one too


def test_addition_keeps_the_environment(world: World) -> None:
    world.install()
    (world.target / "python" / "same").touch()
    world.install(engine="dice", device="cpu", dev=True)
    assert (world.target / "python" / "same").exists() and world.complete(engine="dice", dev=True)


def test_research_packages_are_added_and_stay(world: World) -> None:
    world.install()
    assert not world.complete(engine="dice", research=True)
    before = len(world.pips())
    world.install(engine="dice", device="cpu", research=True)
    files = [Path(call[-1]).name for call in world.pips()[before:]]
    assert files == ["torch==2.13.0+cpu", "dice-cpu.txt", "research.txt"]  # and nothing that was there
    assert "--require-hashes" in world.pips()[-1]
    assert "smplx" in world.calls[-1] and json.loads((world.target / MARKER).read_text())["research"]
    before = len(world.calls)
    world.install(engine="dice", research=True)
    assert len(world.calls) == before
    world.install(engine="dice", device="cuda")  # a new environment
    assert world.complete(engine="dice", device="cuda", research=True)
    world.install(repair=True)
    assert world.complete(engine="dice", research=True)


def test_other_build_of_torch_gets_a_new_environment(world: World) -> None:
    world.install(engine="dice", device="cpu")
    (world.target / "python" / "stray").touch()
    assert world.complete(engine="dice") and not world.complete(engine="dice", device="cuda")
    world.install(engine="dice", device="cuda")
    assert world.complete(engine="dice", device="cuda") and not world.complete(engine="dice", device="cpu")
    assert not (world.target / "python" / "stray").exists()


def test_changed_lock_file_renews_the_environment(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    shutil.copytree(environment.LOCKS, locks)
    monkeypatch.setattr(environment, "LOCKS", locks)
    monkeypatch.setattr(plan, "LOCKS", locks)
    world.install(dev=True)
    (world.target / "python" / "old").touch()
    (locks / "open.txt").write_text("numpy==9.9\n")
    assert not world.complete()
    world.install()
    assert world.complete(dev=True)  # what was there before is renewed with it
    assert not (world.target / "python" / "old").exists()


def test_what_another_version_installed_is_called_outdated(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan.outdated(world.target) == ""
    world.install(engine="dice", device="cpu", dev=True)
    assert plan.outdated(world.target) == ""
    locks = tmp_path / "locks"
    shutil.copytree(environment.LOCKS, locks)
    monkeypatch.setattr(environment, "LOCKS", locks)
    assert plan.outdated(world.target) == ""
    (locks / "dice.txt").write_text("torch==9.9\n")
    assert "This version needs other libraries" in plan.outdated(world.target)
    marker = json.loads((world.target / MARKER).read_text())
    (world.target / MARKER).write_text(json.dumps(marker | {"program": "0.0.1"}))
    assert "Version 0.0.1 installed it" in plan.outdated(world.target)
    world.install()
    assert plan.outdated(world.target) == ""
    (world.target / "models" / "first.tflite").unlink()
    assert "first.tflite" in plan.outdated(world.target)
    (world.target / MARKER).write_text("{")
    assert "damaged" in plan.outdated(world.target)


def test_marker_of_another_version_is_understood(world: World) -> None:
    world.install()
    (world.target / MARKER).write_text('{"engine": "open"}')
    world.install(dev=True, blender=True)
    assert world.complete(dev=True, blender=True)


def test_failed_renewal_does_not_count_as_complete(world: World) -> None:
    world.install()
    world.set(fail="ERROR: No space left on device")
    with pytest.raises(DiceError, match="disk is full"):
        world.install(repair=True)
    assert not (world.target / MARKER).exists()


def test_damage_is_noticed_and_mended(world: World) -> None:
    world.install()
    model = world.target / "models" / "first.tflite"
    model.write_bytes(b"x" * model.stat().st_size)
    assert not world.complete()
    world.install()
    assert world.complete() and len([call for call in world.pips() if "install" in call]) == 1
    (world.target / "python" / "bin" / "python").unlink()
    assert not world.complete()
    world.install()
    assert world.complete()


def test_repair_makes_everything_anew(world: World) -> None:
    world.install(dev=True)
    (world.target / "python" / "stray").touch()
    world.install(repair=True)
    assert world.complete(dev=True) and not (world.target / "python" / "stray").exists()


def test_failed_self_test_is_not_complete(world: World) -> None:
    world.set(broken="igl cannot be imported: no libGL")
    with pytest.raises(NotInstalled, match="igl cannot be imported") as caught:
        world.install()
    assert caught.value.remedy and not world.complete()


def test_folders_of_others_are_left_alone(world: World) -> None:
    theirs = world.target / "python" / "thesis.py"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    for act in (world.install, lambda: remove(world.target)):
        with pytest.raises(DiceError, match="not made by this program"):
            act()
    assert theirs.exists() and not world.pips()


def test_remove_takes_only_what_it_made(world: World) -> None:
    world.install(dev=True, blender=True)
    (world.target / "notes.txt").touch()
    remove(world.target)
    assert [file.name for file in world.target.iterdir()] == ["notes.txt"]
    (world.target / "notes.txt").unlink()
    world.install()
    remove(world.target)
    assert not world.target.exists()
    remove(world.target)


def test_full_disk_is_said_before_anything_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100 * 2**20))
    with pytest.raises(DiceError, match=r"needs \d+ MB, but its disk has only 100 MB free"):
        world.install()
    assert not world.target.exists()


def test_folder_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiceError, match="Cannot write to .*file") as caught:
        install(Request(tmp_path / "file" / "runtime"), lambda *said: None)
    assert "--target" in caught.value.remedy


def test_wheelhouse_alone_is_used(world: World, tmp_path: Path) -> None:
    house = tmp_path / "wheels"
    with pytest.raises(DiceError, match="There is no folder"):
        world.install(wheelhouse=house)
    house.mkdir()
    world.install(wheelhouse=house)
    for call in world.pips():
        assert call[call.index("--find-links") + 1] == str(house) and "--no-index" in call
    world.set(without=["open.txt"])
    with pytest.raises(DiceError, match=r"wheelhouse .*wheels lacks open\.txt"):
        world.install(wheelhouse=house, repair=True)


# ------------------------------------------------------------------------------------------------ the command itself


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    line = [sys.executable, str(ROOT / "install_deps.py"), *arguments]
    return subprocess.run(line, capture_output=True, text=True, env=os.environ | variables, timeout=60)


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "runtime"
    done = command("--dry-run", "--engine", "dice", "--cpu", "--dev", "--target", str(target))
    assert done.returncode == 0, done.stderr
    for word in ("numpy", "pytest", "torch 2.13.0", "Blender", "landmark models", "asked for with --cpu", "MB free"):
        assert word in done.stdout
    assert not target.exists()


def test_plan_of_research_states_the_licence_and_brings_torch(tmp_path: Path) -> None:
    done = command("--dry-run", "--research", "--cpu", "--target", str(tmp_path / "runtime"))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "smplx" in line)
    assert "non-commercial scientific research only" in line and "GPL" in line
    assert "torch 2.13.0" in done.stdout and "mypy" not in done.stdout


def test_demo_needs_neither_torch_nor_smplx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setenv("DICE_RUNTIME", str(tmp_path / "runtime"))
    monkeypatch.setattr(runtime, "install", lambda request, say: asked.append(request))
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tools.prepare", run_name="__main__")
    wanted = plan.plan(asked[0]).todo
    assert plan.BLENDER in wanted and not {plan.TORCH, plan.RESEARCH, plan.DEV} & set(wanted)


def test_self_test_lists_research_packages_that_somebody_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "pytorch3d" not in selftest.research() or pytest.skip("pytorch3d is installed")
    folder = tmp_path / "pytorch3d-0.7.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: pytorch3d\nVersion: 0.7.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert selftest.research()["pytorch3d"] == "0.7.9"


@pytest.mark.parametrize(("cause", "told"), [(None, ""), (RuntimeError("pip: 1\npip: 2"), "pip: 1\npip: 2\n")])
def test_what_lies_behind_an_error_is_told_before_it(
    cause: Exception | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import install_deps

    def work() -> None:
        raise DiceError("It broke.", "Mend it.") from cause

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert install_deps.guarded(work) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == f"{told}Error: It broke. Mend it.\n"


def test_wrong_use_is_exit_code_2() -> None:
    assert command("--cpu", "--cuda").returncode == 2
    assert command("--engine", "other").returncode == 2


def test_errors_are_one_sentence_and_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    done = command("--remove", "--target", str(tmp_path))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: ") and "check the path" in done.stderr and done.stderr.count("\n") == 1


# ------------------------------------------------------------------------------------------------------------ Pythons


def test_python_without_pip_and_ensurepip_names_the_package(world: World) -> None:
    world.set(pip=False, ensurepip=False)
    with pytest.raises(DiceError, match="neither ensurepip nor pip") as caught:
        world.install()
    assert "python3.11-venv" in caught.value.remedy and not world.target.exists()


def test_python_with_ensurepip_only_fills_its_environment_from_inside(world: World) -> None:
    world.set(pip=False)
    base = environment.find_python()
    assert not base.has_pip
    made = environment.Environment(world.target / "python", base)
    made.create()
    assert [call for call in world.calls if "venv" in call][-1][-1] == str(made.folder)
    assert not any("--without-pip" in call for call in world.calls)


def test_unsuitable_pythons_are_passed_over(world: World) -> None:
    world.set(minor=[3, 9])
    with pytest.raises(DiceError, match=r"No Python 3\.11 or 3\.12") as caught:
        environment.find_python()
    assert "PYTHON3_11" in caught.value.remedy


def test_search_order_of_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyenv = tmp_path / "pyenv" / "versions" / "3.13.9" / "bin"
    pyenv.mkdir(parents=True)
    (pyenv / "python").touch()
    on_path = tmp_path / "bin" / "python3.13"
    on_path.parent.mkdir()
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PYTHON3_13", "/named/python")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    this = (sys.executable, sys._base_executable)
    found = [path for path in environment.candidates([(3, 13)]) if str(path) not in this]
    assert found == [Path("/named/python"), on_path, pyenv / "python"]


def test_this_python_is_found() -> None:
    found = environment.probe(Path(sys.executable))
    assert found is not None and found.minor == sys.version_info[:2]
    assert environment.probe(Path("/nonexistent/python")) is None


def _wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").exists() else True
