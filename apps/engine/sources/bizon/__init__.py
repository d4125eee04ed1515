"""What turns bizon's own sources into ours: settings, egress, failures that cannot be swallowed."""
