"""What the panels have in common: base panel, transport bar, live charts, style."""
