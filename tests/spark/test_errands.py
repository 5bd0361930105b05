"""Errands: of one that is begun and withdrawn at once only one happens, and answers come back as they were met."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import HeadraceError, KeyRingError
from headrace.lake import errands as module
from headrace.lake.errands import Answer, Errand, Errands, new_errand

TABLE = "events/readings"


@pytest.fixture
def errands(spark, tmp_path: Path) -> Errands:
    return Errands(spark, str(tmp_path / "lake" / "errands"))


def asked(errands: Errands, **arguments) -> Errand:
    errand = new_errand(table=TABLE, verb="replay", arguments=arguments)
    errands.ask(errand)
    return errand


def files_of(errands: Errands) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in Path(errands.folder).iterdir())


def test_a_lake_without_errands_has_none(errands: Errands) -> None:
    assert errands.open([TABLE]) == []
    errands.clean()


def test_what_was_asked_is_found_in_order_and_by_its_table(errands: Errands) -> None:
    first, second = asked(errands, rules=["a'\"\n\u202e"]), asked(errands)
    other = new_errand(table="events/other", verb="erase", arguments={})
    errands.ask(other)
    assert errands.open([TABLE]) == [first, second]
    assert errands.open([TABLE])[0].arguments == {"rules": ["a'\"\n\u202e"]}
    assert errands.open([TABLE, "events/other"])[-1] == other


def test_one_that_is_begun_cannot_be_withdrawn_and_one_that_is_withdrawn_cannot_be_begun(errands: Errands) -> None:
    errand = asked(errands)
    assert errands.begin(errand)
    assert not errands.withdraw(errand)
    assert files_of(errands) == ["begun"]
    errand = asked(errands)
    assert errands.withdraw(errand)
    assert not errands.begin(errand)
    assert files_of(errands) == ["begun"]


def test_one_that_a_dead_job_had_begun_is_begun_again(errands: Errands) -> None:
    errand = asked(errands)
    assert errands.begin(errand)
    assert errands.open([TABLE]) == [errand]
    assert errands.begin(errand)
    errands.put_back(errand)
    assert not errands.begun(errand)
    assert errands.withdraw(errand)


def test_an_answer_is_fetched_once_and_leaves_nothing(errands: Errands) -> None:
    errand = asked(errands)
    assert errands.answer(errand) is None
    errands.begin(errand)
    errands.finish(errand, Answer(found={"released": 3}))
    assert errands.open([TABLE]) == []
    answer = errands.answer(errand)
    assert answer is not None
    assert answer.result() == {"released": 3}
    errands.forget(errand)
    assert files_of(errands) == []


def test_an_answer_that_was_written_by_a_job_that_died_before_it_tidied_counts(errands: Errands) -> None:
    errand = asked(errands)
    errands.begin(errand)
    begun = Path(errands.folder) / f"{errand.id}.begun"
    text = begun.read_text()
    errands.finish(errand, Answer(found={"released": 3}))
    begun.write_text(text)
    assert errands.open([TABLE]) == []


@pytest.mark.parametrize(
    ("error", "kind"), [(KeyRingError("no key ring at x"), KeyRingError), (HeadraceError("other"), HeadraceError)]
)
def test_an_error_comes_back_with_its_class_and_sentence(errands: Errands, error, kind) -> None:
    errand = asked(errands)
    errands.begin(errand)
    errands.finish(errand, Answer.of_error(error))
    answer = errands.answer(errand)
    assert answer is not None
    with pytest.raises(HeadraceError) as caught:
        answer.result()
    assert type(caught.value) is kind
    assert str(caught.value) == str(error)


def test_old_errands_expire_and_old_answers_go(errands: Errands, monkeypatch) -> None:
    errand = asked(errands)
    assert not errand.expired
    errands.begin(errand)
    errands.finish(errand, Answer(found={}))
    errands.clean()
    assert files_of(errands) == ["done"]
    monkeypatch.setattr(module, "EXPIRES_SECONDS", -1.0)
    assert errand.expired
    errands.clean()
    assert files_of(errands) == []
