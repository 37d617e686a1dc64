"""The CronJob controller: creates a Job at each scheduled time."""

from kubesim.controllers.cronjob.controller import CronJobController

__all__ = ["CronJobController"]
