"""The ceiling: an epoll loop in Python that does not parse HTTP.

It counts the blank lines it receives and sends a canned answer for each, so a request must arrive
in one piece, and answers that differ cannot be measured. A server that parses, routes and checks
can only be slower.
"""
from __future__ import absolute_import, division, print_function

import select
import socket
import sys

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
          b"\r\nHello, world!")


def serve(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    clients = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                client, _ = listener.accept()
                clients[client.fileno()] = client
                poller.register(client.fileno(), select.EPOLLIN)
                continue
            client = clients[fd]
            try:
                data = client.recv(65536)
            except socket.error:
                data = b""
            if data:
                client.send(ANSWER * data.count(b"\r\n\r\n"))
            else:
                poller.unregister(fd)
                clients.pop(fd).close()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
