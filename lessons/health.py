"""`doctor()`: what is installed, and how to install what is missing.

This module imports nothing that may be missing. Kubernetes has no counterpart.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kubesim import KUBERNETES_VERSION
from kubesim import __version__ as kubesim_version

INSTALL = "run `make lab`, which installs everything into .venv"
EXTENSION = "@jupyter-widgets/jupyterlab-manager"
LAB_EXTENSIONS = Path("share", "jupyter", "labextensions")


@dataclass(frozen=True)
class Finding:
    """One requirement of the lessons.

    Attributes:
        name: name of the requirement.
        found: its version, or "found", or "" if it is missing.
        needed: the lessons do not run without it.
        remedy: what to do if it is missing.
    """

    name: str
    found: str
    needed: bool = True
    remedy: str = INSTALL

    @property
    def fine(self) -> bool:
        """Whether it is installed."""
        return bool(self.found)

    def __str__(self) -> str:
        if self.fine:
            return f"[ OK ] {self.name} {self.found}"
        return f"[{'MISS' if self.needed else 'NOTE'}] {self.name} is missing: {self.remedy}"


def examine(prefix: str = sys.prefix) -> list[Finding]:
    """Return everything that the lessons use, and whether it is installed.

    Args:
        prefix: the environment whose JupyterLab extensions are checked.
    """
    python = sys.version.split()[0] if sys.version_info >= (3, 11) else ""
    findings = [
        Finding("kubesim", f"{kubesim_version} (mirrors Kubernetes {KUBERNETES_VERSION})"),
        Finding("Python", python, remedy="use Python 3.11 or newer"),
    ]
    findings += [
        Finding(name, _version(name)) for name in ("jupyterlab", "ipykernel", "ipywidgets", "bokeh")
    ]
    installed = (Path(prefix) / LAB_EXTENSIONS / EXTENSION / "package.json").exists()
    remedy = "start JupyterLab from the environment that has it: `make lab`"
    findings.append(Finding(f"extension {EXTENSION}", "found" if installed else "", remedy=remedy))
    curl = "found" if shutil.which("curl") else ""
    findings.append(Finding("curl", curl, False, "lesson 2 shows the same in Python"))
    return findings


def doctor() -> None:
    """Print what is installed, what is missing, and how to install it."""
    findings = examine()
    for finding in findings:
        print(finding)
    missing = [finding.name for finding in findings if finding.needed and not finding.fine]
    print("everything is installed" if not missing else f"missing: {', '.join(missing)}")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
