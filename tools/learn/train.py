# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the network on what `make` kept, for so many minutes: `python -m tools.learn.train --minutes 8`.

The other half (other heads, skins, hands, backgrounds) measures it and sets how far its answers are to be trusted.
`--blind` trains one that sees landmarks only, to compare with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import chi2
from torch import nn
from torch.nn import functional as F

from dice_core.fit import glance

from .bank import FOLDER
from .data import SPOILT, Rows, load, prepared
from .net import Net, descend

SHARES = {"touch": 1.0, "gap": 0.4, "near": 0.5, "depth": 0.4, "parts": 0.7, "pose": 0.2, "points": 0.2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--data", type=Path, default=FOLDER / "data")
    parser.add_argument("--out", type=Path, default=FOLDER / "model0.pt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rows, kept_back = load(options.data, "train"), load(options.data, "check")
    print(f"{len(rows['touch'])} rows of {len(np.unique(rows['figure']))} figures to learn from, "
          f"{rows['touch'].mean():.2f} touch; {len(kept_back['touch'])} to check with", flush=True)  # fmt: skip
    model = Net(options.blind)
    average = fit(model, rows, prepared(rows, both=True), 60 * options.minutes)
    truth = prepared(kept_back, both=False)
    answers = answers_of(average, kept_back, truth)
    report(answers, truth, calibrated(answers, truth))
    torch.save({"model": average.state_dict()}, options.out)


def fit(model: Net, rows: Rows, given: Rows, seconds: float) -> nn.Module:
    """Train for a time; gives the running average of the weights."""
    features = torch.from_numpy(rows["features"])
    for name, values in (("numbers", torch.from_numpy(given["numbers"])), ("features", features[::4].float())):
        model.standard[name].learn(values)
    tensors = {key: torch.from_numpy(values) for key, values in given.items()}
    noise = SPOILT / model.standard["numbers"].deviation.clamp(min=0.05)
    sums: dict[str, float] = {}
    steps = 0

    def cost(chosen: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        batch = {key: values[chosen] for key, values in tensors.items()}
        numbers = batch["numbers"] + noise * torch.randn_like(batch["numbers"])
        judge, held = model(numbers, features[batch["row"]].float())
        terms, more = losses(judge, batch), held_losses(held, batch)
        steps += 1
        for name, term in (terms | {f"{name}, held": term for name, term in more.items()}).items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        if steps % 500 == 0:
            print(f"{steps} " + " ".join(f"{name} {value / 500:.3f}" for name, value in sums.items()), flush=True)
            sums.clear()
        return sum(SHARES[name] * term for name, term in terms.items()) + SHARES["pose"] * sum(more.values())

    return descend(model, len(given["row"]), seconds, cost)


def losses(out: torch.Tensor, truth: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The mean of each term over a batch."""
    touch = truth["touch"]
    spread = out[:, glance.DEPTH.start + 1].clamp(-5, 2)
    depth = 0.5 * ((out[:, glance.DEPTH.start] - truth["depth"]) * torch.exp(-spread)) ** 2 + spread
    part = F.binary_cross_entropy_with_logits(out[:, glance.PART], truth["parts"], reduction="none").mean(1)
    return {
        "touch": F.binary_cross_entropy_with_logits(out[:, 0], 0.96 * touch + 0.02),
        "gap": F.smooth_l1_loss(out[:, glance.GAP.start], truth["gap"]),
        "near": F.smooth_l1_loss(out[:, glance.GAPS], truth["near"]),
        "depth": depth.clamp(max=20).mean(),
        "parts": (part * touch).sum() / touch.sum().clamp(min=1),
    } | held_losses(out[:, glance.JUDGED :], truth)


def held_losses(out: torch.Tensor, truth: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of how the hand is held, from all answers but the judged ones."""
    said = {name: out[:, slice(where.start - glance.JUDGED, where.stop - glance.JUDGED)]
            for name, where in (("pose", glance.POSE), ("pose_sigma", glance.POSE_SIGMA), ("points", glance.POINTS),
                                ("points_sigma", glance.POINTS_SIGMA))}  # fmt: skip
    return {name: _spread(said[name].unflatten(1, truth[name].shape[1:]) - truth[name], said[f"{name}_sigma"])
            for name in ("pose", "points")}  # fmt: skip


def _spread(off: torch.Tensor, logarithm: torch.Tensor) -> torch.Tensor:
    """What (n, 21, d) errors cost if they spread as normal ones do, by (n, 21) logarithms of their deviation."""
    wide = logarithm.clamp(-4, 2)
    return (0.5 * (off**2).sum(2) * torch.exp(-2 * wide) + off.shape[2] * wide).mean()


def answers_of(model: nn.Module, rows: Rows, given: Rows) -> NDArray:
    """(n, OUTPUTS)."""
    with torch.no_grad():
        features = torch.from_numpy(rows["features"][given["row"]]).float()
        judge, held = model.eval()(torch.from_numpy(given["numbers"]), features)
    return torch.cat([judge[:, : glance.JUDGED], held], 1).numpy()


def calibrated(out: NDArray, truth: Rows) -> list[float]:
    """See `glance.answer`."""

    def cross(logits: NDArray, wanted: NDArray) -> float:
        return float(np.logaddexp(0, np.where(wanted > 0.5, -logits, logits)).mean())

    touch, touching = out[:, 0].astype(float), truth["touch"] > 0.5
    scale, shift = minimize(lambda x: cross(x[0] * touch + x[1], truth["touch"]), [1.0, 0.0], method="Nelder-Mead").x
    parts, wanted = out[touching][:, glance.PART].astype(float), truth["parts"][touching]
    part = minimize(lambda x: cross(x[0] * parts, wanted), [1.0], method="Nelder-Mead").x[0]
    depth = (out[:, 1] - truth["depth"]) / np.exp(np.clip(out[:, 2], -5, 2))
    # medians: a few hands that the detector took for something else would make all others seem unsure
    wide = [float(np.median(np.abs(depth)) / 0.6745)]
    for key, said, sigma in (("pose", glance.POSE, glance.POSE_SIGMA), ("points", glance.POINTS, glance.POINTS_SIGMA)):
        off = ((out[:, said].reshape(truth[key].shape) - truth[key]) ** 2).mean(2)
        usual = chi2.median(truth[key].shape[2]) / truth[key].shape[2]
        wide.append(float(np.sqrt(np.median(off / np.exp(2 * np.clip(out[:, sigma], -4, 2))) / usual)))
    return [float(scale), float(shift), float(part), *wide]


def auc(scores: NDArray, labels: NDArray) -> float:
    """Chance that one that is scores higher than one that is not."""
    order = np.argsort(np.argsort(scores)) + 1
    yes = labels > 0.5
    return float((order[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / max(yes.sum() * (~yes).sum(), 1))


def report(out: NDArray, truth: Rows, calibration: list[float]) -> None:
    """Figures on the half that was kept back."""
    touch, gap = truth["touch"], np.exp(truth["gap"]) * 0.02 - 0.005
    chance = 1 / (1 + np.exp(-(calibration[0] * out[:, 0] + calibration[1])))
    near = np.abs(np.exp(out[:, glance.GAPS]) - np.exp(truth["near"])) * 1000 * glance.GAP_UNIT
    plain_near = np.abs(np.exp(np.median(truth["near"], 0)) - np.exp(truth["near"])) * 1000 * glance.GAP_UNIT
    print(f"joints to face: {near.mean():.1f} mm mean {np.median(near):.1f} median; constant {plain_near.mean():.1f}")
    print(f"calibration {np.round(calibration, 3).tolist()}")
    print(f"touch: AUC {auc(chance, touch):.3f}, right {((chance > 0.5) == (touch > 0.5)).mean():.3f}")
    for low, high in ((0.007, 0.015), (0.015, 0.03), (0.03, 0.06), (0.06, 0.12), (0.12, 0.5)):
        some = (touch > 0.5) | ((gap >= low) & (gap < high))
        print(
            f"  against {100 * low:.1f}-{100 * high:.1f} cm: AUC {auc(chance[some], touch[some]):.3f} "
            f"({(some & (touch < 0.5)).sum()})"
        )
    for low in np.arange(0, 1, 0.2):
        some = (chance >= low) & (chance < low + 0.2)
        print(f"  said {low:.1f}-{low + 0.2:.1f}: {touch[some].mean() if some.any() else np.nan:.2f} of {some.sum()}")
    off = np.abs(out[:, 1] - truth["depth"])
    plain = np.abs(truth["depth"] - np.median(truth["depth"]))
    for name, some in (("touching", touch > 0.5), ("away", touch < 0.5)):
        print(
            f"depth, {name}: {off[some].mean():.3f} mean {np.median(off[some]):.3f} median; "
            f"constant {plain[some].mean():.3f}"
        )
    yes = touch > 0.5
    for number, name in enumerate(glance.PARTS):
        is_so = truth["parts"][yes, number]
        print(f"  part {name}: AUC {auc(out[yes, 3 + number], is_so):.3f}, {is_so.mean():.2f}")
    said, wanted = out[yes][:, glance.PART] > 0, truth["parts"][yes] > 0.5
    print(
        f"parts: F1 {2 * (said & wanted).sum() / max(said.sum() + wanted.sum(), 1):.3f}, best named is right "
        f"{wanted[np.arange(len(wanted)), out[yes][:, glance.PART].argmax(1)].mean():.3f}"
    )
    for key, said in (("pose", glance.POSE), ("points", glance.POINTS)):
        before = np.linalg.norm(truth[key], axis=2).mean(1)
        after = np.linalg.norm(truth[key] - out[:, said].reshape(truth[key].shape), axis=2).mean(1)
        print(
            f"{key}: {before.mean():.3f} mean {np.median(before):.3f} median -> "
            f"{after.mean():.3f} {np.median(after):.3f}"
        )


if __name__ == "__main__":
    main()
