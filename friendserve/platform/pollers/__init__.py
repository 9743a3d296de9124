"""What the system gives a loop: pollers, wakers and a clock."""
