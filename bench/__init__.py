"""The measurements of `manage.py bench`. Each compares Drover with an alternative, in pairs, and prints a median.

No test asserts the results, because machines differ. Each figure is a ratio or a percentile on the machine that
prints it.
"""
