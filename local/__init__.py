"""Drover on one machine: what `make up` does.

It has only light imports: the supervisor keeps running as long as Drover does, so it imports neither
Django nor the engine and starts both as child processes.
"""
