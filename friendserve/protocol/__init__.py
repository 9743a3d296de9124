"""The engines: bytes in, values out.

Nothing here sees an fd, a loop, a logger or a file, nor a clock, except as the default for signed
cookies.
"""
