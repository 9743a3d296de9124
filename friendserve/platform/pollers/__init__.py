"""The parts of a loop that depend on the system: pollers, wakers and the clock."""
