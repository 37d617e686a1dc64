"""What pyproject.toml cannot say: the wheel carries the course, for `lessons start`.

The notebooks and the pages that they link to stand at the top of the project, where readers look
for them; the build copies them into the package `lessons`. Source: setuptools, "Extending or
Customizing Setuptools", sub-commands of `build`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
COURSE = ("notebooks/*.ipynb", "docs/*.md", "docs/guides/*.md", "docs/images/*", "*.md")


class BuildWithCourse(build_py):
    """Builds the packages, then adds `lessons/course/`."""

    def run(self) -> None:
        """Copy the course beside the built package, unless the source tree itself is used."""
        super().run()
        if self.editable_mode:
            return
        for pattern in COURSE:
            for path in sorted(ROOT.glob(pattern)):
                target = Path(self.build_lib) / "lessons" / "course" / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithCourse})
