"""Where a training ran: code, lock file, packages, Python and platform, as far as a model's bytes may depend on them."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from headrace.training.learners.found import Found

PACKAGES = ("xgboost", "pyspark", "delta-spark", "numpy", "pyarrow", "scikit-learn")
_OTHER_NAMES = {"xgboost": ("xgboost-cpu",)}
_HERE = Path(__file__).resolve()


class Environment(BaseModel):
    """What was installed, and which code ran."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str | None
    """Of the code, or None where it ran from no repository."""
    dirty: bool
    """Whether that repository's files were others than the commit's."""
    lock_sha256: str | None
    """Of ``requirements.lock``, or None where there was none."""
    packages: dict[str, str]
    learner_sha256: str | None = None
    """Of the file with the class of one's own that trained, or None where a built-in learner did."""
    python: str
    platform: str
    """System, processor, and C library."""

    def changes_to(self, now: Environment) -> list[str]:
        """In sentences, what is another in ``now``."""
        changed = [
            f"{name} was {before or 'absent'}, and is {after or 'absent'} here"
            for name in sorted({*self.packages, *now.packages})
            if (before := self.packages.get(name)) != (after := now.packages.get(name))
        ]
        for what, before, after in (
            ("Python", self.python, now.python),
            ("the platform", self.platform, now.platform),
            ("the lock file", _short(self.lock_sha256), _short(now.lock_sha256)),
            ("the code", self._code, now._code),
            ("the learner's code", _short(self.learner_sha256), _short(now.learner_sha256)),
        ):
            if before != after:
                changed.append(f"{what} was {before}, and is {after} here")
        return changed

    @property
    def _code(self) -> str:
        return (self.commit or "of no repository")[:16] + (" with changes" if self.dirty else "")


def environment(learner: Found | None = None) -> Environment:
    """Of this process; with the package that brings the learner, where it is none that is built in."""
    commit = _git("rev-parse", "HEAD") if _git("ls-files", "--error-unmatch", _HERE.name) else None
    return Environment(
        commit=commit,
        dirty=bool(commit and _git("status", "--porcelain", "--untracked-files=no")),
        lock_sha256=_lock(),
        packages={name: found for name in PACKAGES if (found := _version(name))}
        | (dict([learner.package]) if learner and learner.package else {}),
        learner_sha256=learner.code if learner else None,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=" ".join(filter(None, (platform.system(), platform.machine(), *platform.libc_ver()))),
    )


def _git(*arguments: str) -> str | None:
    """What git says of the code's own folder, or None where it is not git's."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=_HERE.parent, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _lock() -> str | None:
    root = _HERE.parents[3]
    file = root / "requirements.lock"
    if not (file.is_file() and (root / "pyproject.toml").is_file()):
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _version(name: str) -> str | None:
    for known in (name, *_OTHER_NAMES.get(name, ())):
        try:
            return version(known)
        except PackageNotFoundError:
            continue
    return None


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "absent"
