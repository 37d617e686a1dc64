"""How a panel is displayed: the widget, and after it a still picture for when the widget is gone.

JupyterLab stores the outputs of a cell, but the widget lives in the kernel. After a restart of the
kernel, or on the next day, the page has nothing to show for it except an error. So a panel makes
three outputs: the widget, a line that says what to do, and the picture. A style sheet next to
the line shows either the widget or the other two. Kubernetes has no counterpart.
"""

from __future__ import annotations

from html import escape

from IPython.display import display

SVG = "image/svg+xml"
ADVICE = (
    "This panel is not running. To start it, run the first code cell of this notebook, "
    "then this one."
)
HOW_TO_SHOW = "run this cell, and the panel appears here"
_ALIVE = ".jp-OutputArea-child:has(.ks-cockpit:not(.jupyter-widgets-disconnected))"
_LINE = ".jp-OutputArea-child:has(.ks-still)"
# The picture waits a moment, so that it does not flash while the widget is being built.
STYLE = f"""<style>
{_ALIVE} + {_LINE}, {_ALIVE} + {_LINE} + .jp-OutputArea-child:has(.jp-RenderedSVG) {{
  display: none; }}
.jp-OutputArea-child:has(+ .jp-OutputArea-child .ks-still):not(:has(
  .ks-cockpit:not(.jupyter-widgets-disconnected))) {{ display: none; }}
.ks-still {{ border-left: 4px solid var(--jp-warn-color1, #e69f00); padding: 4px 10px;
  margin: 4px 0; font-size: 13px; animation: ks-appear 0s 2s both; }}
@keyframes ks-appear {{ from {{ visibility: hidden; }} to {{ visibility: visible; }} }}
</style>"""


def with_picture(bundle: object, text: str, picture: str) -> object:
    """Add a text and a still picture to the MIME bundle of a widget, and return it.

    Args:
        bundle: MIME bundle of the widget, alone or with its metadata.
        text: the panel in words, and `HOW_TO_SHOW`.
        picture: SVG of the panel.
    """
    data = _data_of(bundle)
    data["text/plain"] = text
    data[SVG] = picture
    return bundle


def display_panel(bundle: object, picture: str) -> None:
    """Display a panel, the advice, and the still picture.

    Args:
        bundle: MIME bundle of the widget, alone or with its metadata.
        picture: SVG of the panel.
    """
    live = {kind: content for kind, content in _data_of(bundle).items() if kind != SVG}
    line = f'{STYLE}<div class="ks-still" role="note">{escape(ADVICE)}</div>'
    for output in (
        live,
        {"text/html": line, "text/plain": ADVICE},
        {SVG: picture, "text/plain": "(a picture of the panel)"},
    ):
        display(output, raw=True)  # type: ignore[no-untyped-call]


def _data_of(bundle: object) -> dict[str, object]:
    """Return the contents by MIME type of a bundle that may have metadata."""
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert isinstance(data, dict)
    return data
