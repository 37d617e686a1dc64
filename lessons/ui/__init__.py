"""What the panels share: base panel, transport bar, widgets, charts with their theme."""
