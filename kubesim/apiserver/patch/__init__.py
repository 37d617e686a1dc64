"""The ways to change a document; all are pure.

jsonpatch    RFC 6902: a list of operations
merge        RFC 7386: JSON merge patch
strategic    Kubernetes' own merge patch, by the patch strategies of the API types (`strategies`)
structured   server-side apply: merge a configuration by list and map types, remove fields
threeway     the patch that `kubectl apply` sends: last applied, wanted and live object
"""
