"""Conversion of text for HTML, JSON and URLs, and between bytes and text.

Text is encoded as UTF-8 wherever it becomes bytes.
"""
from __future__ import absolute_import, division, print_function

import codecs
import json
import re

import six
from six.moves import html_entities
from six.moves.urllib.parse import quote, quote_plus, unquote_to_bytes

#: As in `friendserve.util`, for programs written for Tornado; `_unicode` is that of release 1.
unicode_type = six.text_type
basestring_type = six.string_types[0]

__all__ = ["json_decode", "json_encode", "linkify", "native_str", "parse_qs_bytes",
           "recursive_unicode", "squeeze", "to_basestring", "to_unicode", "url_escape",
           "url_unescape", "utf8", "xhtml_escape", "xhtml_unescape"]

# Python imports a codec when it is first used: perhaps when no file can be opened any more.
for _name in ("ascii", "latin-1"):
    codecs.lookup(_name)


def utf8(value):
    """`value` as bytes: text is encoded, bytes and None are returned unchanged.

    Raises TypeError for anything else.
    """
    if isinstance(value, unicode_type):
        return value.encode("utf-8")
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError("expected text, bytes or None, not %s" % type(value).__name__)


_find_surrogate = re.compile(b"\xed[\xa0-\xbf]").search


def to_unicode(value):
    """`value` as text: bytes are decoded as UTF-8, text and None are returned unchanged.

    Raises TypeError for anything else, UnicodeDecodeError for bytes that are not valid UTF-8.
    """
    if isinstance(value, bytes):
        if str is bytes and b"\xed" in value and _find_surrogate(value):  # version: py2
            # Python 2 decodes surrogates, which RFC 3629 3 forbids.
            raise UnicodeDecodeError("utf-8", value, 0, 1, "it contains surrogates")
        return value.decode("utf-8")
    if value is None or isinstance(value, unicode_type):
        return value
    raise TypeError("expected text, bytes or None, not %s" % type(value).__name__)


_unicode = to_unicode

#: Converts to a native string: `utf8` on Python 2 and `to_unicode` on Python 3.
native_str = utf8 if str is bytes else to_unicode  # version: py2


def to_basestring(value):
    """`value` as text, except that on Python 2 bytes stay bytes: both are strings there, and many
    functions return the type they are given."""
    return value if isinstance(value, str) else to_unicode(value)


def recursive_unicode(obj):
    """A copy of nested lists, tuples and dicts in which all bytes, including keys, are text."""
    if isinstance(obj, dict):
        return dict((recursive_unicode(key), recursive_unicode(value))
                    for key, value in obj.items())
    if isinstance(obj, (list, tuple)):
        items = [recursive_unicode(item) for item in obj]
        return items if isinstance(obj, list) else tuple(items)
    return to_unicode(obj) if isinstance(obj, bytes) else obj


# HTML

def xhtml_escape(value):
    """`value` escaped for the text or a quoted attribute value of an HTML or XML document.

    ``& < > " '`` become ``&amp; &lt; &gt; &quot; &#39;``.
    """
    if value.__class__ is not six.text_type:
        value = _to_plain(_to_string(value))
    # `in` is much faster than `replace`, and most text contains none of these.
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if ">" in value:
        value = value.replace(">", "&gt;")
    if '"' in value:
        value = value.replace('"', "&quot;")
    if "'" in value:
        value = value.replace("'", "&#39;")
    return value


def _to_string(value):
    if value is None:
        raise TypeError("expected text or bytes, not None")
    return to_basestring(value)


def _to_plain(value):
    """`value`, a string, without the methods of a subclass: those of a Markup escape again."""
    return (b"" if isinstance(value, bytes) else u"").join((value,))


#: XML defines one name that HTML 4 does not.
_NAMES = dict(html_entities.name2codepoint, apos=0x27)

#: The bound keeps the search linear; the longest name is shorter.
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")


def xhtml_unescape(value):
    """`value` with its character references replaced: named (HTML 4 and XML) and numeric ones.

    References that do not name a character are kept.
    """
    return _ENTITY.sub(_to_character, to_unicode(_to_string(value)))


def _to_character(match):
    decimal, hexadecimal, name = match.groups()
    if decimal:
        number = int(decimal)
    elif hexadecimal:
        number = int(hexadecimal, 16)
    else:
        number = _NAMES.get(name, 0)
    if not 0 < number < 0x110000 or 0xd800 <= number < 0xe000:
        return match.group()
    # `unichr` fails where Python 2 was built with 16-bit characters.
    return ("\\U%08x" % number).encode("ascii").decode("unicode_escape")


_BLANKS = re.compile("[\0- ]+")


def squeeze(value):
    """`value`, a string, with each run of ASCII whitespace and control characters replaced by one
    space, and none at its ends."""
    return _BLANKS.sub(" ", value).strip()


# JSON

_encode = json.JSONEncoder(allow_nan=False).encode


def json_encode(value):
    """`value` as JSON (RFC 8259), safe inside a <script> element.

    "</" is written as "<\\/", which means the same, so no value can end the element. "<!--" is
    escaped too, because it can hide the end of the element (HTML 4.12.1.3). Raises ValueError for
    NaN and the infinities, which JSON does not have.
    """
    return _encode(value).replace("</", "<\\/").replace("<!--", "<\\u0021--")


def json_decode(value):
    """The value of a JSON text, given as text or as UTF-8 bytes.

    Raises ValueError for malformed JSON.
    """
    return json.loads(to_basestring(value))


# URLs

def url_escape(value, plus=True):
    """`value`, text or bytes, with all but unreserved characters (RFC 3986 2.3) percent-encoded.

    With `plus`, for a query, a space becomes "+". Without it, for a path, a space becomes "%20"
    and "/" is kept. Returns a native string.
    """
    value = utf8(value)
    # "~" is unreserved, but Python quotes it before 3.7.
    return quote_plus(value, safe="~") if plus else quote(value, safe="/~")


def url_unescape(value, encoding="utf-8", plus=True):
    """`value` without percent-encoding, and with "+" replaced by spaces if `plus`.

    The result is text, decoded from `encoding`, or bytes if that is None. Bytes that are not valid
    in `encoding` become U+FFFD: a URL is a stranger's. Characters of a text that are not ASCII are
    kept, whatever the encoding. A "%" without two hexadecimal digits after it is kept.
    """
    if encoding is None:
        return _unquote(utf8(value), plus)
    if isinstance(value, six.text_type):
        return _ASCII.sub(lambda run: _unquote(run.group().encode("ascii"), plus).decode(
            encoding, "replace"), value)
    return _unquote(utf8(value), plus).decode(encoding, "replace")


_ASCII = re.compile(u"[\0-\x7f]+")


def _unquote(value, plus):
    if plus and b"+" in value:
        value = value.replace(b"+", b" ")
    return unquote_to_bytes(value) if b"%" in value else value


def parse_qs_bytes(qs, keep_blank_values=False, strict_parsing=False):
    """The fields of a query string: {name: [value, ...]}, values as bytes.

    Names are native strings: on Python 3 decoded from UTF-8, or from latin-1 if they are not valid
    UTF-8. Fields are separated by "&" only (WHATWG URL 5.1). Fields without a value are omitted
    unless `keep_blank_values`; with `strict_parsing`, one without "=" raises ValueError.
    """
    fields = {}
    qs = utf8(qs)
    if strict_parsing:
        for field in qs.split(b"&"):
            if b"=" not in field:
                raise ValueError("a field of the query string has no '=': %r" % (field,))
    # `in` raises and drops an exception before it looks for bytes.
    has_escapes = qs.find(b"%") >= 0
    for field in qs.replace(b"+", b" ").split(b"&"):
        name, _, value = field.partition(b"=")
        if value or (keep_blank_values and field):
            if has_escapes:
                if name.find(b"%") >= 0:
                    name = unquote_to_bytes(name)
                if value.find(b"%") >= 0:
                    value = unquote_to_bytes(value)
            if str is not bytes:  # version: py2
                try:
                    name = name.decode("utf-8")
                except UnicodeDecodeError:
                    name = name.decode("latin-1")
            if name in fields:
                fields[name].append(value)
            else:
                fields[name] = [value]
    return fields


# Links

#: The beginning of a link (a scheme and slashes, "mailto:" or "www."), and the rest: no whitespace,
#: quotes or angle brackets, and parentheses only in pairs. Nothing follows the last repetition, so
#: it never backtracks; the bound of the scheme, which may begin after each "+" or "-", keeps the
#: search linear.
_LINK = re.compile(
    u"(?<![A-Za-z0-9_])"
    u"(?:(?P<scheme>[A-Za-z][A-Za-z0-9_+-]{0,30}):/{1,3}(?!/)"
    u"|(?P<mail>[mM][aA][iI][lL][tT][oO]):|[wW]{3}[.])"
    u"(?P<rest>(?:[^\\s\\x00-\\x1f\\x7f()<>\"]+|\\([^\\s\\x00-\\x1f\\x7f()<>\"]*\\))+)",
    re.UNICODE)

#: Characters at the end of a link that belong to the sentence instead.
_CLOSING = u".,:;!?'*~&|^`\u2019\u201d\u00bb\u2026\u3001\u3002\u300d\uff01\uff09\uff0c\uff1a" \
    u"\uff1b\uff1f"

_SHORT = 30


def linkify(text, shorten=False, extra_params="", require_protocol=False,
            permitted_protocols=["http", "https"]):
    """`text` as HTML, with its URLs turned into links.

    The rest of the text is escaped as by `xhtml_escape`. Punctuation at the end of a URL and
    parentheses around it are not part of it.

    `shorten` cuts long URLs in the text; the tooltip shows the whole URL. `extra_params` are more
    attributes for the tag: text, or a function that is passed each URL, escaped, and returns the
    text: ``linkify(text, extra_params='rel="nofollow"')``. `require_protocol` leaves out
    "www.example.com". `permitted_protocols` may include "mailto"; never permit "javascript".
    """
    text = _to_plain(to_unicode(text))
    permitted = set(to_unicode(protocol).lower() for protocol in permitted_protocols)
    pieces = []
    position = 0
    for match in _LINK.finditer(text):
        protocol = match.group("scheme") or match.group("mail")
        end = _end_of_link(match)
        if end is None or (protocol.lower() not in permitted if protocol else require_protocol):
            continue
        pieces.append(xhtml_escape(text[position:match.start()]))
        pieces.append(_link(text[match.start():end], match, shorten, extra_params))
        position = end
    pieces.append(xhtml_escape(text[position:]))
    return u"".join(pieces)


def _end_of_link(match):
    rest = match.group("rest")
    closing = _CLOSING
    if u"[" not in rest:
        closing += u"]"
    if u"{" not in rest:
        closing += u"}"
    rest = rest.rstrip(closing)
    return match.start("rest") + len(rest) if rest else None


def _link(url, match, shorten, extra_params):
    has_protocol = match.group("scheme") or match.group("mail")
    href = xhtml_escape(url if has_protocol else u"http://" + url)
    if callable(extra_params):
        extra_params = extra_params(href)
    attributes = to_unicode(extra_params).strip()
    if attributes:
        attributes = u" " + attributes
    if shorten:
        short = _shorten(url, match.start("rest") - match.start() if has_protocol else 0)
        if short != url:
            attributes += u' title="%s"' % href
            url = short
    return u'<a href="%s"%s>%s</a>' % (href, attributes, xhtml_escape(url))


def _shorten(url, start):
    """`url` with its host and at most the beginning of its path; `start` is the index of the
    host."""
    if len(url) <= _SHORT:
        return url
    host, slash, path = url[start:].partition(u"/")
    path = re.split(u"[/?.#]", path[:8])[0]
    short = url[:start] + host + slash + path
    if len(short) > _SHORT * 3 // 2:
        short = short[:_SHORT]
    short += u"..."
    return short if len(short) < len(url) else url
