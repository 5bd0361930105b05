"""A package with a learner of one's own, installed as pip leaves it: a module, and a ``.dist-info`` with the entry point."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"


def example() -> str:
    """The class that the guide shows."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return code


def install(
    folder: Path, *, package: str, version: str, module: str, code: str, learner: str, name: str, group: str = "headrace.learners"
) -> None:  # fmt: skip
    """Write the package's files, over those of another version. ``learner`` is the entry point's value without the module."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{package.replace('-', '_')}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{learner}\n")
    sys.modules.pop(module, None)
    invalidate_caches()


@contextmanager
def importable(folder: Path, *modules: str) -> Iterator[None]:
    """The folder on the path, as if it were ``site-packages``; the modules are forgotten afterwards."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for module in modules:
            sys.modules.pop(module, None)
        invalidate_caches()
