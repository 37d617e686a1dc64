"""The style sheet of the panels; it uses JupyterLab's colours, so it fits light and dark themes.

Kubernetes has no counterpart.
"""

from __future__ import annotations

STYLE = """<style>
.ks-cockpit { border: 1px solid var(--jp-border-color2, #ddd); border-radius: 8px;
  padding: 10px 12px; background: var(--jp-layout-color1, #fff); box-sizing: border-box;
  overflow: hidden; }
.ks-cockpit .ks-card { border: 1px solid var(--jp-border-color2, #ddd); border-radius: 6px;
  padding: 6px 12px 8px; box-sizing: border-box; }
.ks-cockpit .widget-html-content { line-height: 1.45; color: var(--jp-ui-font-color1, #222); }
.ks-cockpit .ks-head { font-weight: 600; font-size: 13px; padding: 2px 0 4px; }
.ks-cockpit .ks-head span { font-weight: 400; font-size: 12px; padding-left: 6px;
  color: var(--jp-ui-font-color2, #555); }
.ks-cockpit .ks-fact { font-size: 12px; }
.ks-cockpit .ks-clock { font-family: var(--jp-code-font-family, monospace); font-size: 15px;
  font-weight: 600; padding: 0 10px 0 12px; }
.ks-cockpit .ks-state { font-size: 12px; color: var(--jp-ui-font-color2, #555); }
.ks-cockpit .ks-error { border-left: 6px solid #b00020; background: #fdecea; color: #5f0010;
  padding: 6px 10px; font-size: 13px; margin: 4px 0; }
.ks-cockpit table.ks-table { border-collapse: collapse; width: 100%; font-size: 12px;
  line-height: 1.4; font-variant-numeric: tabular-nums; }
.ks-cockpit .ks-table caption { text-align: left; font-weight: 600; font-size: 13px;
  padding: 2px 0 3px; color: var(--jp-ui-font-color1, #222); }
.ks-cockpit .ks-table th { text-align: left; font-weight: 600; padding: 0 10px 1px 0;
  border-bottom: 1px solid var(--jp-border-color2, #ccc); white-space: nowrap; }
.ks-cockpit .ks-table td { padding: 0 10px 0 0; vertical-align: top; white-space: nowrap; }
.ks-cockpit .ks-table td:last-child { white-space: normal; }
.ks-cockpit .ks-table .ks-n { text-align: right; }
.ks-cockpit .ks-wide { overflow-x: auto; }
.ks-cockpit .ks-wide td { white-space: normal; min-width: 76px; }
.ks-cockpit .ks-why { font-size: 12px; line-height: 1.45; }
.ks-cockpit .ks-why > b { font-size: 13px; }
.ks-cockpit .ks-why p { margin: 3px 0; }
.ks-cockpit .ks-why .ks-verdict { font-size: 13px; }
.ks-cockpit .ks-why ol, .ks-cockpit .ks-why ul { margin: 3px 0; padding-left: 20px; }
</style>"""
