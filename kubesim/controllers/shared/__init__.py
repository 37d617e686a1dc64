"""Shared by several controllers: controllerRef adoption and release, expectations, pod ranking."""
