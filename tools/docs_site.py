"""Add pages from the rest of the project to the documentation site: a hook of MkDocs.

- `lessons/`: each notebook with the outputs of a run, as a page;
- `reference/`: a page for each module of `kubesim` and `lessons`, from the docstrings;
- `kinds.md`: which kinds are simulated, which are only kept, and which are left out;
- `project/`: README's neighbours (ARCHITECTURE.md, CONTRIBUTING.md ...), with their links adapted.

Nothing is copied into `docs/`: the pages exist only during the build. Source: MkDocs, user guide,
"Configuration", option `hooks`, and `mkdocs.structure.files.File.generated`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

from kubesim import kindtable
from lessons.refresh import executed

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("kubesim", "lessons")
LINK = re.compile(r"\]\(([^)\s]+)\)")

# A page of the project -> its path in the site.
PROJECT = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "RELEASING.md": "project/releasing.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/code-of-conduct.md",
    "benchmarks/README.md": "project/benchmarks.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of `docs/`."""
    for path, content in generated_pages(config["repo_url"]):
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page of `docs/` into links of the site; generated pages have them."""
    name = page.file.src_uri
    if not (ROOT / "docs" / name).is_file():
        return markdown
    return site_links(markdown, f"docs/{name}", name, config["repo_url"])


def generated_pages(repository: str) -> Iterator[tuple[str, str | bytes]]:
    """Yield the path below the site and the content of each generated page or picture.

    Args:
        repository: address of the source code, for links to files that are not pages.
    """
    for source, target in PROJECT.items():
        yield target, site_links((ROOT / source).read_text(), source, target, repository)
    yield "kinds.md", kindtable.page()
    yield from lesson_pages(repository)
    yield from reference_pages()


def site_links(text: str, source: str, target: str, repository: str) -> str:
    """Turn the links of a Markdown text into links of the site.

    Args:
        text: the Markdown.
        source: the file's path in the project; its links are relative to it.
        target: the page's path in the site.
        repository: address of the source code, for links to files that are not pages.
    """

    def adapted(match: re.Match[str]) -> str:
        link, _, anchor = match.group(1).partition("#")
        if not link or "://" in link or link.startswith("mailto:"):
            return match.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        page = _page_of(path)
        if page is None:
            return f"]({repository}/blob/main/{path})"
        relative = posixpath.relpath(page, posixpath.dirname(target))
        return f"]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(adapted, text)


def _page_of(path: str) -> str | None:
    """Return the page of the site that shows a file of the project; None if there is none."""
    if path in PROJECT:
        return PROJECT[path]
    if path == "README.md":
        return "index.md"
    if path == "docs/decisions":
        return "decisions/README.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        return "lessons/" + Path(path).stem + ".md"
    if path == "kubesim":
        return "reference/index.md"
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    if path.endswith(".py") and module in module_names():
        return f"reference/{module}.md"
    return None


# ------------------------------------------------------------------------------ lessons


def lesson_pages(repository: str) -> Iterator[tuple[str, str | bytes]]:
    """Yield a page for each notebook, its pictures, and a list of all lessons."""
    rows = ["# Lessons", "", "Read them here; work on them with `make lab`.", ""]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = f"lessons/{path.stem}.md"
        exporter = MarkdownExporter()
        body, resources = exporter.from_notebook_node(
            executed(path), {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
        )
        source = f"notebooks/{path.name}"
        yield page, _without_scripts(_notebook_links(body, source, page, repository))
        for name, data in resources.get("outputs", {}).items():
            yield f"lessons/{name}", data
        rows.append(f"- [{_title(body, path.stem)}]({path.stem}.md)")
    yield "lessons/index.md", "\n".join(rows) + "\n"


def _notebook_links(body: str, source: str, page: str, repository: str) -> str:
    """Adapt links as `site_links` does, but leave the pictures of the outputs unchanged."""
    files = f"{Path(source).stem}_files/"
    parts = re.split(rf"(!\[[^\]]*\]\({re.escape(files)}[^)]*\))", body)
    return "".join(
        part if position % 2 else site_links(part, source, page, repository)
        for position, part in enumerate(parts)
    )


def _without_scripts(body: str) -> str:
    """Remove the scripts and styles of notebook outputs."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", body, flags=re.S)


def _title(body: str, default: str) -> str:
    match = re.search(r"^# (.+)$", body, flags=re.M)
    return match.group(1) if match else default


# ------------------------------------------------------------------------ API reference


def module_names() -> list[str]:
    """Return the dotted names of all modules that have a page: all but private ones."""
    names = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] != "__main__" and not any(
                part.startswith("_") and part != "__init__" for part in parts
            ):
                names.append(".".join(parts).removesuffix(".__init__"))
    return sorted(names)


def reference_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for each module, and an index as a tree."""
    rows = [
        "# API reference",
        "",
        "Every module, from its docstrings. [What is public](../public-api.md) says which names",
        "are stable, and how they may change.",
        "",
    ]
    for name in module_names():
        yield f"reference/{name}.md", f"---\ntitle: {name}\n---\n\n::: {name}\n"
        rows.append(f"{'    ' * name.count('.')}- [`{name}`]({name}.md)")
    yield "reference/index.md", "\n".join(rows) + "\n"


def on_nav(nav: object, config: MkDocsConfig, files: Files) -> object:
    """Leave pages that an index page lists out of the navigation."""
    for file in files.documentation_pages():
        if file.page is None and file.src_path.startswith(("reference/", "lessons/")):
            file.inclusion = file.inclusion.__class__.NOT_IN_NAV
    return nav


__all__ = [
    "generated_pages",
    "module_names",
    "on_files",
    "on_nav",
    "on_page_markdown",
    "site_links",
]
