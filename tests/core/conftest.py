# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of dice_core share: runtime, sample picture, a pipeline that is loaded once, made-up captures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the worker runs

from dice_core.paths import MARKER, ROOT, runtime_dir
from dice_core.types import Camera, Capture, Frame, Hand, Head, Skeleton

SAMPLE = Path(__file__).parent.parent / "data" / "sample.jpg"


@pytest.fixture(scope="session")
def runtime() -> Path:
    folder = runtime_dir()
    if not (folder / MARKER).is_file():
        pytest.fail(f"no complete runtime in {folder}: run `make test`, or set DICE_RUNTIME")
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled picture: a person whose right hand touches the cheek."""
    return SAMPLE


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of real photographs, which cannot be part of the repository: 1.png, 2.png, no-touch/[123].jpg."""
    folder = os.environ.get("DICE_PHOTOS")
    if not folder:
        pytest.skip("DICE_PHOTOS names no folder of photographs")
    return Path(folder)


@pytest.fixture(scope="session")
def pipeline(runtime: Path):
    from dice_core.pipeline import Pipeline

    return Pipeline(runtime)


@pytest.fixture(scope="session")
def sample_frame(sample: Path) -> Frame:
    from dice_core.media.decode import read_picture

    return read_picture(sample)


@pytest.fixture(scope="session")
def sample_capture(pipeline, sample: Path) -> Capture:
    return pipeline.capture(sample)


@pytest.fixture(scope="session")
def open_engine(pipeline):
    return pipeline.engine("open")


@pytest.fixture(scope="session")
def official_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the dice engine needs, as its users have it, but made up, and small where it can be."""
    torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")
    from tests.core.bodies import official_files as made
    from tools.made_up_network import ON_OFFICIAL_MESHES, state

    files = tmp_path_factory.mktemp("official")
    made.write_all(
        files, made.as_ball(made.mano_data(), made.hand_ball()), made.as_ball(made.flame_data(), made.head_ball())
    )
    network = state(ON_OFFICIAL_MESHES)
    network["cam_param_fc3.weight"] /= 100
    network["cam_param_fc3.bias"] = torch.tensor([50.0, 112.0, 100.0])  # 500 pixels a metre, amid the crop
    network["contact_classifier.0.bias"] = torch.tensor([4.0])  # it is sure of a touch, so that skin deforms
    for part in ("weight", "bias"):
        network[f"head_deform_upsampling2.{part}"] /= 500  # by millimetres
    torch.save(network, files / "model.bin")
    return files


@pytest.fixture(scope="session")
def official_models(official_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `convert` leaves it."""
    from dice_core.convert import convert

    folder = tmp_path_factory.mktemp("models")
    report = convert([official_files], folder)
    assert not report.missing and not report.refused, report
    return folder


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(runtime: Path, tmp_path: Path) -> Callable[..., Ran]:
    """`command("capture", photo)` runs `python -m dice_core capture PHOTO` in a folder of its own."""

    def run(*arguments: str | Path, **variables: str) -> Ran:
        environment = os.environ | {"DICE_RUNTIME": str(runtime), "PYTHONPATH": str(ROOT)} | variables
        done = subprocess.run(
            [sys.executable, "-m", "dice_core", *map(str, arguments)],
            capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def make_capture() -> Callable[..., Capture]:
    """Made-up captures with the right shapes; the numbers mean nothing."""

    def make(
        *, head: bool = True, sides: tuple[str, ...] = ("right",), orthographic: bool = False, both: bool = False,
        notes: tuple[str, ...] = (), bones: bool = True,
    ) -> Capture:  # fmt: skip
        random = np.random.default_rng(5)
        camera = Camera(
            (640, 480),
            matrix=np.float32([[700, 0, 320], [0, 700, 240], [0, 0, 1]]) if both or not orthographic else None,
            ortho=np.float32([900, 310, 250]) if both or orthographic else None,
        )
        return Capture(
            engine="open",
            source="Foto – größer.jpg",
            camera=camera,
            head=_head(random, bones) if head else None,
            hands=tuple(_hand(random, side, bones) for side in sides),
            contact_state="touch" if head and sides else "no-hand" if head else "no-head",
            contact_probability=0.75,
            frame=7,
            params={"head_identity": np.float32(random.normal(size=40)), "names": np.array(["jawOpen", "ä"])},
            quality={"face_error": 0.5, "pressed_mm": 3.25},
            timings={"landmarks": 0.125},
            notes=notes,
        )

    return make


def _mesh(random: np.random.Generator, count: int) -> dict[str, NDArray]:
    return {
        "vertices": np.float32(random.normal(0, 0.1, (count, 3)) + [0, 0, 0.6]),
        "faces": np.int32(random.integers(0, count, (2 * count, 3))),
        "contact": np.float32(random.uniform(size=count)),
    }


def _skeleton(random: np.random.Generator, count: int) -> Skeleton:
    transforms = np.tile(np.eye(4), (3, 1, 1))
    transforms[:, :3] = random.normal(size=(3, 3, 4))
    numbers = random.normal(size=(3, 3)), transforms, random.dirichlet(np.ones(3), count)
    return Skeleton(("hand.R", "größer", "c"), np.int32([-1, 0, 1]), *map(np.float32, numbers))


def _head(random: np.random.Generator, bones: bool) -> Head:
    return Head(
        **_mesh(random, 50),
        deformation=np.float32(random.normal(0, 0.003, (50, 3))),
        landmarks=np.float32(random.normal(0, 0.1, (68, 3))),
        skeleton=_skeleton(random, 50) if bones else None,
    )


def _hand(random: np.random.Generator, side: str, bones: bool) -> Hand:
    joints = np.float32(random.normal(0, 0.05, (21, 3)))
    return Hand(side=side, **_mesh(random, 30), joints=joints, skeleton=_skeleton(random, 30) if bones else None)
