"""Traffic by the day, by chance and from files."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, pvariance

import pytest

from kubesim.errors import BadRequest
from kubesim.traffic import Constant, Diurnal, Poisson, Step, from_csv
from kubesim.traffic.models import poisson_number

HOUR, DAY = 3600.0, 86_400.0


def test_a_day_has_one_peak_and_one_night() -> None:
    """The peak at two in the afternoon, the low twelve hours later, the same each day."""
    model = Diurnal(low=10, high=100)
    assert model.rate(14 * HOUR) == pytest.approx(100)
    assert model.rate(2 * HOUR) == pytest.approx(10)
    assert model.rate(8 * HOUR) == pytest.approx(55)
    assert model.rate(8 * HOUR + 3 * DAY) == pytest.approx(55)
    assert Diurnal(10, 100, sharpness=4).rate(8 * HOUR) < 20
    assert Diurnal(10, 100, peak_seconds=HOUR).rate(HOUR) == pytest.approx(100)


def test_weekends_are_quieter() -> None:
    """Days 5 and 6 of each week."""
    model = Diurnal(low=10, high=100, weekend=0.5)
    peaks = [model.rate(day * DAY + 14 * HOUR) for day in range(8)]
    assert peaks == pytest.approx([100] * 5 + [50] * 2 + [100])


@pytest.mark.parametrize("mean", [0.3, 2, 30, 63, 65, 200, 5000])
def test_poisson_numbers_have_mean_and_variance_of_their_kind(mean: float) -> None:
    """Both equal the rate, within what chance allows, on either side of the exact draws."""
    model = Poisson(mean, seed=3)
    numbers = [model.rate(float(second)) for second in range(4000)]
    assert all(number == int(number) >= 0 for number in numbers)
    assert fmean(numbers) == pytest.approx(mean, rel=0.06)
    assert pvariance(numbers) == pytest.approx(mean, rel=0.12)


def test_poisson_is_a_pure_function_of_seed_and_second() -> None:
    """Any order, any moment within the second; another seed is another day."""
    forwards = [Poisson(20, seed=1).rate(float(t)) for t in range(200)]
    model = Poisson(20, seed=1)
    backwards = [model.rate(t + 0.7) for t in reversed(range(200))]
    assert forwards == backwards[::-1]
    assert forwards != [Poisson(20, seed=2).rate(float(t)) for t in range(200)]
    assert Poisson(Step(0, 50, 10), seed=1).rate(5) == 0
    assert Poisson(Constant(50), seed=1).rate(5) > 0


@pytest.mark.parametrize(
    ("mean", "fraction", "number"),
    [
        (2, 0.1353, 0),
        (2, 0.1354, 1),
        (2, 0.4060, 1),
        (2, 0.4061, 2),
        (0.5, 0.6, 0),
        (10, 0.5831, 11),
    ],
)
def test_a_poisson_number_is_the_quantile(mean: float, fraction: float, number: int) -> None:
    """The cumulative probabilities of textbooks: 0.13534, 0.40601 for mean 2."""
    assert poisson_number(mean, fraction) == number


@pytest.mark.parametrize(
    ("text", "options", "rates"),
    [
        ("0,5\n60,10\n", {}, {0: 5, 59: 5, 60: 10, 999: 10}),
        ("second,rate\n\n# a remark\n0,5\n60,10\n", {}, {30: 5, 61: 10}),
        ("\ufeffrequests\n600\n1200\n", {}, {0: 10, 61: 20}),
        ("600\n1200\n", {"interval_seconds": 600, "scale": 2}, {0: 2, 600: 4}),
        ("day,calls,name\n1,60,a\n2,120,b\n", {"column": "calls"}, {0: 1, 60: 2}),
        ("1,60,a\n2,120,b\n", {"column": 1}, {0: 1, 60: 2}),
        ("timestamp,rps\n1714564800,5\n1714564860,10\n", {}, {0: 5, 59: 5, 60: 10}),
        ("1714564800000,5\n1714564860000,10\n", {}, {0: 5, 60: 10}),
        ("1714564800000000000,5\n1714564860000000000,10\n", {}, {0: 5, 60: 10}),
        ("time,rps\n2024-05-01T12:00:00Z,5\n2024-05-01T14:01:00+02:00,10\n", {}, {0: 5, 60: 10}),
        ("2024-05-01 12:00,5\n2024-05-01 12:01,10\n", {}, {0: 5, 60: 10}),
        (
            "Time;a;b\n2024-05-01 12:00:30;9;60\n2024-05-01 12:02:30;9;120\n",
            {"column": "b"},
            {0: 1, 119: 1, 120: 2},
        ),
        ("minute,requests_per_minute\n0,60\n1,120\n", {}, {59: 1, 60: 2}),
        ("ts_ms\trate\n0\t5\n1000\t10\n", {}, {0.5: 5, 1: 10}),
        ("app,trigger,1,2,3\nx,http,60,0,120\ny,timer,60,60,60\n", {}, {0: 2, 60: 1, 120: 3}),
        ("300,5\n360,10\n", {}, {0: 0, 300: 5}),
    ],
)
def test_files_become_traffic(text: str, options: dict, rates: dict, tmp_path: Path) -> None:
    """Pairs of second and rate, or counts for each interval; headings and remarks do not count."""
    path = tmp_path / "load.csv"
    path.write_text(text, encoding="utf-8")
    model = from_csv(path, **options)
    assert {second: model.rate(second) for second in rates} == rates


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {}, "no line with numbers"),
        ("a,b\n", {}, "no line with numbers"),
        ("0,1\nx,2\n", {}, "line 2"),
        ("0,1\n5,-2\n", {}, "line 2"),
        ("0,1,2\n", {}, "line 1"),
        ("0,1\n0,2\n", {}, "line 2: is not later"),
        ("0,nan\n1,5\n", {}, "line 1: needs a number of 0 or more, not 'nan'"),
        ("0,5\n1,inf\n", {}, "line 2: needs a number of 0 or more, not 'inf'"),
        ("a,b\n0,5\n", {"column": -1}, "the index of a column, or None, not -1"),
        ("a,b\n0,5\n", {"column": True}, "the index of a column, or None, not True"),
        ("t,a,b\n0,1,2\n", {}, "line 2: has 3 cells; choose a column= of: a, b"),
        ("time,rps\n2024-05-01T12:00Z,1\nnoon,2\n", {}, "line 3: 'noon' is no time: write seconds"),
        ("2024-05-01T12:01Z,1\n2024-05-01T12:00Z,2\n", {}, "line 2: is not later .* by time"),
        ("x,1,2\na,60\n", {}, "line 2: has 2 cells in place of 3"),
        ("0,1\n60\n", {}, "line 2: has 1 cells in place of 2"),
        ("a,b\n1,2\n", {"column": "c"}, "there are: a, b"),
        ("1\n", {"interval_seconds": 0}, "interval_seconds"),
    ],
)
def test_a_file_of_nonsense_is_refused(text: str, options: dict, said: str, tmp_path: Path) -> None:
    """The message names the file and the line."""
    path = tmp_path / "load.csv"
    path.write_text(text)
    with pytest.raises(BadRequest, match=said):
        from_csv(path, **options)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """As a bad request, with the reason of the system."""
    with pytest.raises(BadRequest, match="cannot be read"):
        from_csv(tmp_path / "nothing.csv")
