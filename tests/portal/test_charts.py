"""Axes, figures, lines and areas."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from omni.domains.operations.contracts import Chart, Line, Unit
from omni.portal.ui.charts import HEIGHT, WIDTH, ceiling, figure, plot

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def chart(*lines: Line, stacked: bool = False, unit: Unit = "number") -> Chart:
    starts = [START + timedelta(minutes=number) for number in range(len(lines[0].values))]
    return Chart("c", "Title", unit, stacked, starts, lines)


def points(path: str) -> list[list[tuple[float, float]]]:
    runs = [re.findall(r"([\d.]+) ([\d.]+)", run) for run in path.split("M") if run]
    return [[(float(x), float(y)) for x, y in run] for run in runs]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "number", 4), (1, "number", 1), (1.01, "number", 2), (2.4, "number", 2.5), (7, "number", 10),
        (0.03, "seconds", 0.05), (0.3, "seconds", 0.5), (99, "per_second", 100), (100, "per_second", 100),
        (3 * 2**20, "bytes", 5 * 2**20), (1000 * 2**20, "bytes", 1000 * 2**20), (2**30, "bytes", 2**30),
    ],
)  # fmt: skip
def test_the_top_of_an_axis_is_round_and_enough(value: float, unit: Unit, expected: float) -> None:
    assert ceiling(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0015, "seconds", "1.5 ms"), (0.25, "seconds", "250 ms"), (2.5, "seconds", "2.5 s"), (0, "seconds", "0 ms"),
        (512, "bytes", "512 B"), (1536, "bytes", "1.5 KiB"), (5 * 2**30, "bytes", "5 GiB"),
        (2**50, "bytes", "1024 TiB"),
        (12345, "per_second", "12.3k/s"), (0.5, "per_second", "0.5/s"), (2.5e6, "number", "2.5M"), (7, "number", "7"),
        (0.5, "ratio", "50 %"),
    ],
)  # fmt: skip
def test_figures_have_their_unit(value: float, unit: Unit, text: str) -> None:
    assert figure(value, unit).replace("\u2009", " ") == text


def test_a_line_goes_from_edge_to_edge_and_its_height_is_its_share_of_the_top() -> None:
    drawn = plot(chart(Line("a", [0.0, 5.0, 10.0]), Line("b", [10.0, 10.0, 10.0])))
    assert points(drawn.lines[0].path) == [[(0, HEIGHT), (WIDTH / 2, HEIGHT / 2), (WIDTH, 0)]]
    assert drawn.ticks == ["10", "5", "0"]
    assert drawn.lines[0].texts == ["0", "5", "10"]
    assert (drawn.lines[0].latest, drawn.known) == ("10", True)
    assert drawn.moments[1] == "01 Mar 12:01"


def test_gaps_stay_open_and_a_lone_value_can_be_seen() -> None:
    drawn = plot(chart(Line("a", [1.0, 1.0, None, None, 1.0, None, None])))
    runs = points(drawn.lines[0].path)
    assert [len(run) for run in runs] == [2, 2]
    assert runs[1][0][0] < 400 < runs[1][1][0]
    assert drawn.lines[0].area.count("M") == 1
    assert drawn.lines[0].texts[2] == "–"
    assert drawn.lines[0].latest == "–"


def test_stacked_lines_stand_upon_one_another() -> None:
    drawn = plot(chart(Line("2xx", [6.0, 6.0]), Line("5xx", [4.0, 4.0]), stacked=True))
    assert points(drawn.lines[1].path) == [[(0, 0), (WIDTH, 0)]]
    assert points(drawn.lines[1].area) == [[(0, 0), (WIDTH, 0), (WIDTH, HEIGHT * 0.4), (0, HEIGHT * 0.4)]]
    assert [line.colour for line in drawn.lines] == ["good", "bad"]
    assert drawn.lines[1].latest == "4"


def test_a_chart_without_any_value_is_not_known() -> None:
    assert not plot(chart(Line("a", [None, None]))).known
