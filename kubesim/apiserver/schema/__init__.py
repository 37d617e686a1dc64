"""Schemas of the built-in and custom kinds: structural checks, strict decoding, defaults.

data         the API types of Kubernetes 1.34: the generated file, read when first needed
schemas      the OpenAPI schema of a kind, and of each type that it refers to
compiler     compiles schemas into `shapes`, one engine for built-in and custom kinds
faults       what is wrong with a value, in the messages of the decoder or of OpenAPI validation
structural   built-in kinds: wrong types, missing fields; unknown fields of every kind
pruning      unknown fields are dropped
strict       fieldValidation: unknown and duplicate fields are refused, or warned of
custom       custom kinds: a definition's schema, its defaults, its rules (`rules`)
re2          patterns in Go's syntax, matched in linear time (`re2_parser`, `re2_classes`)
"""
