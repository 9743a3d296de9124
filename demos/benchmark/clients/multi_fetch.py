"""Just pycurl's multi interface: epoll, and callbacks that keep the data without parsing it. No
client on libcurl can be much faster."""
from __future__ import absolute_import, division, print_function

import select

import pycurl
from fetching import check, main

EVENTS = {pycurl.POLL_IN: select.EPOLLIN, pycurl.POLL_OUT: select.EPOLLOUT,
          pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT}


class Fetcher(object):
    def __init__(self, url, in_flight):
        self.url = url
        self.epoll = select.epoll()
        self.watched = set()
        self.timeout = None
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self.on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self.on_timer)
        self.free = [pycurl.Curl() for _ in range(in_flight)]

    def on_socket(self, what, fd, multi, data):
        if what == pycurl.POLL_REMOVE:
            self.watched.remove(fd)
            self.epoll.unregister(fd)
        elif fd in self.watched:
            self.epoll.modify(fd, EVENTS[what])
        else:
            self.epoll.register(fd, EVENTS[what])
            self.watched.add(fd)

    def on_timer(self, milliseconds):
        self.timeout = None if milliseconds < 0 else milliseconds / 1000.0

    def begin(self, curl):
        curl.body = []
        curl.setopt(pycurl.URL, self.url)
        curl.setopt(pycurl.HEADERFUNCTION, [].append)
        curl.setopt(pycurl.WRITEFUNCTION, curl.body.append)
        self.multi.add_handle(curl)

    def __call__(self, count):
        left = pending = count
        while pending:
            while left and self.free:
                left -= 1
                self.begin(self.free.pop())
            if self.timeout == 0:
                self.timeout = None
                self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            ready = self.epoll.poll(-1 if self.timeout is None else self.timeout)
            for fd, events in ready:
                self.multi.socket_action(
                    fd, (pycurl.CSELECT_IN if events & select.EPOLLIN else 0)
                    | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0))
            if not ready:
                self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            pending -= self.take_finished()

    def take_finished(self):
        _, succeeded, failed = self.multi.info_read()
        for curl, _, message in failed:
            check(message, None)
        for curl in succeeded:
            check(curl.getinfo(pycurl.RESPONSE_CODE), b"".join(curl.body))
            self.multi.remove_handle(curl)
        self.free += succeeded
        return len(succeeded)


if __name__ == "__main__":
    main(Fetcher)
