"""How a verb is told whom it is about."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Subject = Annotated[
    str | None,
    typer.Option(
        help="who: an e-mail address, or whatever the streams declare under subject; - reads it from standard input"
    ),
]
SubjectFile = Annotated[
    Path | None, typer.Option("--subject-file", help="a file that holds it, so that no list of processes shows it")
]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="which kind of identifier it is (default: whichever it fits)")
]
Alone = Annotated[
    bool, typer.Option("--alone", help="only what names this very identifier; follow no other of the same person")
]


def subject_value(subject: str | None, file: Path | None) -> str:
    """The identifier that the options give, without white space at its ends. Raises BadParameter, StorageError."""
    from headrace.errors import StorageError

    if (subject is None) == (file is None):
        raise typer.BadParameter("say --subject or --subject-file, one of them")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{file}: can't be read ({type(error).__name__}); correct the path") from None
    return (sys.stdin.read() if subject == "-" else subject or "").strip()
