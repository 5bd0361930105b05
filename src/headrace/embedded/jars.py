"""The pinned jars of Spark and of the embedded broker, downloaded once through the Ivy that pyspark carries."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from headrace.embedded.java import find_java
from headrace.errors import PrerequisiteError, StorageError

_MANIFEST = "jars.json"
_LOCK_WAIT_S = 900
_UNREACHABLE = re.compile(
    r"unknown ?host|host \S+ not found|connection (refused|reset|timed out)|connect timed out|unreachable"
    r"|server access error|no route to host|ssl|proxy",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Jar:
    """Maven coordinates. An empty ``name`` (in an exclude) stands for all of ``org``."""

    org: str
    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in (self.org, self.name, self.version) if part)


@dataclass(frozen=True)
class JarSet:
    """``roots`` with all that they need, without ``excludes``, and with the versions of ``overrides``."""

    name: str
    roots: tuple[Jar, ...]
    excludes: tuple[Jar, ...] = ()
    overrides: tuple[Jar, ...] = ()

    @property
    def folder(self) -> str:
        """Folder name of exactly this set: another version or exclude gives another folder."""
        return f"{self.name}-{hashlib.sha256(repr(self).encode()).hexdigest()[:12]}"


SPARK = JarSet(
    name="spark",
    roots=(
        Jar("io.delta", "delta-spark_4.1_2.13", "4.4.0"),
        Jar("org.apache.spark", "spark-sql-kafka-0-10_2.13", "4.1.1"),
        Jar("org.apache.spark", "spark-avro_2.13", "4.1.1"),
    ),
    # pyspark ships these itself; the Unity Catalog client is not used
    excludes=(
        Jar("org.apache.hadoop", "hadoop-client-api"),
        Jar("org.apache.hadoop", "hadoop-client-runtime"),
        Jar("org.slf4j"),
        Jar("org.apache.logging.log4j"),
        Jar("org.apache.parquet"),
        Jar("com.github.luben", "zstd-jni"),
        Jar("org.lz4", "lz4-java"),
        Jar("at.yawk.lz4", "lz4-java"),
        Jar("org.xerial.snappy", "snappy-java"),
        Jar("io.unitycatalog"),
        Jar("io.delta", "delta-kernel-unitycatalog"),
        Jar("commons-logging", "commons-logging"),
        Jar("com.fasterxml.jackson.core"),
        Jar("com.fasterxml.jackson.datatype"),
        Jar("org.roaringbitmap"),
        Jar("org.scala-lang"),
        Jar("org.scala-lang.modules"),
        Jar("org.apache.spark", "spark-tags_2.13"),
        Jar("com.google.code.findbugs", "jsr305"),
        Jar("org.tukaani", "xz"),
    ),
    # 3.9.1, which the connector asks for, can send a batch to the wrong topic (CVE-2026-35554)
    overrides=(Jar("org.apache.kafka", "kafka-clients", "3.9.2"),),
)

KAFKA = JarSet(
    name="kafka",
    roots=(
        Jar("org.apache.kafka", "kafka_2.13", "4.1.2"),
        Jar("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3"),
    ),
)


def cache_folder() -> Path:
    """``$HEADRACE_CACHE``, or ``~/.cache/headrace``."""
    named = os.environ.get("HEADRACE_CACHE", "").strip()
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "headrace"


def fetch(jar_set: JarSet, *, cache: Path | None = None, notify: Callable[[str], None] | None = None) -> list[Path]:
    """The jars of ``jar_set``, sorted by name, in ``<cache>/jars/<name>-<hash of the set>/``.

    Downloads them only if that folder isn't complete; ``notify`` gets one line when a download begins. A folder
    appears whole or not at all, and two processes never download at once. A mirror of Maven Central is named by an
    Ivy settings file in ``$HEADRACE_IVY_SETTINGS``; a proxy by ``$HTTPS_PROXY``.

    Raises PrerequisiteError if Java, pyspark or the network is missing, StorageError if the cache can't be written.
    """
    from filelock import FileLock, Timeout

    root = (cache or cache_folder()).absolute() / "jars"
    target = root / jar_set.folder
    jars = _complete(target)
    if jars is not None:
        return jars
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{jar_set.folder}.lock", timeout=_LOCK_WAIT_S):
            jars = _complete(target)
            if jars is not None:
                return jars
            if notify is not None:
                notify(f"Downloading the {jar_set.name} jars once into {target} (30-45 MB, about half a minute).")
            return _download(jar_set, target=target)
    except Timeout as error:
        raise StorageError(
            f"Another process has been downloading the {jar_set.name} jars into {root} for "
            f"{_LOCK_WAIT_S // 60} minutes: end it and try again."
        ) from error
    except OSError as error:
        raise StorageError(
            f"The jar cache {root} can't be written ({error.strerror or error}): make it writable with free space of "
            "100 MB, or set HEADRACE_CACHE to another folder."
        ) from error


def _complete(folder: Path) -> list[Path] | None:
    """The jars of a folder that holds all that its manifest lists, each in full size; else None."""
    try:
        sizes: dict[str, int] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        jars = [folder / name for name in sorted(sizes)]
        whole = all(jar.stat().st_size == sizes[jar.name] for jar in jars)
    except (OSError, ValueError):
        return None
    return jars if whole and jars else None


def _download(jar_set: JarSet, *, target: Path) -> list[Path]:
    root = target.parent
    for left_over in root.glob(f".{jar_set.folder}-*"):  # of a download that was killed; the lock is ours
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{jar_set.folder}-", dir=root) as scratch:
        ivy_file = Path(scratch) / "ivy.xml"
        ivy_file.write_text(ivy_xml(jar_set), encoding="utf-8")
        fetched = Path(scratch) / "jars"
        _run_ivy(jar_set, ivy_file=ivy_file, ivy_cache=root.parent / "ivy", destination=fetched, target=target)
        sizes = {jar.name: jar.stat().st_size for jar in sorted(fetched.glob("*.jar"))}
        (fetched / _MANIFEST).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        fetched.rename(target)
    return [target / name for name in sorted(sizes)]


def ivy_xml(jar_set: JarSet) -> str:
    """The Ivy module file that asks for ``jar_set``."""

    def element(tag: str, jar: Jar, *, name_key: str, extra: str = "") -> str:
        name = f" {name_key}={quoteattr(jar.name)}" if jar.name else ""
        version = f" rev={quoteattr(jar.version)}" if jar.version else ""
        return f"    <{tag} org={quoteattr(jar.org)}{name}{version}{extra}/>"

    lines = [
        '<ivy-module version="2.0">',
        f'  <info organisation="headrace" module={quoteattr(jar_set.name)}/>',
        '  <configurations><conf name="default"/></configurations>',
        "  <dependencies>",
        *(element("dependency", jar, name_key="name", extra=' conf="default->default"') for jar in jar_set.roots),
        *(element("exclude", jar, name_key="module") for jar in jar_set.excludes),
        *(element("override", jar, name_key="module") for jar in jar_set.overrides),
        "  </dependencies>",
        "</ivy-module>",
    ]
    return "\n".join(lines) + "\n"


def _run_ivy(jar_set: JarSet, *, ivy_file: Path, ivy_cache: Path, destination: Path, target: Path) -> None:
    command = [str(find_java().path), *_proxy_options(), "-cp", str(_ivy_jar()), "org.apache.ivy.Main"]
    settings = os.environ.get("HEADRACE_IVY_SETTINGS", "").strip()
    if settings:
        command += ["-settings", str(Path(settings).expanduser())]
    command += ["-ivy", str(ivy_file), "-cache", str(ivy_cache), "-confs", "default", "-types", "jar", "bundle"]
    command += ["-retrieve", f"{destination}/[artifact]-[revision].[ext]"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if answer.returncode != 0 or not destination.is_dir():
        raise PrerequisiteError(_why_not(jar_set, answer.stdout + answer.stderr, target=target))


def _why_not(jar_set: JarSet, printed: str, *, target: Path) -> str:
    what = f"The {jar_set.name} jars ({', '.join(map(str, jar_set.roots))}) can't be downloaded"
    lines = [line.strip(" \t:") for line in printed.splitlines() if line.strip(" \t:")]
    unreachable = next((line for line in lines if _UNREACHABLE.search(line)), None)
    if unreachable is not None:
        return (
            f"{what}, Maven Central can't be reached ({unreachable}): connect to the network once, set HTTPS_PROXY or "
            f"HEADRACE_IVY_SETTINGS (a mirror), or copy the folder {target} from a machine that has it."
        )
    told = next((line for line in lines if "not found" in line), lines[-1] if lines else "Ivy said nothing")
    return f"{what} ({told}): check the mirror in HEADRACE_IVY_SETTINGS, or delete the cache beside {target.parent}."


def _proxy_options() -> list[str]:
    """Java's proxy settings from ``$HTTPS_PROXY``, which Java itself doesn't read."""
    named = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    proxy = urlsplit(named if "//" in named else f"//{named}")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 443}"]


def _ivy_jar() -> Path:
    return next(jar for jar in reversed(pyspark_jars()) if jar.name.startswith("ivy-"))


def pyspark_jars() -> list[Path]:
    """Spark's own jars, which pyspark carries, sorted by name. Raises PrerequisiteError where there are none."""
    spec = importlib.util.find_spec("pyspark")
    jars = sorted(Path(spec.origin).parent.glob("jars/*.jar")) if spec is not None and spec.origin else []
    if not any(jar.name.startswith("ivy-") for jar in jars):
        raise PrerequisiteError(
            "pyspark with its jars isn't installed in this Python: run `pip install pyspark==4.1.1`."
        )
    return jars
