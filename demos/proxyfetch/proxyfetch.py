"""Pages made from another service's data: each request fetches from a JSON API before it answers.

    python demos/proxyfetch/proxyfetch.py --port=8888

While it waits for the service, this process serves other requests. By default a small service of
this kind runs on the next port; --service names another, whose ``/v2/feed/NAME`` must return
``{"name": ..., "entries": [{"from": ..., "body": ...}, ...]}``.
"""
from __future__ import absolute_import, division, print_function

import sys

from six.moves.urllib.parse import urlsplit

from friendserve.escape import json_decode
from friendserve.httpclient import AsyncHTTPClient, HTTPTimeoutError
from friendserve.ioloop import IOLoop
from friendserve.log import define_logging_options, gen_log
from friendserve.options import Error, OptionParser
from friendserve.template import Template
from friendserve.web import Application, HTTPError, RequestHandler, asynchronous

#: Seconds to wait for the service.
PATIENCE = 5

PAGE = Template(u"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>
:root { --paper: #f6f8fb; --ink: #1c2430; --soft: #5c6878; --accent: #0b6e99; --card: #fff;
        --line: #dde3ea }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12171d; --ink: #e6ebf1; --soft: #9aa8b8; --accent: #66c2e8; --card: #1b222b;
          --line: #2b3541 }
}
* { box-sizing: border-box }
body { max-width: 42rem; margin: 0 auto; padding: 2rem 1rem; background: var(--paper);
       color: var(--ink); font: 1.1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0; font-size: clamp(1.7rem, 6vw, 2.3rem); line-height: 1.2 }
p { color: var(--soft) }
ul { margin: 1.5rem 0; padding: 0; list-style: none }
li { margin-bottom: .75rem; padding: .9rem 1.1rem; border: 1px solid var(--line);
     border-radius: .75rem; background: var(--card) }
nav { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; margin-top: 2rem }
a { color: var(--accent); text-underline-offset: .18em }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if message %}<p>{{ message }}</p>{% end %}
{% if lines %}<ul>{% for name, text in lines %}
<li><b>{{ name }}</b> {{ text }}</li>{% end %}
</ul>{% end %}
<nav aria-label="Feeds"><span>Feeds:</span>
{% for feed in feeds %}<a href="/feed/{{ feed }}">{{ feed }}</a> {% end %}</nav>
</body>
</html>
""", autoescape="xhtml_escape")


class PageHandler(RequestHandler):
    def show(self, title, message="", lines=()):
        self.finish(PAGE.generate(title=title, message=message, lines=lines, feeds=sorted(FEEDS)))

    def write_error(self, status_code, **kwargs):
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        message = error.log_message if isinstance(error, HTTPError) else None
        self.show("%d: %s" % (status_code, self._reason), message or "This page is not available.")


class HomeHandler(PageHandler):
    def get(self):
        self.show("Feeds from elsewhere")


class FeedHandler(PageHandler):
    @asynchronous
    def get(self, name):
        url = "%s/v2/feed/%s" % (self.settings["service"], name)
        AsyncHTTPClient().fetch(url, self.async_callback(self.on_response, name),
                                request_timeout=PATIENCE)

    def on_response(self, name, response):
        if response.code == 404:
            raise HTTPError(404, "There is no feed with that name.")
        if response.error:
            gen_log.warning("the service failed: %s", response.error)
            if isinstance(response.error, HTTPTimeoutError):
                raise HTTPError(504, "The service took too long. Please try again later.")
            raise HTTPError(502, "The service is not working. Please try again later.")
        try:
            entries = json_decode(response.body)["entries"]
            lines = [(entry["from"], entry["body"]) for entry in entries]
        except (KeyError, TypeError, ValueError):
            raise HTTPError(502, "The service sent an invalid response.")
        count = "1 entry" if len(lines) == 1 else "%d entries" % len(lines)
        self.show("The feed of " + name, count, lines)


# The built-in service

FEEDS = {
    "ada": [{"from": "Ada", "body": "Notes on the engine are out."},
            {"from": "Charles", "body": "I like it."}],
    "grace": [{"from": "Grace", "body": "Found a moth in the relay."}],
}


class ServiceHandler(RequestHandler):
    @asynchronous
    def get(self, name):
        if name not in FEEDS:
            raise HTTPError(404)
        # Slowly, like a real service.
        IOLoop.current().call_later(self.settings["delay"], self.finish,
                                    {"name": name, "entries": FEEDS[name]})


def make_service(delay=0.3):
    return Application([(r"/v2/feed/([a-z]+)", ServiceHandler)], delay=delay)


def make_application(service):
    return Application([(r"/", HomeHandler), (r"/feed/([a-z]+)", FeedHandler)],
                       default_handler_class=NoPageHandler, service=service.rstrip("/"))


class NoPageHandler(PageHandler):
    def prepare(self):
        raise HTTPError(404, "There is no such page.")


def main():
    options = OptionParser()
    options.define("port", default=8888, help="the port to listen on")
    options.define("service", type=str, metavar="URL",
                   help="the JSON service (default: the built-in one, on the next port)")
    define_logging_options(options)
    try:
        options.parse_program(arguments=False)
        service = options.service
        if service:
            if urlsplit(service).scheme not in ("http", "https"):
                raise ValueError("--service must be an http:// or https:// URL")
        else:
            make_service().listen(options.port + 1, address="127.0.0.1")
            service = "http://127.0.0.1:%d" % (options.port + 1)
        make_application(service).listen(options.port, address="127.0.0.1")
    except EnvironmentError as error:
        sys.exit("proxyfetch.py: %s" % error.strerror)
    except (Error, ValueError) as error:
        sys.exit(str(error))
    print("Feeds from %s at http://127.0.0.1:%d/ (Ctrl-C to stop)" % (service, options.port))
    sys.stdout.flush()
    try:
        IOLoop.instance().start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
