"""The engines: bytes in, values out. Nothing here sees an fd, a loop, a clock, a logger or a file."""
