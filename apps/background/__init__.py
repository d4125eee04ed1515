"""The worker process: queues, jobs, and a registry of what the apps run in it. It imports no other app."""
