"""``python -m lessons start [DIR]``: see `lessons.start`."""

from __future__ import annotations

import sys

from lessons.start import main

if __name__ == "__main__":
    sys.exit(main())
