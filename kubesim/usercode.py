"""Errors of the code that users plug in: policies, plug-ins, models. Where they were raised.

Such an error does not stop the simulation. It is reported where people look: in the log, as an
Event, in `explain`; each report names the line of the user's own code:

    KeyError: 'b' in line 3 of `Mine.recommend`: return x["b"]

`sys.exit()` in a plug-in is such an error, too: on the live clock it would end the component's
thread without a trace, on the virtual one the program. Ctrl-C is not such an error.

Kubernetes has no counterpart: a Go plug-in is compiled in, and a panic prints a stack trace.
"""

from __future__ import annotations

import linecache
import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb
from types import FrameType

USER_ERRORS = (Exception, SystemExit)  # what is caught around the code of users
# The code of other people: kubesim, the standard library, installed packages.
NOT_THE_USERS = (
    str(Path(__file__).resolve().parent),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<frozen",
)
INNER = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def error_text(error: BaseException) -> str:
    """Return the type and the message of an error, and the line of user code that raised it.

    Args:
        error: as it was caught, with its traceback.
    """
    message = message_of(error)
    if not message and isinstance(error, SystemExit):
        message = "it called exit()"
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frame, number = innermost_frame(error)
    return text if frame is None else f"{text} in {line_text(frame, number)}"


def message_of(error: BaseException) -> str:
    """Return the message of an error without addresses, which differ from run to run."""
    return ADDRESS.sub("", str(error))


def innermost_frame(
    error: BaseException, others: Sequence[str] = ()
) -> tuple[FrameType | None, int]:
    """Return the innermost frame of the user's code, and its line; (None, 0) if there is none.

    A comprehension counts as part of the function around it.

    Args:
        error: with its traceback.
        others: further paths that hold no code of the user.
    """
    innermost: tuple[FrameType | None, int] = (None, 0)
    for frame, number in walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith((*NOT_THE_USERS, *others)):
            continue
        if innermost[0] is not None and frame.f_code.co_name in INNER:
            innermost = (innermost[0], number)
        else:
            innermost = (frame, number)
    return innermost


def line_text(frame: FrameType, number: int) -> str:
    """Return the place of a line, counted from the start of its function, and the line itself."""
    text = source_line(frame, number)
    return f"{_place(frame, number)}{': ' + text if text else ''}"


def source_line(frame: FrameType, number: int) -> str:
    """Return the text of a line; "" if the source is not at hand."""
    return linecache.getline(frame.f_code.co_filename, number).strip()


def _place(frame: FrameType, number: int) -> str:
    code = frame.f_code
    if code.co_name == "<module>":
        return f"line {number} of the cell"
    line = number - code.co_firstlineno + 1
    if code.co_name == "<lambda>":
        return f"line {line} of your lambda"
    return f"line {line} of `{code.co_qualname.rpartition('<locals>.')[2]}`"
