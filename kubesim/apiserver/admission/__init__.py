"""Admission: plug-ins that change or refuse a request before the object is stored.

`priority` and `limits` run before validation and may change the object, `quotas` runs after it.
"""
