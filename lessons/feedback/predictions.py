"""Predictions: say what will happen, then compare; `predict()` is kind about spelling.

Kubernetes has no counterpart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

from kubesim.arguments import check_arguments, instance_of, number
from lessons.feedback.answers import todo
from lessons.feedback.faults import short
from lessons.feedback.progress_file import Prediction, remember_prediction

WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
ARGUMENTS = {"what": instance_of(str, "a string"), "within": number()}
TRUTH = {"yes": True, "true": True, "y": True, "no": False, "false": False, "n": False}
SYNONYMS = {  # as `_plain` returns them
    "apiserver": "server",
    "kubeapiserver": "server",
    "denied": "refused",
    "rejected": "refused",
}
QUOTES = "'\"`“”‘’ \t\n"
NUMBER = re.compile(r"(?:about|around|~|≈)?\s*([-+]?\d[\d_]*(?:[.,]\d+)?)\s*(?:%|[a-z][a-z/ ]*)?")


class Verdict(NamedTuple):
    """A prediction compared with what happened.

    Attributes:
        result: ``right``, ``close`` (within the tolerance) or ``wrong``.
        note: one sentence about the form of the prediction; "" if there is nothing to say.
    """

    result: str
    note: str = ""


def predict(what: str, mine: object, really: object, *, within: float = 0) -> None:
    """Print a prediction and what happened; predictions are recorded, but never graded.

    >>> predict("pods after two minutes", 5, 5)
    pods after two minutes: you said 5, which is right.
    >>> predict("pods after two minutes", 3, 5)
    pods after two minutes: you said 3, but the answer is 5. Find out why before you read on.
    >>> predict("seconds until it scales down", 300, 305, within=10)
    seconds until it scales down: you said 300, which is close: the answer is 305.
    >>> predict("pods after two minutes", todo, 5)
    pods after two minutes: the answer is 5 (no prediction made).

    Args:
        what: what was predicted.
        mine: your prediction; `todo` if you made none.
        really: what happened.
        within: how far a number may be off and still count as close.

    Raises:
        BadRequest: `what` is not a string, or `within` not a number of 0 or more.
    """
    check_arguments(ARGUMENTS, {"what": what, "within": within})
    if mine is todo or mine is None or (isinstance(mine, str) and not mine.strip(QUOTES)):
        print(f"{what}: the answer is {really!r} (no prediction made).")
        return
    verdict = judge(mine, really, within=within)
    guess = short(mine)
    if verdict.result == "right":
        message = f"you said {guess}, which is right."
    elif verdict.result == "close":
        message = f"you said {guess}, which is close: the answer is {really!r}."
    else:
        message = f"you said {guess}, but the answer is {really!r}. "
        message += "Find out why before you read on."
    print(f"{what}: {message}{' ' + verdict.note if verdict.note else ''}")
    remember_prediction(what, Prediction(guess, short(really), verdict.result))


def judge(guess: object, really: object, *, within: float = 0) -> Verdict:
    """Compare a prediction with what happened.

    Case, spaces, hyphens, quotation marks, articles, plurals and a few synonyms do not matter; a
    number may be written as text or as a word.

    >>> judge("pods", "Pod").result, judge("3", 3).result, judge("many", 3).note
    ('right', 'right', 'The answer is a number.')

    Args:
        guess: the prediction.
        really: what happened.
        within: how far a number may be off and still count as close.
    """
    if isinstance(really, bool):
        return _judge_truth(guess, really)
    if isinstance(really, (int, float)):
        return _judge_number(guess, float(really), within)
    if isinstance(really, str):
        if isinstance(guess, str):
            return Verdict("right" if _plain(guess) == _plain(really) else "wrong")
        return Verdict("wrong", "The answer is a word, in quotation marks.")
    if isinstance(really, (list, tuple)):
        return _judge_list(guess, really, within)
    return Verdict("right" if guess == really else "wrong")


def _judge_truth(guess: object, really: bool) -> Verdict:
    value = TRUTH.get(guess.strip(QUOTES).casefold()) if isinstance(guess, str) else guess
    if not isinstance(value, bool):
        return Verdict("wrong", "The answer is True or False.")
    return Verdict("right" if value == really else "wrong")


def _judge_number(guess: object, really: float, within: float) -> Verdict:
    value = _number(guess)
    if value is None:
        return Verdict("wrong", "The answer is a number.")
    note = "A number needs no quotation marks." if isinstance(guess, str) else ""
    if value == really:
        return Verdict("right", note)
    return Verdict("close" if abs(value - really) <= within else "wrong", note)


def _number(guess: object) -> float | None:
    """Return a number that was given as such, as text or as a word; None if it is none."""
    if isinstance(guess, Real) and not isinstance(guess, bool):
        try:
            return float(guess)
        except OverflowError:
            return math.inf
    if isinstance(guess, (list, tuple)) and len(guess) == 1:
        return _number(guess[0])
    if not isinstance(guess, str):
        return None
    text = guess.strip(QUOTES).casefold()
    first = text.split(" ")[0]
    if first in WORDS:
        return float(WORDS.index(first))
    match = NUMBER.fullmatch(text)
    return float(match.group(1).replace(",", ".").replace("_", "")) if match else None


def _judge_list(guess: object, really: Sequence[object], within: float) -> Verdict:
    if isinstance(guess, str):
        parts: Sequence[object] = [part for part in re.split(r"[,;\s\[\]()]+", guess) if part]
    elif isinstance(guess, (list, tuple)):
        parts = guess
    else:
        return Verdict("wrong", f"The answer is a list of {len(really)}.")
    if len(parts) != len(really):
        return Verdict("wrong", f"The answer is a list of {len(really)}, yours has {len(parts)}.")
    each = {judge(a, b, within=within).result for a, b in zip(parts, really, strict=True)}
    note = f"Write a list, such as {really!r}." if isinstance(guess, str) else ""
    return Verdict("wrong" if "wrong" in each else "close" if "close" in each else "right", note)


def _plain(text: str) -> str:
    """Return a text without case, separators, quotation marks, articles and plural endings.

    >>> _plain("the API server"), _plain('"Servers"')
    ('server', 'server')
    """
    words = re.split(r"[\s_\-/]+", text.strip(QUOTES + ".!?").casefold())
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    joined = "".join(words)
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if joined.endswith(ending) and not joined.endswith("ss"):
            joined = joined.removesuffix(ending) + singular
            break
    return SYNONYMS.get(joined, joined)
