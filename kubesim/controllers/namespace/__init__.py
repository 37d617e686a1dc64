"""The namespace controller: deletion of a namespace's content, conditions, finalization."""

from kubesim.controllers.namespace.controller import NamespaceController

__all__ = ["NamespaceController"]
