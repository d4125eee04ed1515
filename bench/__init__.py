"""The measurements of `manage.py bench`: each against an alternative, in pairs, as medians.

No test asserts them, because machines differ. Each figure is a ratio or a percentile measured on the machine
that prints it.
"""
