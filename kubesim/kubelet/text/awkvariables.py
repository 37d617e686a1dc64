"""The variables, arrays and fields of `awk`."""

from __future__ import annotations

from kubesim.kubelet.text.awkvalues import UNSET, AwkValue, FieldText, number_of, text_of
from kubesim.kubelet.text.patterns import MAX_TEXT, Effort, TextPattern, TextProgramError
from kubesim.kubelet.text.patternsyntax import compile_pattern

MAX_VALUES = 10_000  # variables and elements of arrays; fields of a line
MAX_PATTERNS = 100  # compiled from strings
KEY_SEPARATOR = "\x1c"  # SUBSEP


class AwkVariables:
    """Variables, arrays and the fields of the present line.

    Args:
        effort: counts the steps of the patterns that split lines.
    """

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._values: dict[str, AwkValue] = {
            "FS": " ",
            "OFS": " ",
            "ORS": "\n",
            "NR": 0.0,
            "FNR": 0.0,
            "SUBSEP": KEY_SEPARATOR,
        }
        self._arrays: dict[str, dict[str, AwkValue]] = {}
        self._line: str = ""
        self._fields: list[AwkValue] | None = []
        self._patterns: dict[str, TextPattern] = {}

    def pattern(self, source: str) -> TextPattern:
        """Return the pattern that a string stands for."""
        if source not in self._patterns:
            if len(self._patterns) >= MAX_PATTERNS:
                self._patterns.clear()
            self._patterns[source] = compile_pattern(source, self._effort, extended=True)
        return self._patterns[source]

    # -- variables and arrays ---------------------------------------------------------------------

    def get(self, name: str) -> AwkValue:
        """Return the value of a variable."""
        if name == "NF":
            return float(len(self._split()))
        if name in self._arrays:
            raise TextProgramError(f"{name} is an array")
        return self._values.get(name, UNSET)

    def set(self, name: str, value: AwkValue) -> None:
        """Set a variable.

        Raises:
            TextProgramError: there are too many, or it is an array.
        """
        if name in self._arrays:
            raise TextProgramError(f"{name} is an array")
        if name == "NF":
            self._resize(int(max(0.0, min(number_of(value), MAX_VALUES + 1.0))))
            return
        if name == "FS":
            self._split()  # the present line keeps its fields
        if len(self._values) > MAX_VALUES:
            raise TextProgramError("too many variables")
        self._values[name] = value

    def is_array(self, name: str) -> bool:
        """Whether a name is an array's."""
        return name in self._arrays

    def keys(self, name: str) -> list[str]:
        """Return the keys of an array, in the order in which they were added."""
        return list(self._array(name))

    def element(self, name: str, key: str) -> AwkValue:
        """Return an element of an array; it is created if it does not exist."""
        array = self._array(name)
        if key not in array:
            self.set_element(name, key, UNSET)
        return array[key]

    def has(self, name: str, key: str) -> bool:
        """Whether an array has an element."""
        return key in self._array(name)

    def set_element(self, name: str, key: str, value: AwkValue) -> None:
        """Set an element of an array.

        Args:
            name: of the array.
            key: of the element; several keys are joined.
            value: of the element.

        Raises:
            TextProgramError: there are too many.
        """
        array = self._array(name)
        if key not in array and len(array) >= MAX_VALUES:
            raise TextProgramError(f"{name}: too many elements")
        array[key] = value

    def remove(self, name: str, key: str | None) -> None:
        """Remove an element; None: all of them."""
        if key is None:
            self._array(name).clear()
        else:
            self._array(name).pop(key, None)

    def _array(self, name: str) -> dict[str, AwkValue]:
        if name in self._values or name == "NF":
            raise TextProgramError(f"{name} is not an array")
        if name not in self._arrays and len(self._arrays) >= MAX_PATTERNS:
            raise TextProgramError("too many arrays")
        return self._arrays.setdefault(name, {})

    # -- the line ---------------------------------------------------------------------------------

    def read(self, line: str) -> None:
        """Begin a line."""
        self._line, self._fields = line, None
        for name in ("NR", "FNR"):
            self._values[name] = number_of(self._values[name]) + 1

    def field(self, number: int) -> AwkValue:
        """Return a field; 0 is the whole line."""
        if number == 0:
            return FieldText(self._line)
        if number < 0:
            raise TextProgramError(f"access to the negative field {number}")
        fields = self._split()
        return fields[number - 1] if number <= len(fields) else UNSET

    def set_field(self, number: int, value: AwkValue) -> None:
        """Set a field; the line follows, or, for 0, its fields."""
        if number == 0:
            self._line, self._fields = text_of(value), None
            return
        if number < 0:
            raise TextProgramError(f"access to the negative field {number}")
        if number > len(self._split()):
            self._resize(number)
        self._split()[number - 1] = value
        self._join()

    def _resize(self, count: int) -> None:
        if count > MAX_VALUES:
            raise TextProgramError("too many fields")
        fields = self._split()
        self._fields = [*fields[:count], *([UNSET] * (count - len(fields)))]
        self._join()

    def _join(self) -> None:
        texts = [text_of(field) for field in self._split()]
        self._line = text_of(self._values["OFS"]).join(texts)
        if len(self._line) > MAX_TEXT:
            raise TextProgramError("the line is too long")

    def _split(self) -> list[AwkValue]:
        if self._fields is None:
            texts = self.split(self._line, text_of(self._values["FS"]))
            self._fields = [FieldText(text) for text in texts]
        return self._fields

    def split(self, text: str, separator: str) -> list[str]:
        """Split a string at a separator: " " for blanks, a character, or a pattern.

        Raises:
            TextProgramError: there are too many fields.
        """
        if separator == " ":
            fields = text.split()
        elif not text:
            fields = []
        elif len(separator) <= 1 or separator == "\\|":
            fields = text.split(separator[-1]) if separator else list(text)
        else:
            fields = self._split_at_pattern(text, self.pattern(separator))
        if len(fields) > MAX_VALUES:
            raise TextProgramError("too many fields")
        return fields

    def _split_at_pattern(self, text: str, pattern: TextPattern) -> list[str]:
        fields: list[str] = []
        begin = 0
        for match in pattern.matches(text):
            if match.end > match.start:
                fields.append(text[begin : match.start])
                begin = match.end
        return [*fields, text[begin:]]
