"""The limits of an HTTP/1.x connection, all on by default."""
from __future__ import absolute_import, division, print_function


class HTTP1ConnectionParameters(object):
    """The limits of a connection. Sizes are in bytes, times in seconds.

    `header_timeout` counts from the first byte of a head, `idle_timeout` from the end of the
    previous response, `body_timeout` from the end of the head, `write_timeout` from the last byte
    that the client accepted. `response_timeout` limits how long a handler may write nothing; it is
    long because of long polls. `linger_timeout` is how long the rest of a refused request is read
    before the connection closes, so that its sender sees the response.
    """
    __slots__ = ("no_keep_alive", "chunk_size", "max_header_size", "max_request_line",
                 "max_headers", "header_timeout", "idle_timeout", "body_timeout",
                 "write_timeout", "response_timeout", "linger_timeout", "max_body_size",
                 "decompress")

    def __init__(self, no_keep_alive=False, chunk_size=None, max_header_size=None,
                 header_timeout=None, max_body_size=None, body_timeout=None, decompress=False,
                 idle_timeout=None, write_timeout=None, response_timeout=None,
                 linger_timeout=None, max_request_line=None, max_headers=None):
        def default(value, standard):
            return standard if value is None else value

        self.no_keep_alive = no_keep_alive
        self.chunk_size = chunk_size or 65536
        self.max_header_size = max_header_size or 65536
        self.max_request_line = max_request_line or 8192
        self.max_headers = max_headers or 100
        self.max_body_size = default(max_body_size, 100 * 1024 * 1024)
        self.decompress = decompress
        self.header_timeout = default(header_timeout, 60)
        self.idle_timeout = default(idle_timeout, 75)
        self.body_timeout = default(body_timeout, 3600)
        self.write_timeout = default(write_timeout, 60)
        self.response_timeout = default(response_timeout, 3600)
        self.linger_timeout = default(linger_timeout, 5)

    def shortest_timeout(self):
        """The smallest of the time limits."""
        return min(self.header_timeout, self.idle_timeout, self.body_timeout,
                   self.write_timeout, self.response_timeout, self.linger_timeout)
