"""A model in MLflow that somebody changed is refused before a byte of it is parsed. A real store, real models of each learner."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb

from headrace.connections import Tracking
from headrace.embedded.mlflow_store import artifact_root, sqlite_uri
from headrace.errors import ModelError
from headrace.training import registry

NAME = "rides"
Folder = SimpleNamespace
"""``files``: the model's folder; ``version``: its number."""


class Evil:
    """A pickle that runs a command."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.made}",)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    home = tmp_path_factory.mktemp("mlflow")
    experiment = registry.open_tracking(Tracking(sqlite_uri(home), "rides", artifact_root(home)))
    rows = np.random.default_rng(7).random((60, 2)).astype(np.float32)
    table = pa.table({"a": rows[:, 0], "b": rows[:, 1]})
    booster = xgb.train({"objective": "binary:logistic"}, xgb.QuantileDMatrix(table, label=rows[:, 0] > 0.5), 3)
    with mlflow.start_run(experiment_id=experiment) as run:
        uri, sha256 = registry.log_booster(booster, example=table.slice(0, 2))
    tags = {registry.SHA256: sha256, registry.FEATURES: "a,b"}
    version = registry.register(NAME, model_uri=uri, run_id=run.info.run_id, tags=tags)
    (file,) = home.rglob("model.ubj")
    return Folder(
        files=file.parent,
        version=version,
        uri=uri,
        run=run.info.run_id,
        sha256=sha256,
        predicted=booster.inplace_predict(table),
    )


@pytest.fixture
def model(kept: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """That model, mended after the test. Nobody parses a Booster or a pickle in it, or the test fails."""
    backup = shutil.copytree(kept.files, tmp_path / "backup")

    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    with monkeypatch.context() as patch:
        for place, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (xgb.Booster, "load_model")):
            patch.setattr(place, name, parsed)
        yield kept
    shutil.rmtree(kept.files)
    shutil.copytree(backup, kept.files)


def replaced(files: Path, made: Path) -> None:
    (files / "model.ubj").write_bytes(pickle.dumps(Evil(made)))


def changed(files: Path, _: Path) -> None:
    content = bytearray((files / "model.ubj").read_bytes())
    content[-2] ^= 1
    (files / "model.ubj").write_bytes(content)


def linked(files: Path, _: Path) -> None:
    (files / "other.ubj").write_bytes((files / "model.ubj").read_bytes())
    (files / "model.ubj").unlink()
    (files / "model.ubj").symlink_to("other.ubj")


def with_pickle(files: Path, made: Path) -> None:
    (files / "model.pkl").write_bytes(pickle.dumps(Evil(made)))


def with_code(files: Path, made: Path) -> None:
    (files / "code").mkdir()
    (files / "code" / "__init__.py").write_text(f"open({str(made)!r}, 'w')")


def described(old: str, new: str) -> Callable[[Path, Path], None]:
    def change(files: Path, _: Path) -> None:
        text = (files / "MLmodel").read_text()
        assert old in text, text
        (files / "MLmodel").write_text(text.replace(old, new, 1))

    return change


def undescribed(files: Path, _: Path) -> None:
    (files / "MLmodel").unlink()


TAMPERED: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a bit changed": (changed, "SHA-256 differs"),
    "a pickle in its place": (replaced, "SHA-256 differs"),
    "a link in its place": (linked, "it holds 'other.ubj'"),
    "a pickle beside it": (with_pickle, "it holds 'model.pkl'"),
    "code beside it": (with_code, "it holds 'code"),
    "another loader": (described("loader_module: mlflow.xgboost", "loader_module: mlflow.pyfunc.model"), "names code or another"),
    "another kind": (described("flavors:\n", "flavors:\n  sklearn: {pickled_model: model.pkl}\n"), "names code or another"),
    "code in the description": (described("loader_module:", "code: code\n    loader_module:"), "names code or another"),
    "a Python object in the description": (described("flavors:", "x: !!python/object/apply:os.system [id]\nflavors:"), "be read"),
    "no description": (undescribed, "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_refused_before_it_is_parsed(name: str, model: Folder, tmp_path: Path) -> None:
    tamper, said = TAMPERED[name]
    tamper(model.files, tmp_path / "made")
    with pytest.raises(ModelError, match=said) as error:
        registry.load(NAME, version=model.version)
    assert str(error.value).startswith(f"model {NAME} version {model.version}: ")
    assert error.value.exit_code == 13
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({registry.SHA256: "0" * 64, registry.FEATURES: "a,b"}, "SHA-256 differs"),
        ({registry.FEATURES: "a,b"}, "SHA-256 differs"),
        ({}, "SHA-256 differs"),
    ],
    ids=["another digest", "no digest", "no tags"],
)
def test_a_version_without_its_digest_is_refused(tags: dict[str, str], said: str, model: Folder) -> None:
    version = registry.register(NAME, model_uri=model.uri, run_id=model.run, tags=tags)
    with pytest.raises(ModelError, match=said):
        registry.load(NAME, version=version)


def test_a_version_without_its_features_is_refused(model: Folder) -> None:
    version = registry.register(NAME, model_uri=model.uri, run_id=model.run, tags={registry.SHA256: model.sha256})
    with pytest.raises(ModelError, match=r"the tag headrace\.features is gone"):
        registry.load(NAME, version=version)


def test_a_version_from_elsewhere_is_refused_and_not_fetched(model: Folder, tmp_path: Path) -> None:
    (tmp_path / "model.ubj").write_bytes((model.files / "model.ubj").read_bytes())
    refused = 0
    for source in (f"file://{tmp_path}", f"runs:/{model.run}/model", "https://127.0.0.1:1/model"):
        tags = {registry.SHA256: model.sha256, registry.FEATURES: "a,b"}
        try:
            version = registry.register(NAME, model_uri=source, run_id=model.run, tags=tags)
        except mlflow.MlflowException:
            continue  # MLflow itself takes no such source
        with pytest.raises(ModelError, match="is no model that a training logged"):
            registry.load(NAME, version=version)
        refused += 1
    assert refused


def test_the_model_as_it_was_registered_is_loaded(kept: Folder) -> None:
    loaded = registry.load(NAME, version=kept.version)
    assert loaded.features == ("a", "b")
    rows = np.random.default_rng(7).random((60, 2)).astype(np.float32)
    assert (
        loaded.fitted.predict(pa.table({"a": rows[:, 0], "b": rows[:, 1]}), features=("a", "b")).tolist()
        == kept.predicted.tolist()
    )
