"""The worker process: queues, jobs, and what the apps have registered to be done there. It knows no app."""
