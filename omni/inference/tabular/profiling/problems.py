"""What is wrong with a table, and what to do about it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from omni.inference.tabular.profiling.cells import CellColumn
from omni.inference.tabular.profiling.schemas import ColumnProfile, TableProblem

MOSTLY_MISSING = 0.5
MANY_OUTLIERS = 0.01
LEAST_CLASS = 0.1
ID_ROWS = 20  # with fewer rows, different values prove nothing
MANY_CATEGORIES = 50
SEVERITIES = ("high", "medium", "low")

_NUMBER = re.compile(r"\s*[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?\s*", re.ASCII)


def problems_of(
    columns: Sequence[CellColumn], profiles: Sequence[ColumnProfile], duplicates: int, target: CellColumn | None
) -> list[TableProblem]:
    """Everything that was found, worst first."""
    found = [problem for pair in zip(columns, profiles, strict=True) for problem in _of_column(*pair)]
    found += _duplicate_columns(columns)
    if duplicates:
        share = duplicates / len(columns[0].cells)
        found.append(
            TableProblem(
                code="duplicate_rows",
                columns=[],
                severity="medium" if share > 0.05 else "low",
                detail=f"{duplicates} rows ({share:.1%}) have been there before.",
                advice="Drop them, unless the same thing may happen twice.",
            )
        )
    if target is not None:
        found += _imbalance(target)
    return sorted(found, key=lambda problem: SEVERITIES.index(problem.severity))


def _of_column(column: CellColumn, profile: ColumnProfile) -> Iterator[TableProblem]:
    name, rows = column.name, len(column.cells)
    if column.kind == "empty":
        yield TableProblem(
            code="empty_column",
            columns=[name],
            severity="high",
            detail="No row has a value.",
            advice="Leave the column out.",
        )
        return
    if profile.missing:
        share = profile.missing / rows
        yield TableProblem(
            code="missing_values",
            columns=[name],
            severity="high" if share > MOSTLY_MISSING else "medium" if share > 0.05 else "low",
            detail=f"{profile.missing} values ({share:.1%}) are missing.",
            advice="Find out why; fill them in, or add a column that says so.",
        )
    if profile.distinct == 1 and rows > 1:
        yield TableProblem(
            code="constant_column",
            columns=[name],
            severity="medium",
            detail="All values are the same.",
            advice="Leave the column out: it tells nothing.",
        )
    yield from _of_kind(column, profile)


def _of_kind(column: CellColumn, profile: ColumnProfile) -> Iterator[TableProblem]:
    name, present = column.name, len(column.cells) - profile.missing
    if column.kind == "mixed":
        yield TableProblem(
            code="mixed_types",
            columns=[name],
            severity="high",
            detail="Numbers, text or true/false are in one column.",
            advice="Send one kind; null for what is missing.",
        )
    if column.kind in ("text", "integer") and present >= ID_ROWS and profile.distinct == present:
        yield TableProblem(
            code="suspected_id",
            columns=[name],
            severity="medium",
            detail="Every value is different.",
            advice="If it is an id, do not give it to a model.",
        )
    elif column.kind == "text" and profile.distinct > MANY_CATEGORIES:
        yield TableProblem(
            code="many_categories",
            columns=[name],
            severity="low",
            detail=f"There are {profile.distinct} different texts.",
            advice="Group rare ones, or use it as text.",
        )
    if profile.numbers is not None and profile.numbers.outliers > max(1, MANY_OUTLIERS * present):
        yield TableProblem(
            code="outliers",
            columns=[name],
            severity="low",
            detail=f"{profile.numbers.outliers} values are outside Tukey's fences.",
            advice="Check them; a logarithm or a robust scale may help.",
        )
    if column.kind == "text":
        yield from _of_text(column)


def _of_text(column: CellColumn) -> Iterator[TableProblem]:
    texts = column.texts
    if all(_NUMBER.fullmatch(text) for text in texts):
        yield TableProblem(
            code="numbers_as_text",
            columns=[column.name],
            severity="medium",
            detail="All texts are numbers.",
            advice="Send them as numbers, unless they are codes.",
        )
    padded = sum(text != text.strip() for text in texts)
    if padded:
        yield TableProblem(
            code="spaces_around_text",
            columns=[column.name],
            severity="low",
            detail=f"{padded} texts begin or end with spaces.",
            advice="Strip them, so that equal texts are equal.",
        )


def _duplicate_columns(columns: Sequence[CellColumn]) -> Iterator[TableProblem]:
    same: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for column in columns:
        if column.kind != "empty":
            same[tuple((type(cell), cell) for cell in column.cells)].append(column.name)
    for names in same.values():
        if len(names) > 1:
            yield TableProblem(
                code="duplicate_columns",
                columns=names,
                severity="medium",
                detail="The columns are equal in every row.",
                advice="Keep one of them.",
            )


def _imbalance(target: CellColumn) -> Iterator[TableProblem]:
    classes = Counter(target.texts)
    if not classes:
        return
    name, fewest = min(classes.items(), key=lambda pair: (pair[1], pair[0]))
    share = fewest / classes.total()
    if len(classes) > 1 and share < LEAST_CLASS and len(classes) <= MANY_CATEGORIES:
        yield TableProblem(
            code="class_imbalance",
            columns=[target.name],
            severity="high" if share < LEAST_CLASS / 10 else "medium",
            detail=f"The class {name!r} has {share:.1%} of the rows.",
            advice="Judge models by recall and precision of that class; weight it, or collect more of it.",
        )
