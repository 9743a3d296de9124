# -*- coding: utf-8 -*-
"""The page that developers see for an exception, with the setting `debug` or `serve_traceback`.

    html = debug_page(*sys.exc_info(), request=request)

It shows the template's source for an error in a template, the traceback with the source around
each line, the exceptions that led to this one, the request and the settings; for a path that
matches no pattern, the patterns. Secrets are left out: credentials, and the values of cookies and
of the program's variables.
"""
from __future__ import absolute_import, division, print_function

import difflib
import linecache
import os
import re
import sys
import traceback
import unicodedata

import six

from friendserve.escape import to_unicode, url_unescape, xhtml_escape
from friendserve.protocol.cookies import decode_signed_value
from friendserve.template import ParseError
from friendserve.web.errors import HTTPError

#: Lines of source shown before and after the one that failed.
CONTEXT = 4

#: Frames shown of a longer traceback, half of them from each end. Endless recursion has a thousand.
MAX_FRAMES = 40

#: Characters shown of a header, an argument or a message.
MAX_TEXT = 2000

#: Headers whose values are secrets.
SECRET = frozenset(["Authorization", "Cookie", "Proxy-Authorization", "X-Csrftoken",
                    "X-Xsrftoken"])

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: Where a path that matches no pattern is refused.
_APPLICATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "application.py")

_STYLE = u"""
:root{--paper:#fff;--ink:#1c2330;--faint:#667085;--line:#e3e7ee;--code:#f6f8fb;--hot:#b42318;
--hotbg:#fef0ee}
@media(prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e6eaf1;--faint:#93a0b4;--line:#2a3240;
--code:#1a202a;--hot:#ff8a7a;--hotbg:#3a1d1a}}
*{box-sizing:border-box}
:focus-visible{outline:3px solid var(--hot);outline-offset:-3px}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem}
header{padding-bottom:0}
main{padding-top:0}
h1{margin:0;font-size:1.5rem;line-height:1.3;color:var(--hot);overflow-wrap:anywhere}
h2{margin:2rem 0 .5rem;font-size:1.1rem;overflow-wrap:anywhere}
.where,.message{margin:.25rem 0 0;overflow-wrap:anywhere}
.message{white-space:pre-wrap;font-size:1.1rem;unicode-bidi:plaintext;width:fit-content}
.where,summary small,th{color:var(--faint)}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;overflow:hidden}
summary{padding:.5rem .75rem;cursor:pointer;overflow-wrap:anywhere}
summary b{unicode-bidi:isolate}
pre{margin:0;padding:.5rem 0;background:var(--code);overflow-x:auto;
font:13px/1.55 ui-monospace,Menlo,Consolas,monospace;tab-size:4}
pre span{display:block;padding:0 .75rem;min-width:max-content}
pre.text{padding:.5rem .75rem;user-select:all}
.ours summary{color:var(--faint);font-size:.85rem}
pre .hot{background:var(--hotbg);color:var(--hot);font-weight:600}
pre i{display:inline-block;width:3.5em;color:var(--faint);font-style:normal;font-weight:400}
table{border-collapse:collapse;width:100%;font-size:.9rem;table-layout:fixed}
th,td{padding:.3rem .5rem .3rem 0;border-top:1px solid var(--line);text-align:left;
vertical-align:top;font-weight:400;overflow-wrap:anywhere;unicode-bidi:plaintext}
th{width:30%}
footer{max-width:68rem;margin:0 auto;padding:1rem;color:var(--faint);font-size:.85rem}
"""


def debug_page(typ, value, tb, request, handler=None):
    """The page (unicode) for an exception raised while `request` was being answered, by `handler`
    if that is known."""
    title = u"%s on %s" % (typ.__name__, _short(_readable(request.path)))
    parts = [u"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
             u"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
             u"<meta name=\"robots\" content=\"noindex\">",
             u"<title>", _escape(title), u"</title><style>", _STYLE, u"</style></head><body>",
             u"<header><h1>", _escape(typ.__name__), u"</h1><p class=\"message\">",
             _escape(_message(value)), u"</p><p class=\"where\">",
             _escape(request.method), u" ", _isolate(_short(_target(request))),
             u"</p></header><main>"]
    if handler is not None:
        parts += _template_source(handler, value, tb)
        parts += _patterns(handler, value, tb)
    chain = list(_chain(typ, value, tb))
    for number, (reason, typ, value, tb) in enumerate(chain):
        if number:
            parts += [u"<h2>", _escape(reason), u" ", _escape(typ.__name__),
                      u"</h2><p class=\"message\">", _escape(_message(value)), u"</p>"]
        else:
            parts.append(u"<h2>Traceback, most recent call first</h2>")
        parts += _frames(tb, open_last=not number)
    parts += _as_text(*chain[0][1:])
    parts += _request_tables(request)
    if handler is not None:
        parts += _cookies(request, handler.settings)
        parts += _table(u"Settings", [
            (name, u"(not shown)" if _is_secret(name) else repr(setting))
            for name, setting in sorted(handler.settings.items())])
    parts += [u"</main><footer>You are seeing this page because the setting debug or "
              u"serve_traceback is on. Python ", _escape(sys.version.split()[0]),
              u"</footer></body></html>"]
    return u"".join(parts)


def _target(request):
    """The path and the query, without secrets."""
    try:
        query = [u"%s=%s" % (_decode(name), u"(not shown)" if _is_secret(name) else _decode(value))
                 for name, values in sorted(request.query_arguments.items()) for value in values]
    except Exception:
        return request.path
    return u"?".join([_readable(request.path)] + [u"&".join(query)] * bool(query))


_QUOTED = re.compile(u"(?:%[89A-Fa-f][0-9A-Fa-f])+")


def _readable(path):
    """A path in which characters outside of ASCII are not quoted, unless they are invisible."""
    def unquote(match):
        text = url_unescape(match.group(), plus=False)
        is_visible = all(unicodedata.category(one)[0] not in "CZ" for one in text)
        return text if is_visible and u"\ufffd" not in text else match.group()
    return _QUOTED.sub(unquote, _decode(path))


#: A dot or underscore counts in "name.html", not at the end of a sentence.
_SEPARATORS = re.compile(u"([/\\\\?&=]|[._](?=[A-Za-z]))")
_IS_FOREIGN = re.compile(u"[^\x00-\x7f]").search


def _isolate(text):
    """The HTML of a path or URL. Each part outside of ASCII is isolated: two parts in Hebrew would
    be shown in reverse order."""
    return u"".join(u"<bdi>%s</bdi>" % _escape(part) if _IS_FOREIGN(part) else _escape(part)
                    for part in _SEPARATORS.split(_decode(text)))


def _chain(typ, value, tb):
    """(how it relates to the one before, type, value, traceback) of an exception and of those that
    led to it."""
    reason, seen = u"", set()
    while value is not None and id(value) not in seen and len(seen) < 10:
        seen.add(id(value))
        yield reason, typ, value, tb
        cause = getattr(value, "__cause__", None)
        reason = u"Caused by"
        if cause is None and not getattr(value, "__suppress_context__", False):
            cause = getattr(value, "__context__", None)
            reason = u"Raised while handling"
        typ, value, tb = type(cause), cause, getattr(cause, "__traceback__", None)


def _frames(tb, open_last):
    frames = traceback.extract_tb(tb)
    frames = [(to_unicode(frame[0]), frame[1], to_unicode(frame[2])) for frame in frames]
    left_out = len(frames) - MAX_FRAMES
    frames.reverse()
    parts = []
    opened = False
    for number, (path, line, name) in enumerate(frames):
        if left_out > 0 and number == MAX_FRAMES // 2:
            parts.append(u"<p class=\"where\">%d calls not shown</p>" % left_out)
        if left_out > 0 and MAX_FRAMES // 2 <= number < MAX_FRAMES // 2 + left_out:
            continue
        # Most people look for the last call in their own program.
        is_own = not path.startswith(_HERE)
        is_open = open_last and is_own and not opened
        opened = opened or is_open
        parts += [u"<details open>" if is_open else u"<details>" if is_own
                  else u"<details class=\"ours\">", u"<summary><b>", _escape(name),
                  u"</b> <small>", _isolate(path), u":%d</small></summary>" % line,
                  _source(path, line), u"</details>"]
    return parts


def _template_source(handler, value, tb):
    """The source of the template with the error, around its line."""
    if isinstance(value, ParseError):
        name, line = value.filename, value.lineno
    else:
        name, line = _template_line(tb)
    if name is None:
        return []
    try:
        loader = handler.application.get_template_loader(handler.get_template_path(), handler)
        if hasattr(loader, "root"):
            with open(os.path.join(loader.root, name), "rb") as source:
                lines = _decode(source.read()).splitlines()
        else:
            lines = _decode(loader.dict[name]).splitlines()
    except Exception:
        return []       # a template from elsewhere; the traceback shows enough
    return [u"<h2>Template ", _isolate(name), u", line %d</h2>" % line,
            _rows(lambda number: lines[number - 1] if number <= len(lines) else u"", line)]


_COMMENT = re.compile(r"# (\S+?):(\d+)(?: \(via .*\))?$")


def _template_line(tb):
    """(template, line) of the last call in a template, or (None, 0)."""
    for path, line, _, _ in reversed(traceback.extract_tb(tb)):
        if path.endswith(".generated.py"):
            # The comment that the compiler put after each statement.
            frame = [one for one in _walk(tb) if one.tb_frame.f_code.co_filename == path][-1]
            text = linecache.getline(path, line, frame.tb_frame.f_globals)
            match = _COMMENT.search(_decode(text).rstrip())
            if match is not None:
                return match.group(1), int(match.group(2))
    return None, 0


def _walk(tb):
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _patterns(handler, value, tb):
    """The patterns of the application, if none of them matched the path, the nearest first."""
    if not isinstance(value, HTTPError) or value.status_code != 404 \
            or list(_walk(tb))[-1].tb_frame.f_code.co_filename != _APPLICATION:
        return []
    path = handler.request.path
    rows = []
    for host, rules in handler.application.handlers:
        for rule in rules:
            pattern = rule.regex.pattern if hasattr(rule, "regex") else repr(rule.matcher)
            nearness = difflib.SequenceMatcher(None, path, pattern.rstrip("$")).ratio()
            rows.append((nearness, pattern, getattr(rule.target, "__name__", repr(rule.target))
                         + ("" if host.pattern == ".*$" else ", for hosts " + host.pattern)))
    rows.sort(key=lambda row: -row[0])
    if not rows:
        return [u"<h2>The application has no handlers</h2>"]
    return _table(u"No pattern matches %s; the nearest first" % _short(path),
                  [row[1:] for row in rows])


def _cookies(request, settings):
    """The cookies; signed ones are shown decoded."""
    rows = []
    try:
        cookies = sorted(request.cookies.items())
    except Exception:
        return []
    for name, cookie in cookies:
        said = None
        if settings.get("cookie_secret"):
            said = decode_signed_value(settings["cookie_secret"], name, cookie.value)
        rows.append((name, u"(%d characters, not shown)" % len(cookie.value) if said is None
                     else u"signed: " + _decode(said)))
    return _table(u"Cookies", rows)


def _as_text(typ, value, tb):
    text = _decode("".join(traceback.format_exception(typ, value, tb)))
    return [u"<details><summary>As text, to copy</summary><pre class=\"text\">", _escape(text),
            u"</pre></details>"]


def _source(path, line):
    return _rows(lambda number: linecache.getline(path, number), line)


def _rows(get_line, line):
    rows = []
    for number in range(max(1, line - CONTEXT), line + CONTEXT + 1):
        text = get_line(number)
        if not text and number > line:
            continue
        rows.append(u"<span%s><i>%d</i>%s</span>" % (
            u" class=\"hot\"" if number == line else u"", number,
            _escape(_decode(text).rstrip()) or u" "))
    return u"<pre>%s</pre>" % u"".join(rows) if rows else u""


def _request_tables(request):
    rows = [(u"Method", request.method), (u"Path", request.path), (u"Version", request.version),
            (u"Client", request.remote_ip)]
    parts = _table(u"Request", rows)
    parts += _table(u"Headers", [
        (name, u"(%d characters, not shown)" % len(value) if name in SECRET else value)
        for name, value in sorted(request.headers.get_all())])
    try:
        arguments = sorted((name, value) for name, values in request.arguments.items()
                           for value in values)
    except Exception as error:
        arguments = [(u"", u"cannot be decoded: %s" % error)]
    hidden = [(name, u"(not shown)" if _is_secret(name) else value) for name, value in arguments]
    return parts + _table(u"Arguments", hidden)


def _is_secret(name):
    name = _decode(name).lower()
    return any(word in name for word in ("pass", "secret", "token", "_xsrf", "key", "credential"))


def _table(title, rows):
    if not rows:
        return []
    return [u"<h2>", _escape(title), u"</h2><table>"] + [
        u"<tr><th scope=\"row\">%s</th><td>%s</td></tr>" % (_escape(name), _escape(_short(value)))
        for name, value in rows] + [u"</table>"]


def _message(value):
    # On Python 2, a message in unicode may not be convertible to str, nor one in UTF-8 to unicode.
    for kind in (str, six.text_type):
        try:
            return _short(kind(value))
        except Exception:
            continue
    return u"(cannot be shown)"


def _short(text):
    text = _decode(text)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + u"…"


def _decode(text):
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    return u"" if text is None else to_unicode(text)


def _escape(text):
    return xhtml_escape(_decode(text))
