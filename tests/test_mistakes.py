# coding: utf-8
"""The mistakes of a first day: each must be noticed where it is made, in words that say what to
write instead."""
from __future__ import absolute_import, division, print_function

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import six

from friendserve import template
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.netutil import bind_sockets
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous
from tests import ROOT
from tests.loopcase import LogCatcher
from tests.webcase import HandlerCase, handler

Hello = handler(get=lambda self: self.write("hello"))
Hello.__name__ = str("Hello")


class MistakeCase(unittest.TestCase):
    def check(self, text, error, function, *args, **kwargs):
        """Whether `function` raises `error` with exactly this text."""
        with self.assertRaises(error) as caught:
            function(*args, **kwargs)
        said = str(caught.exception)
        if six.PY2:
            said = said.replace("u'", "'").replace("<type '", "<class '")
        self.assertEqual(text, said)


class SettingsTest(MistakeCase):
    def check_doubt(self, text, **settings):
        with LogCatcher() as records:
            application = Application([("/", Hello)], **settings)
        self.assertEqual([text], application.doubts)
        self.assertEqual([text], [record.message for record in records])

    def check_name(self, wrong, right, value="x"):
        self.check_doubt("there is no setting %s, so it has no effect: did you mean %s? (If it is "
                         "your own, name it in the setting own_settings)" % (wrong, right),
                         **{wrong: value})

    def test_near_misses(self):
        for wrong, right in (
                ("xsrf_cookie", "xsrf_cookies"), ("cookies_secret", "cookie_secret"),
                ("cookie_secrets", "cookie_secret"), ("templates_path", "template_path"),
                ("static_paths", "static_path"), ("loginurl", "login_url"),
                ("ui_module", "ui_modules"), ("compress_responses", "compress_response"),
                ("websocket_ping_intervall", "websocket_ping_interval"),
                ("default_handler", "default_handler_args")):
            self.check_name(wrong, right)

    def test_names_of_other_frameworks(self):
        for wrong, right in (
                ("SECRET_KEY", "cookie_secret"), ("secret_key", "cookie_secret"),
                ("template_dir", "template_path"), ("template_folder", "template_path"),
                ("static_folder", "static_path"), ("STATIC_ROOT", "static_path"),
                ("static_url_path", "static_url_prefix"), ("csrf_protection", "xsrf_cookies")):
            self.check_name(wrong, right)

    def test_own_settings_are_not_doubted(self):
        application = Application([("/", Hello)], template_dir="x", own_settings=["template_dir"],
                                  database="sqlite://", blog_title="Mine", port=8888)
        self.assertEqual([], application.doubts)

    def test_wrong_types(self):
        for text, settings in (
                ("the setting debug must be True or False, not 'False'", {"debug": "False"}),
                ("the setting xsrf_cookies must be True or False, not 'yes'",
                 {"xsrf_cookies": "yes"}),
                ("the setting static_handler_args must be dict, not ['x']",
                 {"static_handler_args": ["x"]}),
                ("the setting websocket_ping_interval must be float or int, not '30'",
                 {"websocket_ping_interval": "30"}),
                ("the setting default_handler_class must be a class, not 'NotFound'",
                 {"default_handler_class": "NotFound"})):
            self.check(text, TypeError, Application, [("/", Hello)], **settings)

    def test_missing_folders(self):
        folder = os.path.join(tempfile.gettempdir(), "friendserve-no-such-folder")
        for name in ("template_path", "static_path"):
            self.check_doubt("%s: there is no folder %s (relative paths begin in %s)" % (
                name, folder, os.getcwd()), **{name: folder})

    def test_secrets_that_are_none(self):
        recipe = ('; make one with: python -c "import base64, os; '
                  'print(base64.b64encode(os.urandom(32)).decode())"')
        self.check_doubt("cookie_secret has only 6 characters, so it can be guessed" + recipe,
                         cookie_secret="secret")
        self.check_doubt("cookie_secret is one from published documentation, so it is not secret"
                         + recipe, cookie_secret="__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__")

    def test_every_setting_is_in_the_docstring(self):
        for name in ("cookie_secret", "own_settings", "websocket_max_message_size"):
            self.assertIn("\n        %s (default: " % name, Application.__doc__)


class ConstructionTest(MistakeCase):
    def check_pattern(self, text, pattern):
        self.check(text, ValueError, Application, [(pattern, Hello)])

    def test_patterns_of_other_frameworks(self):
        for pattern, name, wrong in (
                ("/user/<name>", "name", "<name>"), ("/user/<int:id>", "id", "<int:id>"),
                ("/user/{name}", "name", "{name}"), ("/user/{id:int}", "id", "{id:int}")):
            self.check_pattern(
                "%r matches only these characters: write (?P<%s>[^/]+) in place of %s" % (
                    pattern + "$", name, wrong), pattern)

    def test_patterns_that_no_path_matches(self):
        self.check_pattern("no path matches 'about$': paths begin with a slash, as in '/about$'",
                           "about")
        self.check_pattern("no path matches '^users/([0-9]+)$': paths begin with a slash, as in "
                           "'/users/([0-9]+)$'", "^users/([0-9]+)$")

    def test_patterns_that_may_match(self):
        for pattern in (".*", "/a{2}", r"/a/(?P<name>\w+)", "*"[:0] + r"\*", "(/.*)?", "[/]a",
                        "http://.*", r"/(?<!x)a", "|/a", "/{}", r"/\{name\}"):
            Application([(pattern, handler())])

    def test_a_pattern_that_is_no_expression(self):
        with self.assertRaises(ValueError) as caught:
            Application([("/a(", Hello)])
        self.assertIn("the pattern '/a(' is not a regular expression: ", str(caught.exception))

    def test_one_tuple_in_place_of_a_list(self):
        self.check("the handlers must be a list of rules, [(pattern, handler), ...]; '/' is not a "
                   "rule", TypeError, Application, ("/", Hello))

    def test_handlers_that_are_no_classes(self):
        self.check("URLSpec needs a handler for '/'", TypeError, Application, [("/", None)])
        self.check("the handler for '/$' must be a subclass of RequestHandler, not 5",
                   TypeError, Application, [("/", 5)])
        self.check("dict, the handler for '/$', is not a subclass of RequestHandler",
                   TypeError, Application, [("/", dict)])
        self.check("the handler for '/$' is a Hello object; pass the class Hello itself, since "
                   "each request gets its own object", TypeError, Application,
                   [("/", Hello.__new__(Hello))])
        self.check("a rule must be (pattern, handler[, kwargs[, name]]), not ('/',)",
                   ValueError, Application, [("/",)])

    def test_the_parts_of_a_rule_in_another_order(self):
        with self.assertRaises(TypeError) as caught:
            Application([(Hello, "/")])
        self.assertIn("the pattern of a rule must be a text or a compiled regular expression, not "
                      "<class ", str(caught.exception))
        self.check("the third part of the rule for '/$' must be a dict of the arguments of "
                   "initialize, not 'home'; a name comes fourth, or as URLSpec(pattern, handler, "
                   "name=...)", TypeError, Application, [("/", Hello, "home")])

    def test_arguments_of_run_elsewhere(self):
        application = Application([("/", Hello)])
        self.check("run() takes address=..., not host=...", TypeError, application.run,
                   host="0.0.0.0")
        self.check("debug is a setting: Application(handlers, debug=True).run()", TypeError,
                   application.run, debug=True)

    def test_a_handler_by_a_wrong_name(self):
        with self.assertRaises(ImportError) as caught:
            Application([("/", "friendserve.web.NoSuchHandler")])
        self.assertIn("NoSuchHandler", str(caught.exception))

    def test_arguments_of_initialize(self):
        class Entry(RequestHandler):
            def initialize(self, database):
                self.database = database

        rule = ". A rule is (pattern, handler, dict of the arguments of initialize)"
        self.check("Entry, the handler for '/$': initialize() got an unexpected keyword argument "
                   "'databse'" + rule, TypeError, Application, [("/", Entry, {"databse": 1})])
        with self.assertRaises(TypeError) as caught:
            Application([("/", Entry)])
        self.assertIn("Entry, the handler for '/$': initialize() ", str(caught.exception))


class CallbackTest(MistakeCase):
    def setUp(self):
        self.loop = IOLoop(make_current=False)
        self.addCleanup(self.loop.close)

    NONE = ("a callback must be a function or another callable, not None: pass the function "
            "itself, f and not f(), and its arguments after it")

    def test_none(self):
        self.check(self.NONE, TypeError, self.loop.add_callback, None)
        self.check(self.NONE, TypeError, self.loop.call_later, 1, None)
        self.check(self.NONE, TypeError, self.loop.add_timeout, self.loop.time(), None)
        self.check(self.NONE, TypeError, self.loop.spawn_callback, None)
        self.check(self.NONE, TypeError, PeriodicCallback(None, 100, self.loop).start)
        self.check("callback_time must be a positive number of milliseconds",
                   ValueError, PeriodicCallback, self.loop.stop, 0)

    def test_texts_and_numbers(self):
        self.check("a callback must be a function or another callable, not 'stop'",
                   TypeError, self.loop.add_callback, "stop")
        self.check("a callback must be a function or another callable, not 5",
                   TypeError, self.loop.call_later, 5, 5)


class RequestTest(HandlerCase):
    """Mistakes in handlers: the client gets 500, and the log says what to write."""

    def check_get(self, text, get, status=500):
        get.__name__ = str("get")
        Main = type(str("Main"), (RequestHandler,), {"get": get})
        self.serve_app([("/", Main)])
        response = self.ask()
        self.assertEqual(status, response.status)
        said = [str(record.exc_info[1]) if record.exc_info else record.message
                for record in self.records if record.name != "friendserve.access"]
        self.assertEqual([text], said)

    def test_returned_values(self):
        for value, what in (
                ("hello", "a str, which is not sent: call self.write(...) with it"),
                (bytearray(b"x"), "a bytearray, which is not sent: call self.write(...) with it"),
                ({"a": 1}, "a dict, which is not sent: call self.write(...) with it to send it as "
                           "JSON"),
                ([1], "a list, which is not sent: call self.write(...) with a dict that contains "
                      "it"),
                (5, "an int, which is not sent: call self.write(...) with it"),
                (("hello", 200), "a tuple, which is not sent: call self.write(...) with it")):
            self.check_get("Main.get returned " + what, lambda self, value=value: value)

    def test_a_constructor_that_does_not_call_the_one_of_its_base(self):
        class Own(RequestHandler):
            def __init__(self, application, request):
                pass

            def get(self):
                self.write("hello")

        self.serve_app([("/", Own)])
        self.assertEqual(500, self.ask().status)
        self.assertEqual([
            "Own.__init__ must call the __init__ of RequestHandler with (application, request, "
            "**kwargs); better define initialize() instead"],
            [str(record.exc_info[1]) for record in self.records if record.exc_info])

    def test_an_argument_of_a_json_body(self):
        class Main(RequestHandler):
            def post(self):
                self.write(self.get_argument("a"))

        self.serve_app([("/", Main)])
        response = self.ask("/", "POST", [("Content-Type", "application/json")], b'{"a": 1}')
        self.assertEqual(400, response.status)
        self.assertEqual(["400 POST / (127.0.0.1): HTTP 400: Bad Request (Missing argument a; the "
                          "body is JSON, which self.get_json() reads)"],
                         self.logged(logging.WARNING))

    def test_a_generator(self):
        def get(self):
            yield "hello"
        self.check_get("Main.get returned a generator, which does not run. If it is a coroutine, "
                       "decorate it with @gen.coroutine; to send pieces, call self.write and "
                       "self.flush", get)

    def test_a_value_after_the_response_is_a_warning_once(self):
        class Once(RequestHandler):
            def get(self):
                self.finish("done")
                return True

        class Later(RequestHandler):
            @asynchronous
            def get(self):
                self.finish("done")
                return "x"

        for Main, text in ((Once, "Once.get returned a bool"), (Later, "Later.get returned a str")):
            self.serve_app([("/", Main)])
            response = self.ask()
            self.assertEqual((200, b"done"), (response.status, response.body))
            self.assertEqual([text], [line.partition(",")[0] for line in self.logged()])
            self.ask()
            self.assertEqual([], self.logged())

    def test_what_our_own_methods_return_is_no_mistake(self):
        for get, status in ((lambda self: self.finish("x"), 200),
                            (lambda self: self.redirect("/"), 302),
                            (lambda self: self.flush(), 200),
                            (lambda self: self.write("x"), 200)):
            self.serve_handler(get)
            self.assertEqual(status, self.ask().status)
            self.assertEqual([], self.logged())

    def test_writing(self):
        self.check_get("write() takes bytes, text or a dict, not int", lambda self: self.write(5))
        self.check_get("write() takes bytes, text or a dict, not list; for security, wrap a list "
                       "in a dict", lambda self: self.write([1]))
        self.check_get("write() takes bytes, text or a dict, not NoneType",
                       lambda self: self.write(None))
        self.check_get("finish() called twice: does a callback finish a method that is not "
                       "@asynchronous?", lambda self: self.finish("a") and self.finish("b"), 200)
        self.check_get("write() after finish(): is this handler @asynchronous?",
                       lambda self: self.finish("a") and self.write("b"), 200)
        self.check_get("Main.get returned a function, which is not sent: call self.write(...) "
                       "with what it returns", lambda self: self.xsrf_form_html)

    def test_headers_and_cookies(self):
        self.check_get("the value of header X-A must be a string, an integer or a datetime, not "
                       "NoneType", lambda self: self.set_header("X-A", None))
        self.check_get("'a b' cannot be the name of a cookie: only letters, digits and "
                       "!#$%&'*+-.^_`|~: are allowed", lambda self: self.set_cookie("a b", "c"))

    def test_arguments(self):
        self.check_get("400 GET / (127.0.0.1): HTTP 400: Bad Request (Missing argument x)",
                       lambda self: self.get_argument("x"), 400)
        for name, advice in (("args", "self.get_argument(name)"),
                             ("form", "self.get_body_argument(name)"),
                             ("json", "self.get_json()"),
                             ("user_agent", 'self.request.headers["User-Agent"]')):
            self.check_get("a request has no attribute '%s': write %s" % (name, advice),
                           lambda self, name=name: self.write(getattr(self.request, name)))

    def test_names_of_urls(self):
        self.check_get("'no URL is named home'", lambda self: self.reverse_url("home"))

    def test_statuses(self):
        self.check_get("a status must be an integer, such as 404, not '404'",
                       lambda self: self.set_status("404"))
        self.check_get("a status must be an integer, such as 404, not '404'",
                       lambda self: self.send_error("404"))
        self.check_get("a status must be an integer, such as 404, not None",
                       lambda self: self.set_status(None))

        def raise_text(self):
            raise HTTPError("404")
        self.check_get("the status of an HTTPError must be an integer, such as 404, not '404'",
                       raise_text)

        def raise_class(self):
            raise HTTPError("the entry does not exist")
        self.check_get("the status of an HTTPError must be an integer, such as 404, not 'the entry "
                       "does not exist'", raise_class)

    def test_redirects(self):
        self.check_get("redirect() takes a URL, not None", lambda self: self.redirect(None))
        self.check_get("the status of a redirect must be 300 to 399, not 200",
                       lambda self: self.redirect("/", status=200))

    def test_missing_settings(self):
        self.check_get("You must define the 'cookie_secret' setting in your application to use "
                       "secure cookies", lambda self: self.set_secure_cookie("user", "7"))
        self.check_get("You must define the 'cookie_secret' setting in your application to use "
                       "secure cookies", lambda self: self.get_secure_cookie("user"))
        self.check_get("You must define the 'login_url' setting in your application to use "
                       "@friendserve.web.authenticated", lambda self: self.get_login_url())
        self.check_get("You must define the 'static_path' setting in your application to use "
                       "static_url", lambda self: self.write(self.static_url("a.css")))

    def test_initialize_that_raises(self):
        class Main(RequestHandler):
            def initialize(self):
                raise KeyError("database")

        self.serve_app([("/", Main)])
        response = self.ask()
        self.assertEqual(500, response.status)
        self.assertIn(b"500: Internal Server Error", response.body)
        self.assertEqual(["Uncaught exception GET / (127.0.0.1)"],
                         [line.partition("\n")[0] for line in self.logged()])
        self.assertEqual(1, len(self.logged(access=True)))
        self.serve_app([("/", Main)], serve_traceback=True)
        self.assertIn(b"KeyError: 'database'", self.ask().body)


class TemplateTest(MistakeCase):
    def check_template(self, text, source):
        self.check("%s at page.html:1" % text, template.ParseError, template.Template,
                   source, "page.html")

    def test_words_of_other_languages(self):
        self.check_template("unknown directive endfor: every block ends with {% end %}",
                            "{% for a in b %}{% endfor %}")
        self.check_template("unknown directive endif: every block ends with {% end %}",
                            "{% if a %}{% endif %}")
        self.check_template("unknown directive endblock: every block ends with {% end %}",
                            "{% block a %}{% endblock %}")
        self.check_template("unknown directive elseif: write {% elif %}",
                            "{% if a %}{% elseif b %}{% end %}")
        self.check_template("unknown directive csrf_token: write {% module xsrf_form_html() %}",
                            "{% csrf_token %}")
        self.check_template("unknown directive load: write {% import %}", "{% load static %}")
        self.check_template("unknown directive url: write {{ reverse_url(name) }}",
                            "{% url 'home' %}")
        self.check_template("unknown directive macro: write a UI module, or {% set name = value %}",
                            "{% macro a() %}")
        self.check_template("unknown directive with: write {% set name = value %}",
                            "{% with a=1 %}")
        self.check_template("unknown directive filter: write {% apply function %}",
                            "{% filter upper %}")

    def test_filters(self):
        for source, advice in (
                ("{{ x | safe }}", "x | safe: there are no filters: write {% raw x %}"),
                ("{{ x|escape }}", "x|escape: there are no filters: values are escaped already"),
                ("{{ x | upper }}", "x | upper: there are no filters: write {{ upper(x) }}, with a "
                                    "function"),
                ("{{ x | default('a') }}", "x | default('a'): there are no filters: write "
                                           "{{ default(x) }}, with a function")):
            self.check_template(advice, source)
        # An expression of Python.
        self.assertEqual(b"3", template.Template("{{ 1 | 2 }}").generate())
        self.assertEqual(b"3", template.Template("{{ a | b }}").generate(a=1, b=2))

    def test_forgotten_parts(self):
        self.check_template("missing {% end %} for {% if %}", "{% if a %}x")
        self.check_template("{% end %} without a block to end", "x{% end %}")
        self.check_template("missing }} for {{", "{{ a")
        self.check_template("{% include %} needs an argument", "{% include %}")
        self.check_template("{% else %} must be inside for or if or try or while",
                            "{% else %}")
        self.check_template("{% break %} outside of a loop", "{% break %}")


class ListenTest(MistakeCase):
    def test_a_port_that_is_taken(self):
        sock = bind_sockets(0, "127.0.0.1")[0]
        self.addCleanup(sock.close)
        port = sock.getsockname()[1]
        with self.assertRaises(socket.error) as caught:
            Application([("/", Hello)]).listen(port, address="127.0.0.1")
        self.assertEqual("port %d of 127.0.0.1 is taken: another program listens there, perhaps an "
                         "earlier run of this one; stop it, or choose another port" % port,
                         caught.exception.strerror)

    def test_an_address_of_another_machine(self):
        with self.assertRaises(socket.error) as caught:
            bind_sockets(0, "192.0.2.1")
        self.assertEqual("192.0.2.1 is not an address of this machine: choose one that is, such as "
                         "127.0.0.1, or none for every interface", caught.exception.strerror)

    def run_hello(self, arguments):
        """(status, stderr) of a program that cannot listen."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        with open(os.path.join(folder, "hello.py"), "w") as program:
            program.write("from friendserve.web import Application\n"
                          "Application([]).run(%s)\n" % arguments)
        process = subprocess.Popen([sys.executable, "hello.py"], cwd=folder,
                                   stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=ROOT))
        return process.communicate()[1].decode("utf-8"), process.returncode

    def test_run_says_it_in_one_line(self):
        sock = bind_sockets(0, "127.0.0.1")[0]
        self.addCleanup(sock.close)
        port = sock.getsockname()[1]
        self.assertEqual(("cannot listen: port %d of 127.0.0.1 is taken: another program listens "
                          "there, perhaps an earlier run of this one; stop it, or choose another "
                          "port\n" % port, 1), self.run_hello(port))
        said, status = self.run_hello("99999")
        self.assertEqual(("cannot listen: ", 1, 1), (said[:15], said.count("\n"), status))
        self.assertIn("65535", said)
