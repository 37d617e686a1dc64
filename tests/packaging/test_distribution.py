"""The distribution: an sdist and a wheel build, and the wheel serves in an empty environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest

import kubesim

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD_SECONDS = 300
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "site", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was made from it.

    All tests that use it are live, so that it is made once.
    """
    pytest.importorskip("build", reason="the package build is not installed")
    folder = tmp_path_factory.mktemp("dist")
    source = shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
        timeout=BUILD_SECONDS,
    )
    return folder


@pytest.mark.slow
@pytest.mark.live
def test_the_sdist_holds_what_is_needed_to_build(dist: Path) -> None:
    """Sources, licence, README; and neither an environment nor a built site."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "kubesim/cluster.py"} <= names
    assert "notebooks/00_start_here.ipynb" in names
    assert not [name for name in names if name.startswith((".venv", "site/"))]


@pytest.mark.slow
@pytest.mark.live
def test_the_wheel_holds_all_files_of_both_packages(dist: Path) -> None:
    """Modules and data files; nothing of the tests."""
    (path,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(path).namelist())
    for package in ("kubesim", "lessons"):
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(ROOT)) in names
    assert "lessons/course/notebooks/00_start_here.ipynb" in names  # for `lessons start`
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "kubesim",
        "lessons",
    }


@pytest.mark.slow
@pytest.mark.live
def test_the_wheel_runs_kubesim_serve_in_an_empty_environment(dist: Path, tmp_path: Path) -> None:
    """No other package is there: the simulator needs the standard library alone."""
    (wheel,) = dist.glob("*.whl")
    create = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(create, check=True)
    bin_folder = tmp_path / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(bin_folder / "python"), "install"]
    install = [*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=BUILD_SECONDS)
    start = [str(bin_folder / "lessons"), "start", "--no-lab", str(tmp_path / "mine")]
    subprocess.run(start, check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "mine" / "notebooks" / "00_start_here.ipynb").is_file()
    process = subprocess.Popen(
        [str(bin_folder / "kubesim"), "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        url = re.search(r"http://127\.0\.0\.1:\d+", printed)
        assert url is not None, printed
        with urllib.request.urlopen(f"{url.group()}/health", timeout=20) as reply:
            assert json.load(reply) == {"status": "ok"}
        # Types of Kubernetes 1.34 come with the wheel: a misspelt field is found.
        body = b'{"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containrs": []}}'
        path = "/api/v1/namespaces/default/pods?fieldValidation=Strict"
        request = urllib.request.Request(url.group() + path, data=body, method="POST")
        request.add_header("Content-Type", "application/json")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert 'unknown field \\"spec.containrs\\"' in refused.value.read().decode()
    finally:
        process.kill()
        process.communicate()


def test_the_version_is_the_same_everywhere() -> None:
    """Metadata, module and citation."""
    citation = (ROOT / "CITATION.cff").read_text()
    assert PROJECT["version"] == kubesim.__version__
    assert f"version: {kubesim.__version__}" in citation


def test_the_address_of_the_project_is_the_same_everywhere() -> None:
    """Metadata, site and citation name one repository."""
    address = PROJECT["urls"]["Source"]
    assert f"repo_url: {address}\n" in (ROOT / "mkdocs.yml").read_text()
    assert f'repository-code: "{address}"' in (ROOT / "CITATION.cff").read_text()
    assert address in (ROOT / "RELEASING.md").read_text()
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())


def test_the_core_has_no_dependency() -> None:
    """`pip install kubesim` brings kubesim, and on Windows the time zones; nothing else."""
    assert PROJECT["dependencies"] == ["tzdata>=2025.1; sys_platform == 'win32'"]
