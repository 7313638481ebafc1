# SPDX-License-Identifier: GPL-3.0-or-later
"""Find where the detector's 478 face landmarks lie on the open head; writes `dice_core/body/assets/landmarks.npz`.

A developer's script: `python tools/calibrate_landmarks.py MODELS_FOLDER [CHECK.png]`, in the environment of
`bake_body.py` with scipy, libigl, opencv-python-headless and ai-edge-litert; four minutes on two cores. Random people
are drawn from many sides with a painted face, the detector landmarks them, and each landmark's pixel says which place
of the mesh it saw. The median over all views is the landmark; where views disagree (the outline of the face slides
over the cheeks as the head turns) a smooth warp of the detector's own average face decides instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import igl
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dice_core.landmarks.litert import Landmarker, around
from tools.sample.paint import EYEBALL, SKIN, Look, colours
from tools.sample.raster import interpolate, rasterise, vertex_normals

ASSETS = Path(__file__).resolve().parents[1] / "dice_core" / "body" / "assets"
SEED, VIEWS, SIZE, FOCAL = 1, 360, 512, 700.0
MESH, IRISES = np.arange(468), np.arange(468, 478)
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]  # fmt: skip
SPREAD_GOOD, SPREAD_BAD = 0.003, 0.008  # metres: typical of a landmark on a feature; of one that slides
SMOOTHING = 0.002  # metres: how far the warp of the average face may miss a landmark of good spread
EXPRESSIONS = {"jawOpen": 0.5, "mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5,
               "browInnerUp": 0.6, "mouthPucker": 0.5}  # fmt: skip
LOOKS = [
    Look(),
    Look((0.72, 0.47, 0.36), (0.60, 0.26, 0.24), (0.15, 0.22, 0.28), (0.22, 0.13, 0.07), (0.30, 0.19, 0.09)),
    Look((0.20, 0.095, 0.055), (0.22, 0.085, 0.075), (0.05, 0.025, 0.012), (0.012, 0.009, 0.007), (0.01, 0.008, 0.007)),
    Look(brows=(0.16, 0.09, 0.06), hair=None),
]  # fmt: skip
# The iBUG 68 points among the 478: jaw, brows, nose ridge and base, eyes, outer and inner lips.
IBUG = [127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356,
        70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
        33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
        61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]  # fmt: skip
# How far skin gives way (0..1) around groups of landmarks: (landmarks, radius in metres, softness).
SOFT = [
    ([50, 280, 205, 425, 187, 411, 207, 427, 192, 416, 213, 433], 0.014, 1.0),  # cheeks
    ([0, 17, 61, 291, 13, 14, 40, 270, 91, 321], 0.009, 1.0),  # lips
    ([1, 4, 98, 327], 0.007, 0.7),  # tip and wings of the nose
    ([118, 347, 101, 330], 0.009, 0.6),  # below the eyes
    ([152, 200, 175], 0.008, 0.35),  # chin
    ([172, 397, 136, 365], 0.012, 0.5),  # jowls
    ([159, 386, 145, 374], 0.008, 0.4),  # lids
]
BONE_SOFTNESS, NECK_SOFTNESS = 0.12, 0.6


@dataclass(frozen=True)
class Head:
    """The baked head; see PROVENANCE.md. `occlusion` (V,) 0..1 darkens creases when it is drawn."""

    mean: NDArray
    faces: NDArray
    identity: NDArray
    expression: dict[str, NDArray]
    part: NDArray
    uv: NDArray
    faces_uv: NDArray
    occlusion: NDArray


def load_head() -> Head:
    with np.load(ASSETS / "head.npz") as data:
        mean, faces = data["mean"].astype(np.float64), data["faces"].astype(np.int64)
        names = [str(name) for name in data["expression_names"]]
        expression = {name: data["expression"][names.index(name)].astype(np.float64) for name in EXPRESSIONS}
        occlusion = igl.ambient_occlusion(mean, faces, mean, vertex_normals(mean, faces), 300)
        return Head(mean, faces, data["identity"].astype(np.float64), expression, data["part"], data["uv"],
                    data["faces_uv"].astype(np.int64), occlusion)  # fmt: skip


@dataclass(frozen=True)
class View:
    """A drawn head: (SIZE, SIZE, 3) uint8 RGB and, for each pixel, triangle, barycentric weights and facing 0..1."""

    pixels: NDArray[np.uint8]
    triangle: NDArray
    barycentric: NDArray
    facing: NDArray


def draw(head: Head, vertices: NDArray, look: Look, light: NDArray, ambient: float = 0.45) -> View:
    """The head seen by a pinhole camera at the origin, at twice the size and reduced, so that edges are smooth."""
    screen = 2 * (FOCAL * vertices[:, :2] / vertices[:, 2:] + SIZE / 2)
    triangle, barycentric = rasterise(screen, vertices[:, 2], head.faces, (2 * SIZE, 2 * SIZE))
    hit = triangle >= 0
    where = triangle[hit], barycentric[hit]
    normals = interpolate(vertex_normals(vertices, head.faces), head.faces, *where)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    toward = interpolate(vertices, head.faces, *where)
    toward /= -np.linalg.norm(toward, axis=1, keepdims=True)
    rest, uv = interpolate(head.mean, head.faces, *where), interpolate(head.uv, head.faces_uv, *where)
    colour = colours(rest, uv, head.part[head.faces[where[0]]].max(1), look)
    open_sky = 1 - 0.8 * interpolate(head.occlusion[:, None], head.faces, *where)
    colour *= ambient * open_sky + (1 - ambient) * np.clip(normals @ light, 0, 1)[:, None]
    picture = np.full((2 * SIZE, 2 * SIZE, 3), 0.42)
    picture[hit] = np.clip(colour, 0, 1)
    facing = np.zeros(hit.shape)
    facing[hit] = np.abs((normals * toward).sum(1))
    small = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    pixels = (small ** (1 / 2.2) * 255).round().astype(np.uint8)
    return View(pixels, triangle[1::2, 1::2], barycentric[1::2, 1::2], facing[1::2, 1::2])


def placed(points: NDArray, turn: NDArray, distance: float) -> NDArray:
    """Points of the head turned about its middle and put before the camera."""
    return (points - [0, 0, -0.03]) @ turn.T + [0, 0, distance]


def random_views(head: Head) -> Iterator[View]:
    """Different people, faces, light and directions; every eighth looks straight into the camera."""
    rng = np.random.default_rng(SEED)
    for index in range(VIEWS):
        vertices = head.mean + np.tensordot(rng.normal(size=len(head.identity)) * 0.6, head.identity, 1)
        if index % 2:
            for name, moved in head.expression.items():
                vertices = vertices + rng.uniform(0, EXPRESSIONS[name]) * moved
        roll, pitch, yaw = (rng.uniform(-limit, limit) * (index % 8 > 0) for limit in (8, 18, 38))
        turn = Rotation.from_euler("zxy", [roll, pitch, yaw], degrees=True).as_matrix()
        light = np.array([rng.uniform(-0.8, 0.8), -0.4, -0.8])
        vertices = placed(vertices, turn, rng.uniform(0.55, 0.8))
        yield draw(head, vertices, LOOKS[index % len(LOOKS)], light / np.linalg.norm(light))


@dataclass
class Sightings:
    """What the detector saw.

    Attributes
    ----------
    places
        For each landmark a list of (x, y, z, weight) on the average head.
    shapes
        Each face (468, 3) in pixels of its crop, with the detector's guess of depth.
    """

    places: list[list[NDArray]]
    shapes: list[NDArray]


def look(head: Head, landmarker: Landmarker) -> Sightings:
    seen = Sightings([[] for _ in range(478)], [])
    for view in random_views(head):
        faces = landmarker.faces(view.pixels)
        if not faces:
            continue
        points = faces[0].points
        mesh, _ = landmarker.face_mesh(around(points[:468], 1.5).crop(view.pixels, 192) / 255.0)
        seen.shapes.append(mesh.reshape(468, 3).astype(np.float64))
        column, row = np.clip(points.astype(int), 0, SIZE - 1).T
        for landmark, triangle in enumerate(view.triangle[row, column]):
            wanted = SKIN if landmark < 468 else EYEBALL
            if triangle < 0 or (head.part[head.faces[triangle]] != wanted).any():
                continue
            at = row[landmark], column[landmark]
            place = view.barycentric[at] @ head.mean[head.faces[triangle]]
            seen.places[landmark].append(np.r_[place, view.facing[at] ** 2 * (view.facing[at] > 0.25) + 1e-4])
    return seen


def quantile(values: NDArray, weights: NDArray, share: float) -> float:
    """The weighted quantile of (n,) values."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])


def consensus(places: list[list[NDArray]]) -> tuple[NDArray, NDArray]:
    """Weighted median (478, 3) of each landmark's sightings, and the distance (478,) that two thirds of them keep to.

    NaN and infinity with fewer than 8 sightings. Places seen at a grazing angle count little; a median forgives the
    views in which the landmark was hidden and its pixel showed something else.
    """
    points, spread = np.full((478, 3), np.nan), np.full(478, np.inf)
    for landmark, found in enumerate(places):
        if len(found) < 8:
            continue
        values, weights = np.array(found)[:, :3], np.array(found)[:, 3]
        points[landmark] = [quantile(values[:, axis], weights, 0.5) for axis in range(3)]
        spread[landmark] = quantile(np.linalg.norm(values - points[landmark], axis=1), weights, 2 / 3)
    return points, spread


def similarity(source: NDArray, target: NDArray) -> Callable[[NDArray], NDArray]:
    """The move, turn and scale that brings `source` (n, 3) closest to `target`."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, singular, vt = np.linalg.svd(a.T @ b)
    turn = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    linear = (u @ turn @ vt) * ((singular * np.diag(turn)).sum() / (a**2).sum())
    return lambda points: (points - source.mean(0)) @ linear + target.mean(0)


def average_face(shapes: list[NDArray]) -> tuple[NDArray, NDArray]:
    """The detector's own average face (468, 3), made symmetric, and the mirror image (468,) of each landmark."""
    average = shapes[0]
    for _ in range(3):
        average = np.mean([similarity(shape, average)(shape) for shape in shapes], axis=0)
    average = average - average.mean(0)
    flipped = average * [-1, 1, 1]
    for _ in range(3):  # at first the two lie on each other only roughly
        mirror = linear_sum_assignment(np.linalg.norm(flipped[:, None] - average[None], axis=2))[1]
        flipped = similarity(flipped, average[mirror])(flipped)
    if not np.array_equal(mirror[mirror], MESH):
        raise SystemExit("the average face is not symmetric enough to pair its landmarks")
    return (average + flipped[mirror]) / 2, mirror


def warped(points: NDArray, spread: NDArray, face: NDArray) -> NDArray:
    """Landmarks (468, 3) on a smooth warp of the average face that passes near the ones with little spread."""
    trusted = spread < SPREAD_BAD
    domain = similarity(face[trusted], points[trusted])(face)
    doubt = SMOOTHING * (spread[trusted] / SPREAD_GOOD) ** 2
    return RBFInterpolator(domain[trusted], points[trusted], kernel="linear", smoothing=doubt, degree=1)(domain)


def rounded_irises(points: NDArray) -> NDArray:
    """Iris points (10, 3) with top and bottom, which the lids hide, as far from the centre as the sides."""
    points = points.copy()
    for centre in (0, 5):  # then right or left, top, left or right, bottom
        radius = np.abs(points[centre + 1, 0] - points[centre + 3, 0]) / 2
        points[centre + 2] = points[centre] - [0, radius, 0]
        points[centre + 4] = points[centre] + [0, radius, 0]
    return points


def on_surface(head: Head, points: NDArray, part: int) -> tuple[NDArray, NDArray]:
    """Nearest triangle (n,) of that part of the head and barycentric weights (n, 3)."""
    allowed = np.flatnonzero((head.part[head.faces] == part).all(1))
    _, nearest, places = igl.point_mesh_squared_distance(points, head.mean, head.faces[allowed])
    a, b, c = (head.mean[head.faces[allowed[nearest], k]] for k in range(3))
    weights = np.clip(igl.barycentric_coordinates(places, a, b, c), 0, 1)
    return allowed[nearest], weights / weights.sum(1, keepdims=True)


def softness(head: Head, points: NDArray) -> NDArray:
    """(V,) 0.05..1: how far the skin of the average head gives way."""
    soft = np.full(len(head.mean), BONE_SOFTNESS)
    for landmarks, radius, value in SOFT:
        for point in points[landmarks]:
            soft = np.maximum(soft, value * np.exp(-((head.mean - point) ** 2).sum(1) / (2 * radius**2)))
    neck = (head.mean[:, 1] > points[152, 1] + 0.012) & (head.mean[:, 2] < 0.03)
    return np.clip(np.where(neck, np.maximum(soft, NECK_SOFTNESS), soft), 0.05, 1)


def calibrate(head: Head, landmarker: Landmarker) -> dict[str, NDArray]:
    """What landmarks.npz holds."""
    seen = look(head, landmarker)
    points, spread = consensus(seen.places)
    face, mirror = average_face(seen.shapes)
    mirror = np.r_[mirror, IRISES[5:], IRISES[:5]]  # the second eye is shown to the detector in a mirror
    points = np.nanmean([points, points[mirror] * [-1, 1, 1]], axis=0)
    spread = np.maximum(spread, spread[mirror])
    spread[OVAL] = np.maximum(spread[OVAL], 1.001 * SPREAD_BAD)
    points[:468] = warped(points[:468], spread[:468], face)
    points[:468] = (points[:468] + points[mirror[:468]] * [-1, 1, 1]) / 2
    points[468:] = rounded_irises(points[468:])
    on_skin, on_eyes = on_surface(head, points[:468], SKIN), on_surface(head, points[468:], EYEBALL)
    triangle, barycentric = (np.concatenate(both) for both in zip(on_skin, on_eyes, strict=True))
    weight = np.where(spread > SPREAD_BAD, 0.4, 1.0)
    weight[OVAL] = 0.25
    sys.stdout.write(
        f"{len(seen.shapes)} of {VIEWS} views detected; spread median {1e3 * np.median(spread):.1f} mm, "
        f"{(spread > SPREAD_BAD).sum()} landmarks above {1e3 * SPREAD_BAD:.0f} mm\n"
    )
    places = interpolate(head.mean, head.faces, triangle, barycentric)
    return {
        "triangle": triangle.astype(np.uint16),
        "barycentric": barycentric.astype(np.float32),
        "spread": np.minimum(spread, 1).astype(np.float32),
        "weight": weight.astype(np.float32),
        "mirror": mirror.astype(np.int16),
        "ibug68": np.array(IBUG, np.int16),
        "softness": softness(head, places).astype(np.float32),
    }


def check_picture(head: Head, data: dict[str, NDArray]) -> NDArray[np.uint8]:
    """The landmarks on the head, from the front and from the side; the iBUG points numbered and joined."""
    places = interpolate(head.mean, head.faces, data["triangle"].astype(int), data["barycentric"])
    pictures = []
    for yaw in (0, 40):
        turn = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
        drawn = draw(head, placed(head.mean, turn, 0.42), LOOKS[0], np.array([0.3, -0.5, -0.8]))
        picture = cv2.resize(drawn.pixels, None, fx=3, fy=3)
        points = placed(places, turn, 0.42)
        screen = 3 * (FOCAL * points[:, :2] / points[:, 2:] + SIZE / 2)
        for point, weight in zip(screen, data["weight"], strict=True):
            colour = (0, 200, 0) if weight == 1 else (220, 120, 0)
            cv2.circle(picture, tuple(point.astype(int)), 3, colour, -1, cv2.LINE_AA)
        ibug = screen[data["ibug68"]].astype(int)
        for start, end in (0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68):
            cv2.polylines(picture, [ibug[start:end]], start >= 36, (40, 40, 230), 1, cv2.LINE_AA)
        for number, point in enumerate(ibug):
            cv2.putText(picture, str(number), tuple(point), cv2.FONT_HERSHEY_PLAIN, 0.9, (230, 0, 0), 1, cv2.LINE_AA)
        pictures.append(picture)
    return np.hstack(pictures)


def main(models: Path, check: Path | None) -> None:
    head = load_head()
    data = calibrate(head, Landmarker(models))
    np.savez_compressed(ASSETS / "landmarks.npz", **data)
    if check is not None:
        cv2.imwrite(str(check), check_picture(head, data)[..., ::-1])


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
