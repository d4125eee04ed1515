"""Adapt bizon's own sources to ours: settings, egress policy, and failures that are never ignored."""
