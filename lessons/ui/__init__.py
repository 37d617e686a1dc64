"""What the panels share: base panel, transport bar, widgets, charts, theme."""
