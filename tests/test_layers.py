# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports and habits that must never exist, looked for in the syntax tree of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dice_core", "dice_blender")
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
STAGES = ("untrusted", "media", "landmarks", "body", "fit", "network", "interaction")
LATER = ("dice_core.engines", "dice_core.result", "dice_core.pipeline", "dice_core.worker")
WORKER_SIDE = (
    "network", "engines", "fit", "landmarks", "interaction", "pipeline", "worker", "evaluate", "untrusted", "convert",
    "body.official", "body.containers", "body.recognise",
)  # fmt: skip

# Files under the first, but not under the second, import nothing of the third.
NEVER: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("dice_core", (), ("bpy", "mathutils", "gpu", "dice_blender")),
    ("dice_core", ("dice_core/network", "dice_core/engines/dice.py"), ("torch", "smplx", "manopth", "pytorch3d")),
    ("dice_blender", (), ("torch", "cv2", "scipy", "trimesh", "igl", "PIL", "skimage")),
    ("dice_blender", (), tuple(f"dice_core.{name}" for name in WORKER_SIDE)),
    *((f"dice_core/{stage}", (), LATER) for stage in STAGES),
    ("dice_core/untrusted", (), ("numpy", "dice_core.body", "dice_core.network")),
    ("dice_core/body", (), ("dice_core.network",)),
    ("", (), ("pickle", "chumpy", "dill", "cloudpickle", "shelve", "marshal", "multiprocessing")),
    ("dice_blender/scene", (), ("dice_blender.ops", "dice_blender.panels", "dice_blender.preferences")),
    ("dice_blender/panels", (), ("dice_core.client", "dice_blender.jobs.start", "subprocess", "threading")),
]
# Calls that do work: not while a module is imported, nor in register().
WORK = {
    "print", "open", "load", "run", "call", "check_call", "check_output", "Popen", "Thread", "urlopen", "mkdir",
    "makedirs", "mkdtemp", "read_text", "read_bytes", "write_text", "write_bytes", "import_module", "unlink", "start",
}  # fmt: skip


def under(path: Path, folder: str) -> bool:
    return folder == "" or path == Path(folder) or Path(folder) in path.parents


def imports(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name imported, absolute, relative ones resolved: `from .. import a` in x/y/z.py is `x.a`."""
    package = path.parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}".lstrip(".")) for alias in node.names)


def forbidden_imports(path: Path, tree: ast.AST) -> Iterator[str]:
    for line, name in imports(path, tree):
        for folder, but_not, names in NEVER:
            if under(path, folder) and not any(under(path, exception) for exception in but_not):
                yield from (f"{line}: imports {name}" for never in names if f"{name}.".startswith(f"{never}."))
    for node in ast.walk(tree):
        level_0 = isinstance(node, ast.ImportFrom) and node.level == 0
        names = [node.module or ""] if level_0 else [a.name for a in node.names] if isinstance(node, ast.Import) else []
        yield from (f"{node.lineno}: imports {n}, not relatively" for n in names if n.split(".")[0] in PACKAGES)


def called(node: ast.AST) -> str:
    """`print` for `print(...)`, `path.load` for `a.path.load(...)`."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return f"{owner.id if isinstance(owner, ast.Name) else getattr(owner, 'attr', '')}.{node.func.attr}"
    return getattr(node.func, "id", "")


def bad_habits(path: Path, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        line, call = getattr(node, "lineno", 0), called(node)
        if call == "print":
            yield f"{line}: print"
        if call == "torch.load":
            yield f"{line}: torch.load unpickles"
        if under(path, "dice_blender/panels") and call == "jobs.start":
            yield f"{line}: drawing starts work"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{line}: bare except"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield f"{node.value.lineno}: allow_pickle"
        if isinstance(node, ast.Attribute) and node.attr == "path" and getattr(node.value, "id", "") == "sys":
            yield f"{line}: sys.path"


def executed(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """What runs when these statements do: not the bodies of functions, nor what only `python file.py` runs."""
    for node in nodes:
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (part for decorator in getattr(node, "decorator_list", []) for part in ast.walk(decorator))
        else:
            yield node
            yield from executed(list(ast.iter_child_nodes(node)))  # type: ignore[arg-type]


def early_work(path: Path, tree: ast.Module) -> Iterator[str]:
    registers = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "register"]
    for place, nodes in [("import", tree.body), *(("register()", node.body) for node in registers)]:
        for node in executed(nodes):
            call = called(node)
            if call.rpartition(".")[2] in WORK:
                yield f"{node.lineno}: {call} at {place}"
            elif place == "import" and isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                if called(node.value) != "environ.setdefault":  # settings for libraries: touches nothing outside
                    yield f"{node.lineno}: {called(node.value)} at {place}"


def shape(path: Path, source: str, tree: ast.Module) -> Iterator[str]:
    lines = source.splitlines()
    if not lines or lines[0] != "# SPDX-License-Identifier: GPL-3.0-or-later":
        yield "1: the first line is not the licence"
    if ast.get_docstring(tree) is None:
        yield "2: no module docstring"
    if len(lines) > 400 and not under(path, "dice_blender/languages"):  # a line for each text
        yield f"400: {len(lines)} lines"


def examine(path: Path, source: str) -> list[str]:
    tree = ast.parse(source)
    checks = (forbidden_imports(path, tree), bad_habits(path, tree), early_work(path, tree), shape(path, source, tree))
    return [fault for check in checks for fault in check]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_keeps_the_rules(path: Path) -> None:
    assert examine(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_there_are_files() -> None:
    assert {Path("dice_core/types.py"), Path("dice_blender/__init__.py")} <= set(FILES)


def test_extension_root_imports_nothing_at_the_top() -> None:
    """pytest imports the root's `__init__.py` too, where there is no bpy."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno and
                getattr(node, "module", "") != "__future__"]  # fmt: skip


HEADER = '# SPDX-License-Identifier: GPL-3.0-or-later\n"""A module."""\n'


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("dice_core/a.py", "import bpy", "imports bpy"),
        ("dice_core/fit/a.py", "def f():\n    from mathutils import Vector", "imports mathutils.Vector"),
        ("dice_core/fit/a.py", "import torch.nn", "imports torch.nn"),
        ("dice_core/engines/open.py", "import torch", "imports torch"),
        ("dice_core/fit/a.py", "from ..engines import base", "imports dice_core.engines.base"),
        ("dice_core/body/a.py", "from .. import pipeline", "imports dice_core.pipeline"),
        ("dice_blender/a.py", "from ..dice_core.fit import head", "imports dice_core.fit.head"),
        ("dice_blender/scene/a.py", "from ...dice_core import worker", "imports dice_core.worker"),
        ("dice_blender/scene/a.py", "from ..ops.capture import x", "imports dice_blender.ops.capture.x"),
        ("dice_blender/a.py", "import scipy.ndimage", "imports scipy.ndimage"),
        ("dice_blender/a.py", "from dice_core import types", "not relatively"),
        ("dice_blender/panels/a.py", "from ..jobs import start", "imports dice_blender.jobs.start"),
        ("dice_blender/panels/a.py", "def draw():\n    jobs.start(1)", "drawing starts work"),
        ("dice_core/untrusted/pickles.py", "import pickle", "imports pickle"),
        ("dice_core/body/a.py", "from ..network import official", "imports dice_core.network.official"),
        ("dice_core/a.py", "def f(p):\n    return np.load(p, allow_pickle=True)", "allow_pickle"),
        ("dice_core/a.py", "def f(p, yes):\n    return np.load(p, allow_pickle=yes)", "allow_pickle"),
        ("dice_core/network/a.py", "def f(p):\n    return torch.load(p)", "torch.load"),
        ("dice_core/a.py", "def f():\n    print(1)", "print"),
        ("dice_core/a.py", "try:\n    pass\nexcept:\n    pass", "bare except"),
        ("dice_core/a.py", "def f():\n    sys.path.append('x')", "sys.path"),
        ("dice_core/a.py", "DATA = np.load('x.npz')", "np.load at import"),
        ("dice_core/a.py", "class A:\n    text = Path('x').read_text()", "read_text at import"),
        ("dice_core/a.py", "start()", "start at import"),
        ("dice_core/a.py", "if True:\n    configure()", "configure at import"),
        ("dice_blender/a.py", "def register():\n    subprocess.run(['x'])", "subprocess.run at register()"),
    ],
)
def test_faults_are_found(path: str, source: str, fault: str) -> None:
    faults = examine(Path(path), HEADER + source)
    assert len(faults) >= 1 and any(fault in found for found in faults), faults


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("dice_core/network/a.py", "import torch"),
        ("dice_core/engines/dice.py", "import torch\nfrom ..network import model"),
        ("dice_core/engines/open.py", "from ..fit import head\nfrom ..result import store"),
        ("dice_core/a.py", "def f(p):\n    return np.load(p, allow_pickle=False)"),
        ("dice_core/a.py", "if __name__ == '__main__':\n    main()"),
        ("dice_core/a.py", "SIZE = int('3')\n@dataclass(frozen=True)\nclass A:\n    x: int = field(default=1)"),
        ("dice_blender/a.py", "from ..dice_core import client\ndef f():\n    open('x')"),
        ("dice_blender/scene/a.py", "from . import axes\nfrom .. import compat"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert examine(Path(path), HEADER + source) == []


def test_shape_of_a_file() -> None:
    faults = ["1: the first line is not the licence", "2: no module docstring"]
    assert examine(Path("dice_core/a.py"), "x = 1\n") == faults
    assert examine(Path("dice_core/a.py"), HEADER + "\n" * 400) == ["400: 402 lines"]


GUARD = """
import sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in sys.stdlib_module_names | set(sys.argv[1].split(",")):
            raise ImportError("not allowed here: " + name)
sys.meta_path.insert(0, Guard())
for name in sys.argv[2:]:
    __import__(name)
"""


def import_with(allowed: str, *modules: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", GUARD, f"dice_core,{allowed}", *modules]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_blender_side_of_the_core_needs_numpy_only() -> None:
    names = ("types", "errors", "paths", "protocol", "client", "result.store", "result.sequence", "result.keys")
    done = import_with("numpy", "dice_core", *(f"dice_core.{name}" for name in names))
    assert done.returncode == 0, done.stderr


def test_installer_needs_the_standard_library_only() -> None:
    names = ("runtime", "doctor", "installer.selftest", "landmarks.models")
    done = import_with("", *(f"dice_core.{name}" for name in names))
    assert done.returncode == 0, done.stderr


def test_the_guard_itself_works() -> None:
    assert "not allowed here: numpy" in import_with("", "dice_core.types").stderr
