"""The rules of pod specs, by subject: containers, volumes, affinity, security ...

`kinds.pods` enters a file of this folder only for a field that the spec has, so that a plain pod
does not pay for the rules of what it does not have. All values have the right types already: the
write path decodes a document before the rules see it.
"""
