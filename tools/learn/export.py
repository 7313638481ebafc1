# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the trained network as the file that the engine reads: `python -m tools.learn.export` (needs onnx)."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch

from dice_core.fit.glance import ASSET, CHANNELS, CROP

from .bank import FOLDER
from .train import Whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=FOLDER / "model.pt")
    parser.add_argument("--out", type=Path, default=ASSET)
    parser.add_argument("--blind", action="store_true", help="the model looks at landmarks only")
    options = parser.parse_args()
    saved = torch.load(options.model, weights_only=True)  # noqa: TID251 (our own file)
    model = Whole(not options.blind)
    model.load_state_dict(saved["model"])
    model.eval()
    kept = ("numbers.", "trunk.", "out.") if options.blind else ("",)
    data = {key: value.numpy().astype(np.float16) for key, value in model.head.state_dict().items()
            if key.startswith(kept)}  # fmt: skip
    data |= {"mean": model.mean.numpy(), "deviation": model.deviation.numpy(),
             "calibration": saved["calibration"].numpy().astype(np.float32)}  # fmt: skip
    if not options.blind:
        stream = io.BytesIO()
        torch.onnx.export(model.eye, (torch.zeros(1, CHANNELS, CROP, CROP),), stream, opset_version=17,
                          input_names=["crop"], output_names=["grid", "overall"], dynamo=False)  # fmt: skip
        data["onnx"] = np.frombuffer(stream.getvalue(), np.uint8)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **data)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
