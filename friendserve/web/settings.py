"""The settings of an Application: one table, used to check and to document them."""
from __future__ import absolute_import, division, print_function

import collections
import difflib
import os
import textwrap

import six

_NUMBER = six.integer_types + (float,)
_TEXT = (six.text_type, bytes)
_ANY = (object,)

#: `types` are the classes that a value may have; None is always allowed, and means the default.
Setting = collections.namedtuple("Setting", "name types default feature text")

#: Every setting that this package reads, in the order of the features that they belong to.
SETTINGS = tuple(Setting(*row) for row in (
    ("debug", (bool, int), False, "development",
     "turns on autoreload and serve_traceback, turns off compiled_template_cache and "
     "static_hash_cache, unless these are given, and watches for handlers that block or never end"),
    ("autoreload", (bool, int), False, "development",
     "restart the program when one of its files has changed"),
    ("serve_traceback", (bool, int), False, "development",
     "show the traceback of an exception to the client"),
    ("log_function", _ANY, None, "requests",
     "log_function(handler), called instead of writing to the access log"),
    ("compress_response", (bool, int), False, "requests",
     "compress text with gzip for clients that accept it"),
    ("gzip", (bool, int), False, "requests", "the older name of compress_response"),
    ("default_handler_class", (type,), None, "requests",
     "the handler for paths that match no pattern; without it, they get 404"),
    ("default_handler_args", (dict,), {}, "requests",
     "the keyword arguments for initialize of default_handler_class"),
    ("template_path", _TEXT, None, "templates",
     "the folder of the templates; by default, that of the handler's file"),
    ("template_loader", _ANY, None, "templates",
     "a loader to use instead of a template.Loader for template_path"),
    ("autoescape", _TEXT, "xhtml_escape", "templates",
     "the name of the function that escapes the values in templates; None: no escaping"),
    ("template_whitespace", _TEXT, None, "templates",
     "all, single or oneline; by default, it depends on the extension of the file"),
    ("compiled_template_cache", (bool, int), True, "templates",
     "compile each template only once, even if its file changes"),
    ("ui_modules", _ANY, {}, "templates",
     "a module, a dict, or a list of them, with the UIModule classes for templates"),
    ("ui_methods", _ANY, {}, "templates",
     "a module, a dict, or a list of them, with functions that templates call"),
    ("static_path", _TEXT, None, "static files", "the folder whose files are served"),
    ("static_url_prefix", _TEXT, "/static/", "static files",
     "the URL path below which they are served"),
    ("static_handler_class", (type,), None, "static files",
     "the handler that serves them; StaticFileHandler by default"),
    ("static_handler_args", (dict,), {}, "static files",
     "further keyword arguments for initialize of that handler"),
    ("static_hash_cache", (bool, int), True, "static files",
     "keep the versions for static_url, and compute one again only if its file changes"),
    ("cookie_secret", _TEXT + (dict,), None, "sign-in",
     "signs secure cookies: a long random text that only the servers know, or a dict {version: "
     "text}"),
    ("key_version", six.integer_types, None, "sign-in",
     "which version signs new cookies, if cookie_secret is a dict"),
    ("login_url", _TEXT, None, "sign-in",
     "where `authenticated` sends users who must sign in"),
    ("xsrf_cookies", (bool, int), False, "protection",
     "refuse requests that change something and lack the XSRF token"),
    ("xsrf_cookie_version", six.integer_types, 2, "protection", "the form of the token: 1 or 2"),
    ("xsrf_cookie_name", _TEXT, "_xsrf", "protection", "the name of the cookie with the token"),
    ("xsrf_cookie_kwargs", (dict,), {}, "protection", "further arguments of set_cookie for it"),
    ("cross_origin_protection", (bool, list, tuple) + _TEXT, False, "protection",
     "refuse requests that change something and come from another site, by Sec-Fetch-Site and "
     "Origin; True, or an origin or a list of origins to trust"),
    ("websocket_ping_interval", _NUMBER, None, "WebSockets",
     "seconds between pings; None: no pings"),
    ("websocket_ping_timeout", _NUMBER, None, "WebSockets",
     "seconds to wait for the answer to a ping"),
    ("websocket_max_message_size", six.integer_types, 10 << 20, "WebSockets",
     "the largest message to accept, in bytes"),
    ("websocket_max_queue_size", six.integer_types, None, "WebSockets",
     "the most bytes that may wait to be sent"),
    ("own_settings", (list, tuple, set, frozenset), (), "settings",
     "names of the application's own settings, so that they do not count as misspellings"),
))

_BY_NAME = dict((setting.name, setting) for setting in SETTINGS)

#: What other frameworks call settings that exist here.
_ELSEWHERE = {
    "csrf": "xsrf_cookies", "csrf_cookies": "xsrf_cookies", "csrf_enabled": "xsrf_cookies",
    "csrf_protect": "xsrf_cookies", "csrf_protection": "xsrf_cookies", "xsrf": "xsrf_cookies",
    "xsrf_protection": "xsrf_cookies",
    "secret": "cookie_secret", "secret_key": "cookie_secret", "session_secret": "cookie_secret",
    "template_dir": "template_path", "template_folder": "template_path",
    "templates": "template_path", "template_directory": "template_path",
    "templates_dir": "template_path",
    "static": "static_path", "static_dir": "static_path", "static_directory": "static_path",
    "static_folder": "static_path", "static_root": "static_path", "static_files": "static_path",
    "static_url": "static_url_prefix", "static_url_path": "static_url_prefix",
    "auto_reload": "autoreload", "reload": "autoreload",
    "signin_url": "login_url", "login_view": "login_url",
}

_FOLDERS = ("template_path", "static_path")

#: Secrets from documentation and examples that are widely copied.
_PUBLISHED = frozenset([
    "__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__",
    "11oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
    "32oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
    "43oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
    "61oETzKXQAGaYdkL5gEmGeJJFuYh7EQnp2XdTP1o/Vo=",
    "bZJc2sWbQLKos6GkHn/VB9oXwQt8S0R0kRvJ5/xJ89E=",
])
_MIN_SECRET = 16

_A_SECRET = ('; make one with: python -c "import base64, os; '
             'print(base64.b64encode(os.urandom(32)).decode())"')


def check_settings(settings):
    """Raise TypeError for a setting of a wrong type; return a list of texts about those that look
    like mistakes."""
    for name in sorted(settings):
        if name in _BY_NAME:
            _check_type(_BY_NAME[name], settings[name])
    own = settings.get("own_settings") or ()
    doubts = [_doubt_name(name) for name in sorted(settings)
              if name not in _BY_NAME and name not in own]
    doubts.extend(_doubt_folder(name, settings.get(name)) for name in _FOLDERS)
    secret = settings.get("cookie_secret")
    doubts.extend(_doubt_secret(text) for text in (
        secret.values() if isinstance(secret, dict) else [secret]))
    return [doubt for doubt in doubts if doubt]


def _check_type(setting, value):
    is_switch = setting.types == (bool, int)
    if value is None or isinstance(value, setting.types) and (not is_switch or value in (0, 1)):
        return
    if is_switch:
        expected = "True or False"
    else:
        names = sorted(set({"unicode": "str", "long": "int"}.get(one.__name__, one.__name__)
                           for one in setting.types))
        expected = {"type": "a class"}.get(names[0]) or " or ".join(names)
    raise TypeError("the setting %s must be %s, not %r" % (setting.name, expected, value))


def _doubt_name(name):
    near = _ELSEWHERE.get(name.lower())
    if near is None:
        near = (difflib.get_close_matches(name.lower(), _BY_NAME, 1, 0.82) or [None])[0]
    if near is None:
        return None
    return ("there is no setting %s, so it has no effect: did you mean %s? (If it is your own, name"
            " it in the setting own_settings)" % (name, near))


def _doubt_folder(name, path):
    if not path or os.path.isdir(path):
        return None
    return "%s: there is no folder %s (relative paths begin in %s)" % (
        name, os.path.abspath(path), os.getcwd())


def _doubt_secret(secret):
    if not secret:
        return None
    if isinstance(secret, bytes):
        secret = secret.decode("latin-1")
    if secret in _PUBLISHED:
        return ("cookie_secret is one from published documentation, so it is not secret"
                + _A_SECRET)
    if len(secret) < _MIN_SECRET:
        return "cookie_secret has only %d characters, so it can be guessed%s" % (
            len(secret), _A_SECRET)
    return None


def describe_settings():
    """The table as text, for the docstring of a class."""
    lines = []
    feature = None
    for setting in SETTINGS:
        if setting.feature != feature:
            feature = setting.feature
            lines.append("\n    %s\n" % feature)
        lines.append("        %s (default: %r)\n%s\n" % (
            setting.name, setting.default, textwrap.fill(
                setting.text, 96, initial_indent=" " * 12, subsequent_indent=" " * 12)))
    return "".join(lines)
