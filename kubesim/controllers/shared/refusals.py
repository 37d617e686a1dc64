"""What would let a request pass that the API server has refused.

>>> way_out_of('pods "db-0" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, '
...            'limited: pods=2')
'the quota few allowed more (requested: pods=1, used: pods=2, limited: pods=2), or less was in use'

Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota (checkRequest), plugin/pkg/admission.
"""

from __future__ import annotations

import re

QUOTA = re.compile(r"exceeded quota: (\S+), (requested: .*)", re.DOTALL)
UNSPECIFIED = re.compile(r"failed quota: (\S+): must specify (.*)", re.DOTALL)


def way_out_of(message: str) -> str:
    """Return what would let a refused creation pass, from the message of the refusal."""
    if match := QUOTA.search(message):
        return f"the quota {match[1]} allowed more ({match[2]}), or less was in use"
    if match := UNSPECIFIED.search(message):
        return f"the template had {match[2]}, since the quota {match[1]} counts them"
    return f"the API server accepted the request; it says: {message}"
