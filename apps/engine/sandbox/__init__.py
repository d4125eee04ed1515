"""Run code nobody here has read: walls around a process, a door in them, and a bounded conversation."""
