"""The measurements of `manage.py bench agent`: streams of conversations, turns, memory, and the first token."""
