"""The resource quota controller: the usage that each ResourceQuota reports in its status."""

from kubesim.controllers.quota.controller import ResourceQuotaController

__all__ = ["ResourceQuotaController"]
