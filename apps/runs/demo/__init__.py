"""The demo that `make up` shows: an org with real data, three pipelines, and a check of what arrived."""
