"""Run untrusted code in an isolated process that connects through a broker and answers in a bounded protocol."""
