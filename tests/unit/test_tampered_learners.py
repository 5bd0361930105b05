"""A linear model or one of a class of one's own that somebody changed in MLflow is refused before it is parsed, as a Booster is."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from own_learner import example, importable, install

from headrace.connections import Tracking
from headrace.embedded.mlflow_store import artifact_root, sqlite_uri
from headrace.errors import HeadraceError, LearnerError, ModelError
from headrace.training import registry
from headrace.training.learners.checked import opened
from headrace.training.learners.found import find
from headrace.training.learners.linear_model import LinearModel
from headrace.training.model_log import log_fitted
from headrace.training.task import BINARY, Task, as_text

Folder = SimpleNamespace
TABLE = pa.table({"a": np.linspace(-1, 1, 20), "b": np.linspace(0, 1, 20)})
LEARNERS = ("linear", "bands")
FILES: dict[str, Any] = {
    "linear": {
        "format": 1, "kind": "binary",
        "columns": [{"name": name, "mean": 0.0, "scale": 1.0, "missing": 0.0} for name in ("a", "b")],
        "outputs": [{"intercept": 0.0, "weights": [1.0, 2.0], "when_missing": [0.0, 0.0]}],
    },
    "bands": {"feature": "a", "edges": [0.0], "told": [0.25, 0.75], "otherwise": 0.5},
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Folder]]:
    """A model of each learner in a real store; the class of one's own, and another one, are in installed packages."""
    home = tmp_path_factory.mktemp("mlflow")
    experiment = registry.open_tracking(Tracking(sqlite_uri(home), "rides", artifact_root(home)))
    with importable(home / "site", "bands", "others"):
        for name, module in (("bands", "bands"), ("others", "others")):
            install(
                home / "site", package=f"trip-{name}", version="1.0", module=module, code=example(), learner="Bands", name=name
            )  # fmt: skip
        yield {name: _logged(name, home, experiment) for name in LEARNERS}


def _logged(name: str, home: Path, experiment: str) -> Folder:
    found = find(name)
    fitted = opened(found, json.dumps(FILES[name]).encode(), task=BINARY)
    with mlflow.start_run(experiment_id=experiment) as run:
        uri, sha256 = log_fitted(fitted, found, example=TABLE.slice(0, 2))
    tags = {registry.SHA256: sha256, registry.FEATURES: "a,b", registry.LEARNER: name, registry.TASK: as_text(BINARY)}
    version = registry.register(name, model_uri=uri, run_id=run.info.run_id, tags=tags)
    (file,) = home.rglob(f"{name}.json")
    return Folder(name=name, version=version, files=file.parents[1], file=file, tags=tags, uri=uri, run=run.info.run_id)


@pytest.fixture(params=LEARNERS)
def model(
    kept: dict[str, Folder], request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Folder]:
    """A model, mended after the test. Nobody parses it or a pickle in it, or the test fails."""
    one = kept[request.param]
    backup = shutil.copytree(one.files, tmp_path / "backup")

    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    with monkeypatch.context() as patch:
        places = [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (LinearModel, "read")]
        for place, name in [
            *places,
            *((sys.modules[module].Bands, "load") for module in ("bands", "others") if module in sys.modules),
        ]:
            patch.setattr(place, name, parsed)
        yield one
    shutil.rmtree(one.files)
    shutil.copytree(backup, one.files)


def changed(one: Folder) -> None:
    one.file.write_bytes(one.file.read_bytes().replace(b"0", b"1", 1))


def replaced(one: Folder) -> None:
    one.file.write_bytes(pickle.dumps(FILES))


def linked(one: Folder) -> None:
    (one.files / "requirements.txt").write_bytes(one.file.read_bytes())
    one.file.unlink()
    one.file.symlink_to(one.files / "requirements.txt")


def with_pickle(one: Folder) -> None:
    (one.file.parent / "python_model.pkl").write_bytes(pickle.dumps(FILES))


def with_code(one: Folder) -> None:
    (one.files / "code").mkdir()
    (one.files / "code" / "__init__.py").write_text("import os")


def with_a_booster(one: Folder) -> None:
    (one.files / "model.ubj").write_bytes(b"{}")


def described(old: str, new: str) -> Callable[[Folder], None]:
    def change(one: Folder) -> None:
        text, before = (one.files / "MLmodel").read_text(), old.replace("NAME", one.name)
        assert before in text, text
        (one.files / "MLmodel").write_text(text.replace(before, new.replace("NAME", one.name), 1))

    return change


LOADER = "loader_module: headrace.training.learners.pyfunc"
TAMPERED: dict[str, tuple[Callable[[Folder], None], str]] = {
    "a figure changed": (changed, "SHA-256 differs"),
    "a pickle in its place": (replaced, "SHA-256 differs"),
    "a link in its place": (linked, "it holds no file data/"),
    "a pickle beside it": (with_pickle, "it holds 'data/python_model.pkl', which no training of"),
    "code beside it": (with_code, "it holds 'code"),
    "a Booster beside it": (with_a_booster, "it holds 'model.ubj'"),
    "another loader": (described(LOADER, "loader_module: mlflow.pyfunc.model"), "names code or another kind"),
    "another learner": (described("learner: NAME", "learner: boosting"), "names code or another kind"),
    "another file": (described("data: data/NAME.json", "data: data/other.json"), "names code or another kind"),
    "a Python model": (described(LOADER, f"python_model: python_model.pkl\n    {LOADER}"), "names code or another kind"),
    "another kind": (described("flavors:\n", "flavors:\n  sklearn: {pickled_model: model.pkl}\n"), "names code or another kind"),
    "code in the description": (described(LOADER, f"{LOADER}\n    code: code"), "names code or another kind|can't be read"),
    "a Python object in the description": (described("flavors:", "x: !!python/object/apply:os.system [id]\nflavors:"), "be read"),
    "no description": (lambda one: (one.files / "MLmodel").unlink(), "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_refused_before_it_is_parsed(name: str, model: Folder) -> None:
    tamper, said = TAMPERED[name]
    tamper(model)
    with pytest.raises(ModelError, match=said) as error:
        registry.load(model.name, version=model.version)
    assert str(error.value).startswith(f"model {model.name} version {model.version}: ")
    assert error.value.exit_code == 13


@pytest.mark.parametrize(
    ("tag", "value", "error", "said"),
    [
        (registry.LEARNER, None, ModelError, "it holds 'data', which no training of boosting wrote"),
        (registry.LEARNER, "boosting", ModelError, "it holds 'data', which no training of boosting wrote"),
        (registry.LEARNER, "others", ModelError, "it holds 'data/linear.json'|names code or another kind"),
        (registry.LEARNER, "os", LearnerError, r"^model \w+ version \d+: no learner 'os' is installed here"),
        (registry.LEARNER, "os:system", LearnerError, "no learner 'os:system' is installed here"),
        (registry.SHA256, None, ModelError, "SHA-256 differs"),
        (registry.SHA256, "0" * 64, ModelError, "SHA-256 differs"),
        (registry.FEATURES, None, ModelError, r"the tag headrace\.features is gone"),
    ],
)
def test_a_version_whose_tags_were_changed_is_refused(
    tag: str, value: str | None, error: type[HeadraceError], said: str, model: Folder
) -> None:
    tags = {name: one for name, one in {**model.tags, tag: value}.items() if one is not None}
    version = registry.register(model.name, model_uri=model.uri, run_id=model.run, tags=tags)
    with pytest.raises(error, match=said):
        registry.load(model.name, version=version)


def test_a_linear_model_of_another_kind_than_its_tag_says_is_refused(kept: dict[str, Folder]) -> None:
    one = kept["linear"]
    tags = {**one.tags, registry.TASK: as_text(Task("multiclass", ("x", "y")))}
    version = registry.register("linear", model_uri=one.uri, run_id=one.run, tags=tags)
    with pytest.raises(ModelError, match="is a binary model, and its version says multiclass"):
        registry.load("linear", version=version)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_model_as_it_was_registered_is_loaded_and_mlflow_can_open_it(kept: dict[str, Folder], name: str) -> None:
    one = kept[name]
    loaded = registry.load(name, version=one.version)
    assert (loaded.learner, loaded.features, loaded.content) == (name, ("a", "b"), one.file.read_bytes())
    expected = opened(find(name), json.dumps(FILES[name]).encode(), task=BINARY).predict(TABLE, features=("a", "b"))
    assert loaded.fitted.predict(TABLE, features=("a", "b")).tolist() == expected.tolist()
    other = mlflow.pyfunc.load_model(one.uri)
    assert other.predict(TABLE.to_pandas()).tolist() == expected.tolist()
    assert other.metadata.signature.inputs.input_names() == ["a", "b"]
    written = sorted(str(path.relative_to(one.files)) for path in one.files.rglob("*") if path.is_file())
    assert not [path for path in written if path.endswith((".pkl", ".py"))], written
