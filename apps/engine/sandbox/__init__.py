"""Run untrusted code: an isolated process, a broker for its connections, and a bounded protocol."""
