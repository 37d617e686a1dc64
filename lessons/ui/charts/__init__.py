"""Charts: described once (chart), drawn live (bokeh_chart) and as still pictures (svg_chart)."""
