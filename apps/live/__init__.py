"""Events for browsers. They are stored as numbered rows, announced with NOTIFY, and sent as server-sent events or over websockets.

This package does not import the apps whose events can be followed. Such an app declares a `Subject` and registers it.
"""
