"""EventSource and WebSocket of Chromium against our handlers."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve.web import Application, EventStreamHandler, RequestHandler
from friendserve.websocket import WebSocketHandler
from tests.browsercase import DESKTOP, Window, needs_browser
from tests.demo_server import DemoServer

pytestmark = needs_browser

PAGE = """<!doctype html><title>real time</title><link rel="icon" href="data:,"><ol></ol><script>
function show(text) {
    document.querySelector("ol").appendChild(document.createElement("li")).textContent = text;
}
</script>"""


class Page(RequestHandler):
    def get(self):
        self.write(PAGE)


class Events(EventStreamHandler):
    """Sends two events and hangs up; a client that returns gets one more, or 204."""
    def open(self):
        if self.last_event_id == u"2":
            self.send_event(u"back after 2", id="3")
            return
        if self.last_event_id is not None:
            self.set_status(204)
            return
        self.send_event(u"one\n\u20ac", id="1", retry=50)
        self.send_event({"n": 2}, event="json", id="2", callback=self.close)


class Echo(WebSocketHandler):
    def get_compression_options(self):
        return {}

    def select_subprotocol(self, subprotocols):
        return subprotocols[-1] if subprotocols else None

    def on_message(self, message):
        if message == u"close":
            self.close(4000, u"as you like")
        else:
            self.write_message(message, binary=isinstance(message, bytes))


class RealTimeTest(unittest.TestCase):
    def setUp(self):
        server = DemoServer(lambda: Application([
            ("/", Page), ("/events", Events), ("/socket", Echo)]))
        self.addCleanup(server.stop)
        self.window = Window(DESKTOP)
        self.addCleanup(self.window.quit)
        self.window.driver.get(server.url + "/")

    def shown(self):
        return self.window.driver.execute_script(
            "return Array.from(document.querySelectorAll('li'), li => li.textContent)")

    def assert_shown(self, *texts):
        self.window.wait(lambda: len(self.shown()) >= len(texts), "%d lines" % len(texts))
        self.assertEqual(self.shown(), list(texts))

    def test_event_source_reads_and_comes_back_with_its_last_id(self):
        self.window.driver.execute_script("""
            source = new EventSource("/events");
            source.onmessage = event => show(event.lastEventId + ": " + event.data);
            source.addEventListener("json", event => show("json " + JSON.parse(event.data).n));
        """)
        self.assert_shown(u"1: one\n\u20ac", u"json 2", u"3: back after 2")

    def test_web_socket_says_and_hears(self):
        self.window.driver.execute_script("""
            socket = new WebSocket(location.href.replace("http", "ws") + "socket", ["a", "b"]);
            socket.binaryType = "arraybuffer";
            socket.onopen = () => {
                show(socket.protocol + " " + socket.extensions);
                socket.send("\\u20ac".repeat(30000));
                socket.send(new Uint8Array([0, 255]));
                socket.send("close");
            };
            socket.onmessage = event => show(typeof event.data == "string" ?
                event.data.length : new Uint8Array(event.data).join());
            socket.onclose = event => show(event.code + " " + event.reason + event.wasClean);
        """)
        self.assert_shown(u"b permessage-deflate", u"30000", u"0,255", u"4000 as you liketrue")
