"""What each namespace gets: the account `default`, and the certificate of the API server."""

from kubesim.controllers.serviceaccount.controller import ServiceAccountController
from kubesim.controllers.serviceaccount.rootca import RootCAPublisher

__all__ = ["RootCAPublisher", "ServiceAccountController"]
