"""`import tornado`, in processes of their own."""
from __future__ import absolute_import, division, print_function

from tests.portingcase import PortingCase


class AliasTest(PortingCase):
    def test_everywhere(self):
        self.assertEqual(["4.5.3 (4, 5, 3, 0)", "True", "True", "True", "True"],
                         self.run_program("""
            import friendserve.porting
            friendserve.porting.alias()
            import tornado, tornado.web, logging
            import tornado.netutil as netutil
            from tornado import ioloop
            from tornado.platform.auto import set_close_exec
            import friendserve.web, friendserve.ioloop, friendserve.tcpserver
            print("%s %s" % (tornado.version, tornado.version_info))
            print(tornado.web is friendserve.web)
            print(ioloop.IOLoop is friendserve.ioloop.IOLoop)
            print(netutil.TCPServer is friendserve.tcpserver.TCPServer)
            print(logging.getLogger("tornado.access") is logging.getLogger("friendserve.access"))
        """))

    def test_a_program_runs_unchanged(self):
        self.assertEqual(["200 hello"], self.run_program("""
            import friendserve.porting
            friendserve.porting.alias(version="2.4.1")
            import tornado.httpserver, tornado.ioloop, tornado.web
            from tornado.httpclient import AsyncHTTPClient
            from tornado.testing import bind_unused_port

            class Hello(tornado.web.RequestHandler):
                @tornado.web.asynchronous
                def get(self):
                    tornado.ioloop.IOLoop.instance().add_callback(lambda: self.finish("hello"))

            def done(response):
                print("%d %s" % (response.code, response.body.decode()))
                tornado.ioloop.IOLoop.instance().stop()

            sock, port = bind_unused_port()
            server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Hello)]))
            server.add_sockets([sock])
            AsyncHTTPClient().fetch("http://127.0.0.1:%d/" % port, done)
            tornado.ioloop.IOLoop.instance().start()
        """))

    def test_what_is_given_up_explains_itself(self):
        lines = self.run_program("""
            import friendserve.porting
            friendserve.porting.alias()
            for name in ("s3server", "nothing"):
                try:
                    __import__("tornado." + name)
                except ImportError as error:
                    print(error)
        """)
        self.assertIn("source distribution", lines[0])
        self.assertIn("no module nothing", lines[1])

    def test_too_late(self):
        self.write("tornado/__init__.py", "")
        lines = self.run_program("""
            import tornado
            import friendserve.porting
            for packages in (None, ["tornado"], "tornado"):
                try:
                    friendserve.porting.alias(packages)
                except (RuntimeError, TypeError) as error:
                    print(error)
        """)
        self.assertEqual(3, len(lines))
        self.assertIn("call alias() first", lines[0])

    def test_it_can_be_taken_back(self):
        self.assertEqual(["no"], self.run_program("""
            import sys
            import friendserve.porting
            with friendserve.porting.alias():
                import tornado.web
            sys.path[:] = [path for path in sys.path if "site-packages" not in path]
            try:
                import tornado.web
            except ImportError:
                print("no")
        """))

    def test_client_callbacks_of_websockets_get_a_future(self):
        self.assertEqual(["echo"], self.run_program("""
            import friendserve.porting
            friendserve.porting.alias()
            from tornado import httpserver, ioloop, testing, web, websocket

            class Echo(websocket.WebSocketHandler):
                def on_message(self, message):
                    self.write_message(message)

            def opened(future):
                connection = future.result()
                connection.write_message("echo")
                connection.read_message(read)

            def read(future):
                print(future.result())
                loop.stop()

            loop = ioloop.IOLoop.instance()
            sock, port = testing.bind_unused_port()
            httpserver.HTTPServer(web.Application([("/", Echo)])).add_sockets([sock])
            websocket.websocket_connect("ws://127.0.0.1:%d/" % port, loop, opened)
            loop.start()
        """))

    def test_from_the_environment(self):
        program = """
            import friendserve.porting
            friendserve.porting.alias_from_environment()
            import tornado
            print(tornado.version)
        """
        self.write("tornado.py", "version = 'installed'")
        self.assertEqual(["installed"], self.run_program(program))
        self.assertEqual(["4.5.3"], self.run_program(program, FRIENDSERVE_ALIAS="1"))
        self.assertEqual(["3.2.2"], self.run_program(
            program, FRIENDSERVE_ALIAS="1", FRIENDSERVE_ALIAS_VERSION="3.2.2"))
        self.assertEqual(["installed"], self.run_program(program, FRIENDSERVE_ALIAS="other, more"))


class ScopedAliasTest(PortingCase):
    def setUp(self):
        super(ScopedAliasTest, self).setUp()
        self.write("tornado/__init__.py", "version = 'installed'")
        self.write("tornado/web.py", "place = 'installed'")
        self.write("old/__init__.py", """
            import tornado.web, os
            from tornado import web as also
            from old.inner import deep
            import old.latin
            tornado.web.RequestHandler
            version = tornado.version
            def late():
                from tornado.web import RequestHandler
                return RequestHandler
        """)
        self.write("old/inner/__init__.py", "")
        self.write("old/inner/deep.py", """
            try:
                import tornado.ioloop
            except ImportError:
                tornado = None
            loop = tornado.ioloop.IOLoop
        """)
        self.write("old/latin.py", u"# coding: latin-1\nimport tornado\nname = u'\xe9'\n",
                   "latin-1")

    def test_only_inside_the_packages(self):
        self.assertEqual(["installed installed", "4.5.3 True True True"], self.run_program("""
            import friendserve.porting
            friendserve.porting.alias(packages=["old"])
            import old, tornado.web, friendserve.web, friendserve.ioloop
            print("%s %s" % (tornado.version, tornado.web.place))
            print("%s %s %s %s" % (
                old.version, old.also is friendserve.web,
                old.deep.loop is friendserve.ioloop.IOLoop,
                old.late() is friendserve.web.RequestHandler))
        """))

    def test_tracebacks_show_the_file_as_it_is(self):
        self.write("old/bad.py", "import tornado\n\n1 / 0  # here\n")
        lines = self.run_program("""
            import traceback
            import friendserve.porting
            friendserve.porting.alias(packages=["old"])
            try:
                import old.bad
            except ZeroDivisionError:
                print(traceback.format_exc())
        """)
        self.assertIn("    1 / 0  # here", lines)

    def test_a_name_that_only_begins_alike(self):
        self.write("older.py", "import tornado\nversion = tornado.version")
        self.assertEqual(["installed"], self.run_program("""
            import friendserve.porting
            friendserve.porting.alias(packages=["old"])
            import older
            print(older.version)
        """))

    def test_nothing_is_left_in_the_cache(self):
        self.run_program("""
            import friendserve.porting
            friendserve.porting.alias(packages=["old"])
            import old
        """)
        self.assertEqual(["False"], self.run_program("""
            import sys
            sys.modules["tornado.ioloop"] = None
            try:
                import old
            except Exception:
                pass
            print(any("friendserve" in name for name in sys.modules))
        """))
