"""Accounts of namespaces, their tokens in Secrets, and the certificate of the API server."""

from kubesim.controllers.serviceaccount.controller import ServiceAccountController
from kubesim.controllers.serviceaccount.rootca import RootCAPublisher
from kubesim.controllers.serviceaccount.tokens import TokensController

__all__ = ["RootCAPublisher", "ServiceAccountController", "TokensController"]
