"""What old releases of Tornado did, under the alias of that version."""
from __future__ import absolute_import, division, print_function

from tests.portingcase import PortingCase

START = """
    import signal
    signal.alarm(30)
    import friendserve.porting
    {0} = friendserve.porting.alias(version="{1}")
"""

TALK = """
    import logging, socket, threading
    import tornado.httpserver, tornado.ioloop, tornado.netutil, tornado.web

    class Hello(tornado.web.RequestHandler):
        def get(self):
            self.write("hello")

        def post(self):
            self.write(self.get_argument("name", "nothing"))

    def talk(request):
        loop = tornado.ioloop.IOLoop()
        loop.make_current()
        sock, = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Hello)]))
        server.add_sockets([sock])
        received = []

        def ask():
            client = socket.create_connection(sock.getsockname())
            client.sendall(request)
            data = client.recv(10000)
            while data:
                received.append(data)
                data = client.recv(10000)
            client.close()
            loop.add_callback(loop.stop)

        asking = threading.Thread(target=ask)
        asking.start()
        loop.start()
        asking.join()
        server.stop()
        return str(b"".join(received).decode()).split("\\r\\n")
"""


class OlderTest(PortingCase):
    def run_as(self, version, program, name="alias"):
        return self.run_program(START.format(name, version) + program)

    def test_a698_http_1_0_is_answered_in_its_version_up_to_tornado_3(self):
        program = TALK + """
    old = b"GET / HTTP/1.0\\r\\nConnection: %s\\r\\n\\r\\n"
    lines = talk(old.replace(b"%s", b"keep-alive") + old.replace(b"%s", b"close"))
    print([line for line in lines if line.startswith(("HTTP/", "Connection", "helloHTTP/"))])
    print(talk(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")[0])
    alias.remove()
    print(talk(b"GET / HTTP/1.0\\r\\n\\r\\n")[0])
"""
        self.assertEqual([
            "['HTTP/1.0 200 OK', 'Connection: keep-alive', 'helloHTTP/1.0 200 OK',"
            " 'Connection: close']", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK"],
            self.run_as("3.2.2", program))
        self.assertEqual([
            "['HTTP/1.1 200 OK', 'Connection: keep-alive', 'helloHTTP/1.1 200 OK',"
            " 'Connection: close']", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK"],
            self.run_as("4.5.3", program))

    def test_a698_what_is_refused_is_in_the_general_log(self):
        self.assertEqual([
            "INFO Malformed HTTP request line from 127.0.0.1", "HTTP/1.1 400 Bad Request",
            "INFO Malformed HTTP headers from 127.0.0.1", "HTTP/1.1 400 Bad Request"],
            self.run_as("3.2.2", TALK + """
    class Show(logging.Handler):
        def emit(self, record):
            print(record.levelname + " " + record.getMessage().split(":")[0])

    logging.getLogger("tornado.general").addHandler(Show())
    logging.getLogger("tornado.general").setLevel(logging.INFO)
    print(talk(b"asdf\\r\\n\\r\\n")[0])
    print(talk(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nasdf\\r\\n\\r\\n")[0])
"""))

    def test_a698_a_malformed_form_is_logged_and_has_no_arguments(self):
        self.assertEqual([
            "HTTP/1.1 200 OK nothing", "HTTP/1.1 200 OK there",
            "HTTP/1.1 400 Bad Request"], self.run_as("4.5.3", TALK + """
    def post(body, kind=b"application/x-www-form-urlencoded"):
        lines = talk(b"POST / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Type: "
                     + kind + b"\\r\\nContent-Length: " + str(len(body)).encode()
                     + b"\\r\\n\\r\\n" + body)
        return lines[0] + " " + lines[-1]

    logging.disable(logging.CRITICAL)
    print(post(b"x", b"multipart/form-data; boundary=b"))
    print(post(b"name=there"))
    alias.remove()
    print(post(b"x", b"multipart/form-data; boundary=b")[:24])
"""))

    def test_a698_a_malformed_form_leaves_a_warning(self):
        self.assertEqual([
            "multipart/form-data missing headers in a part",
            "multipart/form-data value missing name",
            "Invalid multipart/form-data body", "{} {}"], self.run_as("5.1.1", """
    import logging
    from tornado.httputil import parse_multipart_form_data

    class Show(logging.Handler):
        def emit(self, record):
            print(record.getMessage().split(":")[0])

    logging.getLogger("tornado.general").addHandler(Show())
    arguments, files = {}, {}
    for part in ("\\r\\nFoo", "Content-Disposition: form-data; filename=a\\r\\n\\r\\nFoo",
                 "Content-Disposition: invalid; name=a\\r\\n\\r\\nFoo"):
        parse_multipart_form_data(
            b"b", ("--b\\r\\n" + part + "\\r\\n--b--").encode(), arguments, files)
    print("%s %s" % (arguments, files))
"""))

    def test_a699_functions_act_as_those_of_the_version(self):
        program = """
    import logging
    from tornado import httputil
    from tornado.log import LogFormatter
    from tornado.testing import AsyncHTTPTestCase

    class Case(AsyncHTTPTestCase):
        def runTest(self):
            pass

        def get_app(self):
            return lambda request: None

    print(httputil.url_concat("http://a/?x", [("y", "z")]))
    print(httputil.url_concat("http://a/?x=1&", {"y": u"\\u00e9"}))
    case = Case()
    case.setUp()
    print(case.get_url("/").rpartition(":")[0])
    case.tearDown()
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, b"\\xe9", (), None)
    print(LogFormatter("%(message)s", color=False).format(record) == repr(b"\\xe9"))
"""
        self.assertEqual([
            "http://a/?x&y=z", "http://a/?x=1&y=%C3%A9", "http://localhost", "True"],
            self.run_as("3.2.2", program))
        self.assertEqual([
            "http://a/?x=&y=z", "http://a/?x=1&y=%C3%A9", "http://127.0.0.1", "True"],
            self.run_as("5.1.1", program))

    def test_a699_errors_are_those_of_the_version(self):
        program = """
    import logging, socket
    from tornado import httpclient, ioloop, iostream

    class Show(logging.Handler):
        def emit(self, record):
            print(record.levelname + " " + record.getMessage().split(",")[0])

    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(5)
    logging.getLogger("tornado.general").addHandler(Show())
    stream = iostream.IOStream(socket.socket())
    stream.connect(("an invalid name", 80))
    client = httpclient.AsyncHTTPClient()
    loop = ioloop.IOLoop.instance()

    def done(response):
        print(response.error)
        loop.stop()

    client.fetch("http://127.0.0.1:%d/" % silent.getsockname()[1], done, request_timeout=0.1)
    loop.start()
"""
        self.assertEqual(["WARNING Connect error", "HTTP 599: Timeout"],
                         self.run_as("3.2.2", program))
        self.assertEqual("WARNING Connect error", self.run_as("4.5.3", program)[0])
