"""The validation of kinds that have more rules than their own file can hold.

Pure: an object with its defaults and values of the right types in, field errors out.
"""
