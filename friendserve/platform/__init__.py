"""What lies under the loop: pollers, wakers, clocks."""
