# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that only pretends: answers what the installer runs, from the settings in FAKE_PYTHON (a JSON file).

Settings: `pip` and `ensurepip` (has it), `pip_version`, `minor`, `fail` (what pip says before it fails), `hang` (a
package whose installation never ends), `wheel` (what a download gives), `without` (packages that cannot be found),
`broken` (what the self-test finds wrong). Every call is added to `calls` beside the settings.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

settings_file = Path(os.environ["FAKE_PYTHON"])
settings = json.loads(settings_file.read_text())
arguments = sys.argv[1:]
with open(settings_file.with_name("calls"), "a") as calls:
    calls.write(json.dumps([os.getpid(), *arguments]) + "\n")


def after(option):
    return [arguments[place + 1] for place, word in enumerate(arguments) if word == option]


def venv():
    folder = Path(arguments[-1])
    (folder / "bin").mkdir(parents=True)
    shutil.copy(__file__, folder / "bin" / "python")


def pip():
    python = Path(after("--python")[0])
    wanted = [Path(lock).name for lock in after("-r")] or arguments[-1:]
    for name in wanted:
        if name in settings.get("without", []):
            sys.exit(f"ERROR: No matching distribution found for {name}")
        if settings.get("fail"):
            sys.exit(settings["fail"])
        print(f"Collecting {name}\n  Downloading {name}-1.0-py3-none-any.whl (1.5 MB)", flush=True)
        if "--progress-bar=raw" in arguments:
            print("Progress 0 of 15000000\nProgress 7600000 of 15000000", flush=True)
        (python.parent.parent / f"half-{name}").touch()
        if settings.get("hang") == name:
            time.sleep(60)
        (python.parent.parent / f"half-{name}").rename(python.parent.parent / f"whole-{name}")
    print(f"Installing collected packages: {', '.join(wanted)}", flush=True)
    for folder in after("--dest"):
        Path(folder).mkdir()
        shutil.copy(settings["wheel"], folder)


def selftest():
    failures = [settings["broken"]] if settings.get("broken") else []
    print(json.dumps({"packages": {"numpy": "2"}, "models": {"a": 1.0}, "device": "CPU: fake", "failures": failures}))


if arguments[0] == "-c":
    minor = settings.get("minor", [3, 11])
    pip_version = settings.get("pip_version", 24.0) if settings.get("pip", True) else 0.0
    print(json.dumps([__file__, minor, "3.11.0", pip_version, True, settings.get("ensurepip", True)]))
elif arguments[1] == "venv":
    venv()
elif arguments[1] == "pip":
    pip()
else:
    selftest()
