"""Errors of a learner's code, told with the line, its text and the values used.

Kubernetes has no counterpart.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from kubesim.usercode import ADDRESS, innermost_frame, line_text, message_of, source_line

LESSONS = str(Path(__file__).resolve().parent.parent)
MAX_TEXT = 80
MAX_VALUES = 4


def tell(error: BaseException) -> str:
    """Return what an answer raised; where, and with which values, if its own code is at fault.

    Args:
        error: as it was caught, with its traceback.
    """
    frame, number = innermost_frame(error, [LESSONS])
    lines = [_what(error, frame)]
    if frame is not None:
        lines.append(f"in {line_text(frame, number)}")
        if values := _values(frame, source_line(frame, number)):
            lines.append("with " + ", ".join(values))
    return "\n       ".join(lines)


def _what(error: BaseException, frame: FrameType | None) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted: does your answer ever end?"
    if isinstance(error, SystemExit):
        return "your answer calls exit(), which ends a program: return instead"
    if isinstance(error, RecursionError):
        return "your answer calls itself again and again and never ends (RecursionError)"
    message = message_of(error)
    whose = "your answer raised" if frame else "using your answer raised"
    return f"{whose} {type(error).__name__}{': ' + message if message else ''}"


def _values(frame: FrameType, text: str) -> list[str]:
    """Return the arguments of the function, and the variables that the line names."""
    code, variables = frame.f_code, frame.f_locals
    if code.co_name == "<module>":
        return []
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    names += [name for name in re.findall(r"[A-Za-z_]\w*", text) if name in code.co_varnames]
    local_names = [name for name in dict.fromkeys(names) if name in variables and name != "self"]
    return [f"{name} = {short(variables[name])}" for name in local_names[:MAX_VALUES]]


def short(value: object) -> str:
    """Return a value as Python text, without addresses, and cut if it is long.

    >>> short({"a": 1}), short(object())
    ("{'a': 1}", '<object>')
    """
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a learner's __repr__ may raise
        return f"an object whose repr() raises {type(error).__name__}"
    if ADDRESS.search(text):
        name = getattr(value, "__name__", "")
        size = f" of {len(value)}" if isinstance(value, (list, tuple, dict, set)) else ""
        return f"`{name}`" if name else f"<{type(value).__name__}{size}>"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + " ..."


@contextmanager
def no_exit() -> Iterator[None]:
    """Make ``exit()`` in a notebook raise SystemExit instead of ending the kernel."""
    shell = _shell()
    if shell is None:
        yield
        return

    def refuse() -> None:
        raise SystemExit

    shell.ask_exit = refuse
    try:
        yield
    finally:
        del shell.ask_exit
        shell.keepkernel_on_exit = None


def in_a_notebook() -> bool:
    """Whether a notebook's kernel runs this code."""
    return _shell() is not None


def _shell() -> Any:
    """Return the IPython shell of a notebook's kernel; None outside of a notebook."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None
