"""Drover on one machine: what `make up` does.

Plain Python and light at import: the supervisor keeps running as long as Drover does, so it
imports neither Django nor the engine and starts both as child processes.
"""
