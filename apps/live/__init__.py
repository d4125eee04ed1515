"""Events that reach a browser: numbered rows, announced with NOTIFY, followed as server-sent events.

This room knows no subject. An app whose rows can be followed declares a `Subject` and registers it.
"""
