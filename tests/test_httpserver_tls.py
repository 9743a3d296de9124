"""The HTTP server over TLS: refused uploads, and connections that end without close_notify."""
from __future__ import absolute_import, division, print_function

import socket
import ssl
import threading

from friendserve.netutil import ssl_options_to_context
from friendserve.web import Application, RequestHandler, asynchronous
from tests import CA, PATIENCE
from tests.httpcase import SERVER_OPTIONS, HTTPCase, LogCatcher, echo, get

CLIENT = ssl_options_to_context({"ca_certs": CA}, server_side=False)


class Uploader(threading.Thread):
    """Sends a head, then a body without end until the server has answered; keeps the answer, and
    whether it ended with close_notify."""
    def __init__(self, address):
        super(Uploader, self).__init__()
        self.daemon = True
        self.address = address
        self.answer = b""
        self.outcome = None

    def run(self):
        sock = CLIENT.wrap_socket(socket.create_connection(self.address, PATIENCE),
                                  server_hostname="localhost", suppress_ragged_eofs=False)
        try:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
            sock.setblocking(False)
            self.outcome = self.upload(sock)
        except EnvironmentError as error:
            self.outcome = error
        finally:
            sock.close()

    def upload(self, sock):
        # It sends on while the server is ending its side; otherwise nothing would be in its way.
        piece, sent_after = b"x" * 16000, 0
        while True:
            try:
                data = sock.recv(65536)
                if not data:
                    return "close_notify"
                self.answer += data
            except ssl.SSLError as error:
                if error.args[0] != ssl.SSL_ERROR_WANT_READ:
                    return error
            try:
                sent_after += bool(self.answer)
                if sent_after < 100:
                    sock.send(piece)
            except ssl.SSLError as error:
                if error.args[0] not in (ssl.SSL_ERROR_WANT_WRITE, ssl.SSL_ERROR_WANT_READ):
                    return error


class TLSTest(HTTPCase):
    def test_b261_a_refused_upload_is_answered(self):
        self.serve(echo, ssl_options=SERVER_OPTIONS, max_body_size=1000)
        for _ in range(20):
            uploader = Uploader(self.server.address)
            uploader.start()
            self.run_until(lambda: uploader.outcome is not None)
            uploader.join(PATIENCE)
            self.assertEqual(b"HTTP/1.1 413", uploader.answer[:12])
            self.assertEqual("close_notify", uploader.outcome)

    def test_a656_clients_that_close_without_close_notify_are_no_news(self):
        self.serve(ssl_options=SERVER_OPTIONS)
        with LogCatcher() as records:
            for data in (b"", get(), get() + b"GET", get() + get()):
                client = self.connect_tls(data=data)
                for _ in range(data.count(b"\r\n\r\n")):
                    self.assertEqual(b"ok", client.read_response().body)
                client.close()
                self.run_until(lambda: not self.server.connection_count())
            self.turn(0, 3)
        self.assertEqual([], [record.message for record in records
                              if record.name != "friendserve.access"])

    def end_of(self, client):
        """How a response ends: None for close_notify, else the error."""
        client.sock.suppress_ragged_eofs = False
        ends = []

        def ended():
            try:
                data = client.sock.recv(65536)
            except ssl.SSLError as error:
                if error.args[0] != ssl.SSL_ERROR_WANT_READ:
                    ends.append(error)
            else:
                client.data += data
                if not data:
                    ends.append(None)
            return ends
        self.run_until(ended)
        return ends[0]

    def test_a656_a_response_that_fails_is_not_announced_as_complete(self):
        class Handler(RequestHandler):
            @asynchronous
            def get(self):
                self.write("part")
                self.flush()
                if self.request.path == "/fail":
                    raise ValueError("on purpose")
                if self.request.path == "/finish":
                    self.finish()

        for path, is_whole in (("/fail", False), ("/finish", True), ("/stop", False)):
            self.serve(Application([("/.*", Handler)]), ssl_options=SERVER_OPTIONS)
            client = self.connect_tls(data=get(path, version="1.0"))
            with LogCatcher():
                client.wait_for(lambda: client.data.endswith(b"part"))
                if path == "/stop":
                    self.server.close_all_connections()
                end = self.end_of(client)
            self.assertEqual((is_whole, path), (end is None, path))
