"""The default scheduler plug-ins."""
