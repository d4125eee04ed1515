"""The demo of `make up`: an org with real data, three pipelines, and a check of the results."""
