"""An extension of Sphinx that makes the reference from the source.

When a build begins, it writes a page for each public module into reference/api/. Directives:

    .. plain:: web.RequestHandler.write     the docstring of a public name
    .. settings-table::                     the settings of an Application
    .. serve-options::                      the options of friendserve serve
    .. limits-table::                       limits with their defaults
    .. errors-table::                       the exceptions, and what they derive from
"""
from __future__ import absolute_import, division, print_function

import ast
import io
import os
import re

import friendserve
from docutils import nodes
from friendserve.httpclient import HTTPRequest
from friendserve.http1connection import HTTP1ConnectionParameters
from friendserve.serve.config import OPTIONS
from friendserve.web.settings import SETTINGS
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective
from tests.house import FLOORS, PACKAGE

import publicnames
from plaintext import inline, render

API = os.path.join("reference", "api")

_package = []


def package():
    if not _package:
        _package.append(publicnames.Package())
    return _package[0]


# Pages for modules

def write_pages(app):
    """Write the pages of public modules, and remove those of modules that no longer exist."""
    folder = os.path.join(app.srcdir, API)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    pages = dict((door + ".rst", module_page(door)) for door in package().order)
    pages["index.rst"] = index_page()
    for name in os.listdir(folder):
        if name not in pages:
            os.remove(os.path.join(folder, name))
    for name, text in pages.items():
        path = os.path.join(folder, name)
        # A page that has not changed keeps its time, so that it is not built again.
        if not os.path.exists(path) or io.open(path, encoding="utf-8").read() != text:
            with io.open(path, "w", encoding="utf-8") as target:
                target.write(text)


def index_page():
    lines = ["Modules", "=======", "", "From the ground up: a module uses only those above it in "
             "this list. ``import friendserve`` imports none of them.", ""]
    for floor, rooms in FLOORS:
        doors = [room for room in rooms if room in package().pages]
        if doors:
            lines += [".. toctree::", "   :maxdepth: 1", "   :caption: " + floor.capitalize(), ""]
            lines += ["   " + door for door in doors] + [""]
    return "\n".join(lines)


def module_page(door):
    title = PACKAGE + "." + door
    summary = summaries().get(door)
    lines = [title, "=" * len(title), "", ".. py:module:: " + title, ""]
    lines += ["*%s.*" % (summary[0].upper() + summary[1:]), ""] if summary else []
    lines += [".. plain:: " + door, ""]
    for name in package().pages[door]:
        lines += entry(name, "")
    return "\n".join(lines) + "\n"


def entry(name, indent):
    directive = name.kind
    options = []
    if directive in ("classmethod", "staticmethod"):
        options, directive = [":%s:" % directive], "method"
    value = publicnames.value_text(name.node) if directive in ("data", "attribute") else ""
    if value and not name.same_as:
        options.append(":value: " + value)
    own = name.path.split(".")[-2 if indent else -1:]
    lines = [".. py:%s:: %s%s" % (directive, ".".join(own), escape(name.signature))]
    lines += ["   " + option for option in options] + [""]
    if name.bases and not name.same_as:
        lines += ["   Derives from %s." % " and ".join(map(link_to, name.bases)), ""]
    if name.same_as:
        lines += ["   The same as %s." % link_to(name.same_as), ""]
    else:
        lines += ["   .. plain:: " + name.path, ""]
    for member in name.members:
        if member.text or directive == "data":
            lines += entry(member, "   ")
    return [indent + line if line else line for line in lines]


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", " ")


def link_to(path):
    """The reST that leads to a public name, or to something outside of the package."""
    if path in package().names:
        return ":py:obj:`%s.%s`" % (PACKAGE, path)
    return "``%s``" % path


def summaries():
    """{door: its line in the package's table of contents}."""
    found = {}
    folder = ""
    for line in friendserve.__doc__.splitlines():
        match = re.match(r"( {4})?([a-z_0-9]+/?)(?: +(.*))?$", line)
        if match and not match.group(1):
            folder = match.group(2)
            found[match.group(2).rstrip("/")] = match.group(3) or ""
        elif match and folder == "platform/" and match.group(3):
            found["platform." + match.group(2)] = match.group(3)
    return found


class Plain(SphinxDirective):
    """The text of a public name or module."""
    required_arguments = 1

    def run(self):
        path = self.arguments[0]
        if path in package().names:
            name = package().names[path]
            self.env.note_dependency(os.path.join(
                publicnames.ROOT, PACKAGE, *name.module.name.split(".")) + ".py")
            return render(name.text, self.linker(path))
        module = package().modules[path]
        return render(publicnames.docstring(module.tree), self.linker(path + "."))

    def linker(self, path):
        names = package().names
        places = [".".join(path.split(".")[:count]) for count in range(path.count("."), -1, -1)]

        def link(text):
            bare = re.sub(r"\(.*\)$", "", text)
            if not re.match(r"[A-Za-z_][A-Za-z0-9_.]*$", bare):
                return None
            if bare.startswith(PACKAGE + "."):
                found = bare[len(PACKAGE) + 1:]
            else:
                found = next((place + "." + bare for place in places
                              if (place + "." + bare).strip(".") in names), bare).strip(".")
            if found == path:
                return None
            literal = nodes.literal(text, text)
            if found in names:
                # What a text mentions but its page leaves out, for lack of a text, has no anchor.
                if not shown(found):
                    return None
            elif found not in package().pages or bare == found:
                return None
            return addnodes.pending_xref(
                "", literal, refdomain="py", reftype="obj", reftarget=PACKAGE + "." + found,
                refexplicit=True, refwarn=True)
        return link


def shown(path):
    """Whether a public name has an entry on a page."""
    door = next(door for door in sorted(package().pages, key=len, reverse=True)
                if path.startswith(door + "."))
    return path.count(".") == door.count(".") + 1 or bool(package().names[path].text)


# Tables

def table(titles, rows, widths, ids=()):
    """A table of nodes: each cell is a list of nodes."""
    result = nodes.table(classes=["reference"])
    group = nodes.tgroup(cols=len(titles))
    result += group
    for width in widths:
        group += nodes.colspec(colwidth=width)
    head = nodes.thead("", nodes.row("", *[
        nodes.entry("", nodes.paragraph(title, title)) for title in titles]))
    body = nodes.tbody()
    for number, row in enumerate(rows):
        made = nodes.row("", *[nodes.entry("", nodes.paragraph("", "", *cell)) for cell in row])
        if number < len(ids):
            made.children[0].children[0].insert(0, nodes.target("", "", ids=[ids[number]]))
        body += made
    group += head
    group += body
    return result


def code(text):
    return nodes.literal(text, text)


def prose(text):
    return inline(text, lambda name: None)


def sentence(text):
    first = text if re.match(r"[a-z_.]+[_(]|/", text) else text[0].upper() + text[1:]
    return prose(first + ("" if text.endswith(".") else "."))


def type_names(types):
    if types == (bool, int):
        return "True or False"
    found = []
    for one in types:
        name = {"unicode": "text", "str": "text", "long": "int"}.get(one.__name__, one.__name__)
        found.append({"object": "any", "type": "class", "bytes": "bytes"}.get(name, name))
    return ", ".join(sorted(set(found), key=found.index))


class Generated(SphinxDirective):
    """Sections with a table each; `sections` yields (title, text, titles, widths, rows, ids)."""
    def run(self):
        found = []
        for title, text, titles, widths, rows, ids in self.sections():
            section = nodes.section(ids=[nodes.make_id(title)], names=[title.lower()])
            section += nodes.title(title, title)
            if text:
                section += nodes.paragraph("", "", *prose(text))
            section += table(titles, rows, widths, ids)
            self.state.document.note_implicit_target(section, section)
            found.append(section)
        return found


class SettingsTable(Generated):
    def sections(self):
        features = []
        for setting in SETTINGS:
            if setting.feature not in features:
                features.append(setting.feature)
        for feature in features:
            settings = [one for one in SETTINGS if one.feature == feature]
            yield (feature[0].upper() + feature[1:], "", ("Setting", "Type", "Default", "Meaning"),
                   (25, 15, 15, 45),
                   [([code(one.name)], prose(type_names(one.types)), [code(repr(one.default))],
                     sentence(one.text)) for one in settings],
                   ["setting-" + one.name for one in settings])


class ServeOptions(Generated):
    def sections(self):
        for heading, options in OPTIONS:
            rows, ids = [], []
            for name, default, kind, metavar, text in options:
                option = "--" + name.replace("_", "-")
                if kind is not bool:
                    option += "=" + (metavar or {int: "NUMBER", float: "NUMBER"}.get(kind, "TEXT"))
                shown = ",".join(default) if isinstance(default, list) else "%s" % (
                    {True: "on", False: "off"}[default] if kind is bool else
                    "%g" % default if kind is float else default)
                rows.append(([code(option)], [code("FRIENDSERVE_" + name.upper())],
                             [code(shown)] if shown else prose("none"), sentence(text)))
                ids.append("option-" + name.replace("_", "-"))
            yield (heading, "", ("Option", "Environment", "Default", "Meaning"), (30, 25, 15, 30),
                   rows, ids)


def argument(path, name):
    """The default of an argument, as the source has it."""
    parts = path.split(".")
    module = package().modules[".".join(parts[:-2])]
    node = next(one for one in ast.walk(module.tree) if getattr(one, "name", None) == parts[-2])
    function = next(one for one in ast.walk(node) if getattr(one, "name", None) == parts[-1])
    names = [one.arg for one in function.args.args]
    values = function.args.defaults
    return ast.unparse(values[names.index(name) - len(names)])


#: What can be set beside the constants, and what it bounds; the defaults are read from the code.
CONNECTION = (
    ("max_request_line", "bytes", "the request line; a longer one gets 414"),
    ("max_header_size", "bytes", "the head of a request; a larger one gets 431"),
    ("max_headers", "", "the fields of a head; more get 431"),
    ("max_body_size", "bytes", "the body of a request; a larger one gets 413. "
     "`stream_request_body` handlers can change it for a request"),
    ("chunk_size", "bytes", "what is read at a time, and the largest piece of a streamed body"),
    ("header_timeout", "seconds", "from the first byte of a head to its end"),
    ("body_timeout", "seconds", "from the end of the head to the end of the body"),
    ("idle_timeout", "seconds", "from the end of a response to the next request"),
    ("write_timeout", "seconds", "without the client accepting a byte of the response"),
    ("response_timeout", "seconds", "without the handler writing anything"),
    ("linger_timeout", "seconds", "for reading the rest of a request that was refused"),
)
CLIENT = (
    ("connect_timeout", "seconds", "until there is a connection"),
    ("request_timeout", "seconds", "the whole fetch, after the queue"),
    ("max_redirects", "", "how many redirects are followed"),
)
ARGUMENTS = (
    ("httpclient.queue.QueuedHTTPClient.initialize", "max_clients", "",
     "AsyncHTTPClient.configure", "fetches at the same time; others wait in a queue"),
    ("simple_httpclient.client.SimpleAsyncHTTPClient.initialize", "max_buffer_size", "bytes",
     "AsyncHTTPClient.configure", "the body of a response, unless max_body_size is given"),
    ("simple_httpclient.client.SimpleAsyncHTTPClient.initialize", "idle_connection_timeout",
     "seconds", "AsyncHTTPClient.configure", "how long an unused connection is kept"),
    ("database.pool.Pool.__init__", "threads", "", "database.Pool",
     "connections, each with its own thread"),
    ("database.pool.Pool.__init__", "max_queue", "", "database.Pool",
     "calls that wait for a connection"),
    ("database.pool.Pool.__init__", "timeout", "seconds", "database.Pool",
     "how long a call may wait for its result"),
    ("feed.redis.RedisFeed.__init__", "max_pending", "", "feed.RedisFeed",
     "commands that wait for Redis"),
    ("feed.redis.RedisFeed.__init__", "timeout", "seconds", "feed.RedisFeed",
     "how long a command may wait for Redis"),
)

_LIMIT = re.compile(r"(DEFAULT_)?MAX_[A-Z_]+$|([A-Z][A-Z_]+_)?(TIMEOUT|HIGH_WATER|BACKLOG)$")


class LimitsTable(Generated):
    def sections(self):
        titles, widths = ("Limit", "Default", "Unit", "What it bounds"), (30, 18, 12, 40)
        limits = HTTP1ConnectionParameters()
        yield ("Server connections", "Arguments of `HTTPServer` and of `Application.listen`.",
               titles, widths,
               [([code(name)], [code("%s" % getattr(limits, name))], prose(unit), sentence(text))
                for name, unit, text in CONNECTION], ["limit-" + one[0] for one in CONNECTION])
        yield ("A fetch", "Arguments of `HTTPRequest` and of `fetch`.", titles, widths,
               [([code(name)], [code("%s" % HTTPRequest._DEFAULTS[name])], prose(unit),
                 sentence(text)) for name, unit, text in CLIENT],
               ["fetch-" + one[0] for one in CLIENT])
        yield ("Clients, pools and feeds",
               "Arguments of the class or function in the second column.",
               ("Limit", "Of", "Default", "What it bounds"), (25, 25, 15, 35),
               [([code(name)], [code(where)], [code(argument(path, name))],
                 sentence(text + (", in " + unit if unit else "")))
                for path, name, unit, where, text in ARGUMENTS], ())
        yield ("Constants", "Values in the code. Where a setting or an argument has the same "
               "purpose, use that; the constant is its default.",
               ("Constant", "Value", "What the source says about it"), (35, 15, 50),
               list(self.constants()), ())

    @staticmethod
    def constants():
        for module in sorted(package().modules.values(), key=lambda one: one.name):
            if module.name.startswith(("porting", "testing")):
                continue
            for holder, body in [("", module.tree.body)] + [
                    (one.name + ".", one.body) for one in module.tree.body
                    if isinstance(one, ast.ClassDef) and not one.name.startswith("_")]:
                for node in body:
                    name = publicnames.assigned(node)[0] if isinstance(node, ast.Assign) and \
                        publicnames.assigned(node) else ""
                    text = publicnames.comment(module, node) if name else ""
                    if _LIMIT.match(name) and text:
                        value = ast.unparse(node.value)
                        yield ([code("%s.%s%s" % (module.name, holder, name))], [code(value)],
                               prose(" ".join(text.split())))


class ErrorsTable(SphinxDirective):
    """The public exceptions, by module: each with what it derives from and its first sentence."""
    def run(self):
        rows = []
        for door in package().order:
            for name in package().pages[door]:
                if name.kind == "exception" and not name.same_as:
                    first = re.split(r"(?<=[a-z)`])\.\s", name.text.split("\n\n")[0], maxsplit=1)[0]
                    literal = code(name.path)
                    link = addnodes.pending_xref(
                        "", literal, refdomain="py", reftype="obj",
                        reftarget=PACKAGE + "." + name.path, refexplicit=True, refwarn=True)
                    rows.append(([link], prose(", ".join(name.bases)),
                                 sentence(" ".join(first.split())) if first else []))
        return [table(("Exception", "Derives from", "What it means"), rows, (35, 25, 40))]


def setup(app):
    app.connect("builder-inited", write_pages)
    app.add_directive("plain", Plain)
    app.add_directive("settings-table", SettingsTable)
    app.add_directive("serve-options", ServeOptions)
    app.add_directive("limits-table", LimitsTable)
    app.add_directive("errors-table", ErrorsTable)
    return {"version": friendserve.version, "parallel_read_safe": True}
