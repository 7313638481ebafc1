# SPDX-License-Identifier: GPL-3.0-or-later
"""When each hand touches, and with which part: decided over time, so that neither flickers; then the hand is brought to
the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..body.openbody import HAND_PARAMETERS, hand_model
from ..fit.glance import PARTS as GLANCED
from ..fit.hand import HandFit, finish
from ..fit.placement import APART, SURE, doubt, touch_odds
from ..fit.touching import HOPELESS, brought, first_touch
from ..interaction.distance import Surface
from ..interaction.parts import PARTS
from ..types import SIDES
from .folder import Arrays
from .open_eyes import hand_of
from .open_fit import problem_of
from .open_press import pressed
from .person import Person

WINDOW = 0.12  # seconds, deviation of the bell that averages what is seen of a touch
BRIEF = 0.1  # seconds: no touch is shorter, nor a gap between two
LEAVING = 0.4  # probability at which a touch ends that began at SURE
SWITCH = 4.0  # what it costs that another part touches, in half squared sigmas
COLD_ROUNDS, ROUNDS = 3, 2


def decided(fits: Arrays, looks_of_parts: Arrays, times: NDArray, betas: dict[str, NDArray]) -> Arrays:
    """For each side, of all frames: `touching` (N,) bool, `probability` (N,), `part` (N,) index of PARTS or -1.

    Parameters
    ----------
    fits
        `looks`, `before`, `gap` and `costs` of `open_fit.fitted`.
    looks_of_parts
        `..._glance_parts` (N, 8) of `open_eyes`, for touches too short to have been weighed.
    times
        (N,) seconds.
    """
    found: Arrays = {}
    for side in SIDES:
        looks, before, gap = (fits[f"{side}_{key}"] for key in ("looks", "before", "gap"))
        probability = np.zeros(len(times))
        there = np.flatnonzero(np.isfinite(looks))
        if len(there):
            odds = averaged(times[there], touch_odds(looks[there], before[there]))
            sure = 1 - doubt(_nearest(times, gap)[there], betas[side][0])
            probability[there] = sure / (1 + np.exp(-odds))
        touching = lasting(times, hysteresis(probability))
        parts = _parts(touching, fits[f"{side}_costs"], looks_of_parts[f"{side}_glance_parts"])
        found |= {f"{side}_probability": probability, f"{side}_touching": touching, f"{side}_part": parts}
    return found


def averaged(times: NDArray, values: NDArray) -> NDArray:
    """(N,) under a bell of WINDOW seconds."""
    reach = np.searchsorted(times, [times - 3 * WINDOW, times + 3 * WINDOW])
    means = np.zeros(len(values))
    for index, (low, high) in enumerate(reach.T):
        bell = np.exp(-0.5 * ((times[low:high] - times[index]) / WINDOW) ** 2)
        means[index] = bell @ values[low:high] / bell.sum()
    return means


def _nearest(times: NDArray, values: NDArray) -> NDArray:
    """(N,) values where they are NaN from the nearest time at which they are not; 0 when there is none."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.zeros(len(values))
    middles = (times[known][1:] + times[known][:-1]) / 2
    return values[known[np.searchsorted(middles, times)]]


def hysteresis(probability: NDArray) -> NDArray[np.bool_]:
    """(N,) a touch begins at SURE and lasts as long as it is as likely as LEAVING."""
    touching, now = np.zeros(len(probability), bool), False
    for index, chance in enumerate(probability):
        now = chance >= (LEAVING if now else SURE)
        touching[index] = now
    return touching


def lasting(times: NDArray, touching: NDArray) -> NDArray[np.bool_]:
    """(N,) without gaps, and then without touches, that are BRIEF."""
    result = touching.copy()
    for kind in (False, True):
        for run in intervals(result == kind):
            inner = run[0] > 0 and run[-1] < len(times) - 1
            if inner and times[run[-1] + 1] - times[run[0]] < BRIEF:
                result[run] = not kind
    return result


def intervals(there: NDArray) -> list[NDArray]:
    """The runs of indices at which something holds."""
    where = np.flatnonzero(there)
    return [run for run in np.split(where, np.flatnonzero(np.diff(where) > 1) + 1) if len(run)]


def _parts(touching: NDArray, costs: NDArray, looks: NDArray) -> NDArray[np.int64]:
    """(N,) which part touches: in each touch the way through the parts that costs least."""
    parts = np.full(len(touching), -1)
    for run in intervals(touching):
        weighed = run[np.isfinite(costs[run]).any(1)]
        if len(weighed):
            path = cheapest(np.where(np.isfinite(costs[weighed]), costs[weighed], np.nanmax(costs[weighed]) + HOPELESS))
            middles = (weighed[1:] + weighed[:-1]) / 2
            parts[run] = path[np.searchsorted(middles, run)]
        else:
            parts[run] = PARTS.index(GLANCED[int(looks[run].mean(0).argmax())])
    return parts


def cheapest(costs: NDArray) -> NDArray[np.int64]:
    """(T, P) costs -> (T,) the way that costs least, SWITCH included (Viterbi)."""
    total, came = costs[0], np.zeros(costs.shape, int)
    for index in range(1, len(costs)):
        change = total.min() + SWITCH
        came[index] = np.where(total <= change, np.arange(len(total)), total.argmin())
        total = np.minimum(total, change) + costs[index]
    path = [int(total.argmin())]
    for index in range(len(costs) - 1, 0, -1):
        path.append(int(came[index, path[-1]]))
    return np.array(path[::-1])


def placed(rows: Arrays, fits: Arrays, decisions: Arrays, person: Person) -> Arrays:
    """(n, HAND_PARAMETERS) `parameters` of each side's hand in the frames of a chunk, on the skin; NaN where it does
    not touch. All arrays are of the chunk."""
    count = len(rows["face_seen"])
    found = {f"{side}_parameters": np.full((count, HAND_PARAMETERS), np.nan) for side in SIDES}
    heads = _heads(fits["head_pose"])
    ratio: dict[str, float | None] = dict.fromkeys(SIDES)
    for index in range(count):
        surface, head = None, heads[index]
        for side in SIDES:
            free = fits[f"{side}_parameters"][index]
            if head is None or not decisions[f"{side}_touching"][index] or np.isnan(free[0]):
                ratio[side] = None
                continue
            if surface is None:
                vertices = person.posed(head)
                surface, eyes = person.surface(vertices), person.eyes(vertices)
            row = {key: values[index] for key, values in rows.items()}
            part = PARTS[decisions[f"{side}_part"][index]]
            plain = bool(fits[f"{side}_plain"][index])
            fit = _on_skin(row, side, free, plain, ratio[side], surface, eyes, part, person)
            ratio[side] = float(fit.parameters[5] / free[5])
            found[f"{side}_parameters"][index] = _no_deeper(fit, side, surface, person)
    return found


def _heads(poses: NDArray) -> list[NDArray | None]:
    """Where the head was last seen, if it was in this chunk or will be."""
    held: list[NDArray | None] = []
    last = next((pose for pose in poses if np.isfinite(pose[0])), None)
    for pose in poses:
        last = pose if np.isfinite(pose[0]) else last
        held.append(last)
    return held


def _on_skin(row: Arrays, side: str, free: NDArray, plain: bool, ratio: float | None, surface: Surface, eyes: float,
             part: str, person: Person) -> HandFit:  # fmt: skip
    shown = hand_of(row, side)
    assert shown is not None
    problem = problem_of(*shown, person, eyes, plain)
    if ratio is None:
        start, rounds = first_touch(problem, finish(problem, free, 0.0), surface, part), COLD_ROUNDS
    else:
        start, rounds = free.copy(), ROUNDS
        start[3:6] *= ratio
    return brought(problem, start, surface, person.allowed, part, person.betas[side], rounds)


def _no_deeper(fit: HandFit, side: str, head: Surface, person: Person) -> NDArray:
    """(HAND_PARAMETERS,) the hand pressed in no deeper than the skin gives way, before all is made smooth."""
    model, middle = hand_model(side), fit.vertices.mean(0)  # type: ignore[arg-type]
    surface = Surface(fit.vertices, model.faces, model.wrist_rim)
    _, offset = pressed(surface, head, person.allowed, 1.0, -middle / np.linalg.norm(middle))
    parameters = fit.parameters.copy()
    parameters[3:6] += offset
    return parameters


def state_of(touching: bool, probability: float) -> str:
    """Of a hand and the head, see `Capture.contact_state`."""
    return "touch" if touching else "no-touch" if probability < APART else "unsure"
