"""The style sheet of the panels; it uses JupyterLab's colours, so it fits light and dark themes.

Outside of JupyterLab `light-dark()` chooses, by the `color-scheme` of the page. `PAGE` is for the
whole notebook: still pictures are images, and take the theme of the page from `color-scheme`.

Kubernetes has no counterpart.
"""

from __future__ import annotations

PAGE = """<style>
body[data-jp-theme-light="true"] .jp-RenderedSVG img { color-scheme: light; }
body[data-jp-theme-light="false"] .jp-RenderedSVG img { color-scheme: dark; }
.jp-RenderedSVG img { max-width: max(100%, 480px); height: auto; }
</style>"""
STYLE = """<style>
.ks-cockpit { border: 1px solid var(--jp-border-color2, #8884); border-radius: 8px;
  padding: 6px 10px 8px; background: var(--jp-layout-color0, Canvas); box-sizing: border-box;
  color: var(--jp-ui-font-color1, CanvasText); overflow: hidden; --ks-font: 12px; }
.ks-cockpit .ks-fill { height: clamp(380px, calc(100vh - 270px), 640px); }
.ks-cockpit .ks-fill > div, .ks-fill .widget-html-content, .ks-fill .ks-live-chart {
  height: 100%; }
.ks-cockpit.ks-hall { --ks-font: 18px; --jp-widgets-font-size: 18px;
  --jp-widgets-inline-height: 34px; }
.ks-cockpit.ks-hall .ks-cards { flex-basis: 345px !important; }
.ks-hall .ks-number .widget-label, .ks-hall .ks-card > .widget-dropdown .widget-label {
  width: 7em !important; }
.ks-cockpit.ks-hall .ks-number input, .ks-cockpit.ks-hall .ks-number .widget-inline-hbox {
  font-size: 18px; }
.ks-cockpit .ks-card { border: 1px solid var(--jp-border-color2, #8884); border-radius: 6px;
  padding: 2px 10px 6px; box-sizing: border-box; overflow: hidden; }
/* The arrow of ipywidgets is dark grey in every theme. */
body[data-jp-theme-light="false"] .ks-cockpit {
  --jp-widgets-dropdown-arrow: url("data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E\
%3Cpath fill='none' stroke='white' stroke-width='2' d='M5 7l4 4 4-4'/%3E%3C/svg%3E"); }
.ks-cockpit .widget-html-content { line-height: 1.4; color: inherit; }
.ks-cockpit .widget-html { margin: 1px 2px; }
.ks-cockpit .ks-head { font-weight: 600; font-size: calc(var(--ks-font) + 1px); padding: 2px 0; }
.ks-cockpit .ks-head span { font-weight: 400; font-size: var(--ks-font); padding-left: 6px;
  color: var(--jp-ui-font-color1, inherit); }
.ks-cockpit .ks-fact { font-size: var(--ks-font); }
.ks-cockpit .ks-clock { font-family: var(--jp-code-font-family, monospace);
  font-size: calc(var(--ks-font) + 3px); font-weight: 600; padding: 0 10px 0 12px;
  white-space: nowrap; }
.ks-cockpit .ks-state { font-size: var(--ks-font); color: var(--jp-ui-font-color1, inherit); }
.ks-cockpit .ks-error { border-left: 6px solid #b00020; background: #fdecea; color: #5f0010;
  padding: 6px 10px; font-size: calc(var(--ks-font) + 1px); margin: 4px 0; }
.ks-cockpit .ks-speed .widget-label { position: absolute; clip-path: inset(50%); width: 1px; }
/* Both: ipywidgets forbids some controls an outline, and forced colours know no shadow. */
.ks-cockpit :focus-visible { outline: 2px solid var(--jp-brand-color1, Highlight) !important;
  outline-offset: 0 !important;
  box-shadow: 0 0 0 2px var(--jp-brand-color1, Highlight) !important; }
/* The handles of ipywidgets are white, with a border that is hardly visible on white. */
.ks-cockpit .noUi-handle { border: 2px solid var(--jp-ui-font-color2, GrayText);
  box-sizing: border-box; }
/* While a handle is dragged, the number that it would set covers the number box. */
.ks-cockpit .ks-number { position: relative; }
.ks-cockpit .ks-number .widget-readout { display: none; }
.ks-cockpit .ks-number:has(.noUi-active) .widget-readout { display: block; position: absolute;
  right: 2px; top: 2px; width: 56px; min-width: 0; z-index: 2; font-weight: 600;
  text-align: left; background: var(--jp-layout-color1, Canvas); }
/* A value that does not fit beside its label stands below it. */
.ks-cockpit .ks-card > .widget-dropdown { flex-flow: row wrap; height: auto; }
.ks-cockpit .ks-card > .widget-dropdown > select { flex: 1 1 auto; width: auto; max-width: 100%;
  min-width: 0; height: var(--jp-widgets-inline-height); }
/* Cards to the left of the charts; on a narrow page above them, side by side or stacked. */
.ks-cockpit { container-type: inline-size; }
@container (min-width: 720px) and (max-width: 1013px) {
  .ks-cockpit .ks-body { display: grid !important; grid-template:
    "cards charts" auto "texts charts" 1fr / minmax(264px, 1fr) minmax(430px, 2fr); }
  .ks-cockpit.ks-hall .ks-body { grid-template-columns: minmax(300px, 1fr) minmax(400px, 1.4fr); }
  .ks-cockpit .ks-body.ks-low { grid-template-areas: "cards charts" "cards texts"; }
  .ks-body > .ks-cards { grid-area: cards; }
  .ks-body > .ks-charts { grid-area: charts; }
  .ks-body > .ks-texts { grid-area: texts; }
}
@container (max-width: 719px) {
  .ks-cards { flex-direction: row !important; }
  .ks-cards > .ks-card { flex: 1 1 0 !important; }
  .ks-cockpit .ks-fill { height: clamp(300px, calc(100vh - 440px), 560px); }
  .ks-cockpit.ks-hall .ks-fill { height: 480px; }
  .ks-hall .ks-number .widget-label, .ks-hall .ks-card > .widget-dropdown .widget-label {
    width: 5.2em !important; }
}
@container (max-width: 479px) {
  .ks-cards { flex-direction: column !important; }
  .ks-cards > .ks-card { flex: none !important; }
  .ks-cockpit .ks-fill { height: 460px; }
}
.ks-cockpit table.ks-table { border-collapse: collapse; width: 100%; font-size: var(--ks-font);
  line-height: 1.4; font-variant-numeric: tabular-nums; }
.ks-cockpit table.ks-few { width: auto; } /* label and number stay together */
.ks-cockpit .ks-table caption { text-align: left; font-weight: 600;
  font-size: calc(var(--ks-font) + 1px); padding: 2px 0 3px; color: inherit; }
.ks-cockpit .ks-table th { text-align: left; font-weight: 600; padding: 0 10px 1px 0;
  border-bottom: 1px solid var(--jp-border-color2, #8888); white-space: nowrap; }
.ks-cockpit .ks-table td { text-align: left; padding: 0 10px 0 0; vertical-align: top;
  white-space: nowrap; }
.ks-cockpit .ks-table td:last-child { white-space: normal; padding-right: 0; }
.ks-cockpit .ks-table .ks-n { text-align: right; }
.ks-cockpit .ks-wide { overflow-x: auto; }
.ks-cockpit .ks-wide td { white-space: normal; min-width: 76px; }
.ks-cockpit .ks-why { font-size: var(--ks-font); line-height: 1.4; }
.ks-cockpit .ks-why > b { font-size: calc(var(--ks-font) + 1px); }
.ks-cockpit .ks-why p { margin: 3px 0; }
.ks-cockpit .ks-why ol, .ks-cockpit .ks-why ul { margin: 3px 0; padding-left: 20px; }
/* One cell for each pod; the fuller, the more CPU. */
.ks-cockpit .ks-strip { display: flex; flex-wrap: wrap; gap: 2px; align-items: center;
  font-size: var(--ks-font); --ks-cpu: light-dark(#8cc4ea, #1f6391); }
body[data-jp-theme-light="true"] .ks-cockpit .ks-strip { --ks-cpu: #8cc4ea; }
body[data-jp-theme-light="false"] .ks-cockpit .ks-strip { --ks-cpu: #1f6391; }
.ks-cockpit .ks-strip b { padding-right: 6px; }
.ks-cockpit .ks-strip i { width: 2.4em; line-height: 1.4; border: 1px solid #7f7f7f;
  box-sizing: border-box; font-style: normal; text-align: center;
  background: linear-gradient(to right, var(--ks-cpu) var(--full), transparent var(--full)); }
.ks-cockpit .ks-crowd i { width: 9px; height: 16px;
  background: linear-gradient(to top, #2f8fc4 var(--full), transparent var(--full)); }
.ks-cockpit.ks-busy .ks-charts { opacity: 0.45; }
@media (forced-colors: active) { .ks-cockpit .ks-strip i { forced-color-adjust: none; } }
</style>"""
