"""Bokeh models that follow the theme of the page, and that can be enlarged for a hall.

Bokeh draws on a canvas, which style sheets do not reach. So a small script in the page sets the
colours, and sets them again when JupyterLab's theme changes. It sends nothing to the kernel: two
pages may show one panel in two themes. The script also gives the sliders of the panel their names,
which ipywidgets does not tell a screen reader.

Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping

from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.model import Model
from bokeh.models import ColorMapper, CustomJS, LayoutDOM

from lessons.ui.charts.theme import THEMES, Theme

SCRIPT = """
const body = document.body;
const page_theme = () => {
  const {jpThemeLight, jpThemeName} = body.dataset;
  const asks = query => window.matchMedia(query).matches;
  const dark = jpThemeLight ? jpThemeLight === 'false' : asks('(prefers-color-scheme: dark)');
  const strong = (jpThemeName || '').includes('High Contrast') || asks('(prefers-contrast: more)');
  return !dark ? 'light' : strong ? 'contrast' : 'dark';
};
const repaint = () => {
  const own = getComputedStyle(body).getPropertyValue('--jp-layout-color0').trim();
  const table = tables[page_theme()];
  const colours = {...table, background: own || table.background};
  models.forEach((model, n) => {
    const values = {};
    for (const [name, key] of Object.entries(keys[n]))
      values[name] = Array.isArray(key) ? key.map(each => colours[each]) : colours[key];
    model.setv(values, {sync: false});
  });
};
const own = models[0].document;
repaint();
const observer = new MutationObserver(() => {
  if (own.roots().length === 0) observer.disconnect();
  else repaint();
});
observer.observe(body, {attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name']});
for (const query of ['(prefers-color-scheme: dark)', '(prefers-contrast: more)'])
  window.matchMedia(query).addEventListener('change', repaint);
"""


class ThemedModels:
    """The colours and sizes of the models of one chart.

    Args:
        theme: the theme that the models have until a page shows them.

    Attributes:
        theme: the same.
    """

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self._colours = theme.colours()
        self._scale = 1.0
        self._painted: list[tuple[Model, Mapping[str, str | list[str]]]] = []
        self._sized: list[tuple[Model, Mapping[str, float | str]]] = []

    def paint(self, model: Model, **keys: str) -> None:
        """Set properties of a model to colours, given by their names in `Theme.colours`."""
        model.update(**{name: self._colours[key] for name, key in keys.items()})
        self._painted.append((model, keys))

    def paint_in_page(self, model: Model, **keys: str) -> None:
        """As `paint`, but nothing is set before a page shows the model."""
        self._painted.append((model, keys))

    def paint_mapper(self, mapper: ColorMapper, keys: list[str]) -> None:
        """Set the palette of a colour mapper to colours, given by their names."""
        mapper.palette = [self._colours[key] for key in keys]
        self._painted.append((mapper, {"palette": keys}))

    def size(self, model: Model, **sizes: float | str) -> None:
        """Set properties of a model to numbers of pixels, or to strings such as ``12px``."""
        model.update(**sizes)
        self._sized.append((model, sizes))

    def scale(self, factor: float) -> None:
        """Enlarge all sizes, unless they have this scale; 1 is normal."""
        if factor == self._scale:
            return
        self._scale = factor
        for model, sizes in self._sized:
            model.update(**{name: scaled(size, factor) for name, size in sizes.items()})

    def follow_page(self, layout: LayoutDOM) -> None:
        """Let the page set the colours.

        Args:
            layout: the whole chart; it gets a document here, which its `Live` widget takes over.
        """
        script = CustomJS(
            args={
                "models": [model for model, _ in self._painted],
                "keys": [dict(keys) for _, keys in self._painted],
                "tables": {theme.name: theme.colours() for theme in THEMES},
            },
            code=SCRIPT,
        )
        document = Document()
        document.add_root(layout)
        document.js_on_event(DocumentReady, script)


def scaled(size: float | str, factor: float) -> float | str:
    """Return a size times a factor.

    >>> scaled("12px", 1.5), scaled(2.0, 1.5), scaled(150, 1.5)
    ('18px', 3.0, 225)
    """
    if isinstance(size, str):
        return f"{round(float(size.removesuffix('px')) * factor)}px"
    return round(size * factor) if isinstance(size, int) else size * factor
