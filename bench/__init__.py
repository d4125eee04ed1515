"""Measurements behind `manage.py bench`: what ran, against what, paired in one run, medians.

Nothing here is asserted by a test: machines differ. Each figure is a ratio or a percentile taken on the
machine that prints it.
"""
