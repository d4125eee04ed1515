"""Events for browsers: numbered rows, announced with NOTIFY, sent as server-sent events.

This package does not know the apps whose rows can be followed. An app declares a `Subject` and registers it.
"""
