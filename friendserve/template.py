"""Templates that are compiled to Python: text with ``{{ expressions }}`` and ``{% directives %}``.

    from friendserve.template import Template
    print(Template("Hello {{ name }}").generate(name="<world>"))

A template is compiled in three steps. `_tokens` splits the text at its tags, `_Parser` builds a
small tree from them, and `_Writer` turns the tree, with those of the templates it extends and
includes, into the source of one Python function.

Expressions are escaped by `xhtml_escape`, unless changed by ``{% raw x %}`` for one expression, by
``{% autoescape function %}`` or ``{% autoescape None %}`` for a file, or by the argument
`autoescape` for a template or for all templates of a loader.
"""
from __future__ import absolute_import, division, print_function

import collections
import datetime
import errno
import functools
import linecache
import os
import posixpath
import re
import threading
import types

import six

from friendserve import escape
from friendserve.escape import native_str, to_unicode, utf8, xhtml_escape

_UNSET = object()
_DEFAULT_AUTOESCAPE = "xhtml_escape"


class ParseError(Exception):
    """A template cannot be compiled; the message ends in ``at filename:lineno``."""

    def __init__(self, message, filename=None, lineno=0):
        super(ParseError, self).__init__(message, filename, lineno)
        self.message = native_str(message)
        self.filename = filename
        self.lineno = lineno

    def __str__(self):
        return "%s at %s:%d" % (self.message, self.filename, self.lineno)


# Not \s, which includes the no-break space, and that is meant to be visible.
_WHITESPACE = re.compile("[ \t\r\n\f\v]+")


def filter_whitespace(mode, text):
    """`text` with its runs of whitespace treated as `mode` says.

    ``"all"`` keeps them, ``"single"`` makes each a newline if it holds one, else a space, and
    ``"oneline"`` makes each a space. Raises ValueError for any other mode.
    """
    if mode == "all":
        return text
    if mode == "single":
        return _WHITESPACE.sub(lambda run: "\n" if "\n" in run.group() else " ", text)
    if mode == "oneline":
        return _WHITESPACE.sub(" ", text)
    raise ValueError("a whitespace mode must be all, single or oneline, not %r" % (mode,))


#: Elements whose whitespace is visible. An end tag counts only if it is that of the open element.
_PREFORMATTED = re.compile(r"<(/?)(pre|textarea)(?![^\s/>])", re.IGNORECASE)


def _filter_text(mode, text, element):
    """(filtered text, element): `filter_whitespace`, except inside <pre> and <textarea>. `element`
    is the name of the one that is open before and after the text, or None."""
    pieces, position = [], 0
    for tag in _PREFORMATTED.finditer(text):
        name = tag.group(2).lower()
        if tag.group(1) and element == name:
            pieces.append(text[position:tag.start()])
            position, element = tag.start(), None
        elif not tag.group(1) and element is None:
            pieces.append(filter_whitespace(mode, text[position:tag.start()]))
            position, element = tag.start(), name
    rest = text[position:]
    pieces.append(filter_whitespace(mode, rest) if element is None else rest)
    return "".join(pieces), element


class Template(object):
    """One compiled template.

    `template_string` is unicode or UTF-8. `name` appears in error messages, and decides the
    whitespace mode if neither `whitespace` nor the loader does: "single" for names that end in
    .html or .js, else "all". `compress_whitespace` is the older way to choose "single" (true) or
    "all" (false). `loader` finds the templates that this one extends or includes.

    Raises ParseError for a malformed directive. Errors in the Python code of a tag, and in extended
    or included templates, are raised when the code is first needed: in `BaseLoader.load`, in this
    constructor if there is no loader, and at the latest in `generate`.
    """

    def __init__(self, template_string, name="<string>", loader=None,
                 compress_whitespace=_UNSET, autoescape=_UNSET, whitespace=None):
        if compress_whitespace is not _UNSET:
            if whitespace is not None:
                raise ValueError("give whitespace or compress_whitespace, not both")
            whitespace = "single" if compress_whitespace else "all"
        if whitespace is None and loader is not None:
            whitespace = loader.whitespace
        if whitespace is None:
            whitespace = "single" if name.endswith((".html", ".js")) else "all"
        filter_whitespace(whitespace, "")
        if autoescape is _UNSET:
            autoescape = _DEFAULT_AUTOESCAPE if loader is None else loader.autoescape
        self.name = native_str(name)
        self.loader = loader
        self.namespace = {} if loader is None else loader.namespace
        self.file = _Parser(_decode(template_string, self.name), self.name,
                            whitespace, autoescape).parse()
        self.autoescape = self.file.autoescape
        self._code = self._compiled = self._function = None
        if loader is None:
            self._compile()

    @property
    def code(self):
        """The generated Python source, a native string."""
        self._compile()
        return self._code

    @property
    def compiled(self):
        """The code object of `code`."""
        self._compile()
        return self._compiled

    def generate(self, **kwargs):
        """The template filled in with `kwargs`, as UTF-8 bytes.

        A value that is neither unicode nor bytes is converted by str(). Bytes that are not escaped
        are kept as they are, whatever their encoding; to be escaped, they must be UTF-8 on Python
        3. UI modules are found in ``_tt_modules``, else in ``modules``. Exceptions from the
        template's Python code pass through; in their tracebacks, a comment names each template and
        line.
        """
        namespace = {
            "__builtins__": six.moves.builtins, "datetime": datetime,
            "escape": xhtml_escape, "xhtml_escape": xhtml_escape,
            "url_escape": escape.url_escape, "json_encode": escape.json_encode,
            "linkify": escape.linkify, "squeeze": escape.squeeze,
        }
        namespace.update(self.namespace)
        namespace.update(kwargs)
        autoescape = _escape
        if namespace["xhtml_escape"] is not xhtml_escape:
            autoescape = functools.partial(_pass_through, namespace["xhtml_escape"])
        namespace.update(
            __name__=self.name.replace(".", "_"), __loader__=self,
            _tt_escape=autoescape, _tt_pass_through=_pass_through, _tt_bytes=_bytes,
            _tt_join=b"".join)
        namespace.setdefault("_tt_modules", namespace.get("modules"))
        # Tracebacks must not show the cached lines of another template of the same name.
        linecache.cache.pop(self.compiled.co_filename, None)
        # Executing `compiled`, which defines the function, takes Python 2 longer than a small page.
        return types.FunctionType(self._function, namespace)()

    def get_source(self, fullname):
        """The generated source; called by tracebacks (PEP 302)."""
        return self.code

    def _compile(self):
        if self._function is not None:
            return
        writer = _Writer(self)
        source = writer.write()
        self._code = native_str(source)
        filename = self.name.replace(".", "_") + ".generated.py"
        try:
            # The __future__ imports of this file must not apply to the template's code.
            self._compiled = compile(source, filename, "exec", 0, True)
        except SyntaxError as error:
            raise writer.blame(error)
        self._function, = [constant for constant in self._compiled.co_consts
                           if isinstance(constant, types.CodeType)]


def _decode(template_string, name):
    try:
        return to_unicode(template_string)
    except UnicodeDecodeError as error:
        wrong = template_string[error.start:error.start + 1]
        raise ParseError("byte %r is not valid UTF-8" % wrong, name,
                         template_string.count(b"\n", 0, error.start) + 1)


class BaseLoader(object):
    """Loads templates by name and caches them. The methods may be called from any thread.

    `autoescape` names the function that escapes expressions (None: they are not escaped),
    `namespace` holds names for all templates, and `whitespace` is the mode for all of them. A
    subclass defines `_create_template(name)`, which makes the Template. Names are paths with
    slashes, unless the subclass overrides `resolve_path`.
    """

    def __init__(self, autoescape=_DEFAULT_AUTOESCAPE, namespace=None, whitespace=None):
        self.lock = threading.RLock()
        self.templates = {}
        self.namespace = namespace or {}
        self.autoescape = autoescape
        self.whitespace = whitespace

    def reset(self):
        """Empty the cache, so that each template is loaded again when it is next used."""
        with self.lock:
            self.templates = {}

    def resolve_path(self, name, parent_path=None):
        """The full name of the template that `parent_path` refers to as `name`.

        With a parent, `name` is relative to the parent's folder, unless one of them begins with a
        slash or the parent was made from a string.
        """
        if not parent_path or parent_path.startswith(("<", "/")) or name.startswith("/"):
            return name
        return posixpath.normpath(posixpath.join(posixpath.dirname(parent_path), name))

    def load(self, name, parent_path=None):
        """The template `name`, relative to the template `parent_path` if given.

        Raises ParseError, and for an unknown name the error of the subclass.
        """
        name = self.resolve_path(name, parent_path=parent_path)
        with self.lock:
            template = self.templates.get(name)
            if template is None:
                template = self.templates[name] = self._create_template(name)
            if parent_path is None:
                # A template that is only extended or included is never compiled by itself.
                template._compile()
            return template

    def _create_template(self, name):
        raise NotImplementedError("%s must define _create_template" % type(self).__name__)


class Loader(BaseLoader):
    """Loads templates from the files in one folder and its subfolders.

    `load` raises IOError for a file that cannot be read, and for a name that leads out of the
    folder: by ``..``, or because it is an absolute path. Programs that rely on such names set
    `allow_outside`; none of them may then come from a request. Symbolic links are followed.
    """

    def __init__(self, root_directory, allow_outside=False, **kwargs):
        self.root = os.path.abspath(root_directory)
        self.allow_outside = allow_outside
        super(Loader, self).__init__(**kwargs)

    def _create_template(self, name):
        path = os.path.join(self.root, name)
        if "\0" in name or not self.allow_outside and not os.path.abspath(path).startswith(
                os.path.join(self.root, "")):
            # As for a file that does not exist.
            raise IOError(errno.ENOENT, "the template is outside of %s" % self.root, name)
        with open(path, "rb") as source:
            return Template(source.read(), name=name, loader=self)


class DictLoader(BaseLoader):
    """Loads templates from a dict {name: text}. `load` raises KeyError for an unknown name."""

    def __init__(self, dict, **kwargs):
        self.dict = dict
        super(DictLoader, self).__init__(**kwargs)

    def _create_template(self, name):
        return Template(self.dict[name], loader=self, name=name)


# Functions called by the generated code

def _bytes(value):
    """`value` as bytes."""
    if isinstance(value, six.text_type):
        return value.encode("utf-8")
    return value if isinstance(value, bytes) else utf8(str(value))


def _escape(value):
    if not isinstance(value, (six.text_type, bytes)):
        value = str(value)
    return utf8(xhtml_escape(value))


def _pass_through(function, value):
    # The function is the application's, and has always been passed bytes.
    return _bytes(function(_bytes(value)))


# From text to tags. A template is a list of tokens (kind, content, line); the kind is None for
# plain text, else the two characters that open the tag. Of three or more braces in a row, the
# innermost two are the tag.

_OPENING = re.compile(r"\{(?:\{(?!\{)|%|#)")
_CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}


def _tokens(text, name):
    position, line = 0, 1
    while True:
        match = _OPENING.search(text, position)
        start = len(text) if match is None else match.start()
        if start > position:
            yield None, text[position:start], line
        if match is None:
            return
        opening, after = str(match.group()), match.end()
        line += text.count("\n", position, after)
        if text.startswith("!", after):
            yield None, opening, line
            position = after + 1
            continue
        end = text.find(_CLOSING[opening], after)
        if end < 0:
            raise ParseError("missing %s for %s" % (_CLOSING[opening], opening), name, line)
        if opening != "{#":
            content = text[after:end].strip()
            if not content:
                raise ParseError("empty tag %s %s" % (opening, _CLOSING[opening]), name, line)
            yield opening, content, line
        line += text.count("\n", after, end)
        position = end + 2


# From tags to a tree. `line` is where the tag begins; a body is a list of nodes.

_Text = collections.namedtuple("_Text", "value whitespace line")
_Expression = collections.namedtuple("_Expression", "source raw line")
_Statement = collections.namedtuple("_Statement", "source line")
_Control = collections.namedtuple("_Control", "branches")
_Branch = collections.namedtuple("_Branch", "header body line")
_Apply = collections.namedtuple("_Apply", "function body line")
_Block = collections.namedtuple("_Block", "name body line")
_Reference = collections.namedtuple("_Reference", "name line")
_File = collections.namedtuple("_File", "body autoescape extends blocks includes")

_CONTROLS = frozenset(["if", "for", "while", "try"])

#: The directives that continue a control block, and the kinds of block that each can continue.
_CONTINUATIONS = {
    "else": _CONTROLS,
    "elif": frozenset(["if"]),
    "except": frozenset(["try"]),
    "finally": frozenset(["try"]),
}

_WITH_ARGUMENT = frozenset([
    "apply", "autoescape", "block", "extends", "from", "import", "include", "module", "raw",
    "set", "whitespace"])

#: The directives whose argument becomes part of a Python statement.
_STATEMENTS = _CONTROLS.union(_CONTINUATIONS, ["apply", "from", "import", "set"])

# A string of Python, which is kept, or else a comment or line end.
_STRING_OR_LINE_END = re.compile(
    r"""("{3}(?:\\.|[^\\])*?"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^\\"\n])*"|'(?:\\.|[^\\'\n])*')"""
    r"|#[^\n]*|\\?\r?\n", re.DOTALL)


def _on_one_line(source):
    """Python source without its comments and line ends."""
    if "\n" not in source and "#" not in source:
        return source
    return _STRING_OR_LINE_END.sub(lambda match: match.group(1) or " ", source).strip()


_WORD = re.compile(r"([A-Za-z_]+)(.*)\Z", re.DOTALL)


#: What to write in place of the directives of other template languages.
_ELSEWHERE = {
    "elseif": "{% elif %}", "elsif": "{% elif %}", "load": "{% import %}",
    "csrf_token": "{% module xsrf_form_html() %}", "url": "{{ reverse_url(name) }}",
    "static": "{{ static_url(path) }}", "macro": "a UI module, or {% set name = value %}",
    "trans": "{{ _(text) }}", "with": "{% set name = value %}", "filter": "{% apply function %}",
    "print": "{{ value }}", "unless": "{% if not condition %}",
}

_FILTER = re.compile(
    r"([^|]*[^|\s])\s*\|\s*(safe|escape|forceescape|e|n|raw|upper|lower|title|capitalize|trim|"
    r"default|length|join|date|truncate|truncatewords|tojson|urlencode|linebreaks|striptags|"
    r"round|first|last|reverse|sort|replace|format|pluralize)\s*(?:[(:].*)?\Z", re.DOTALL)


def _advice(word):
    """What to write in place of an unknown directive, if that can be told."""
    if word.startswith("end"):
        return ": every block ends with {% end %}"
    return ": write %s" % _ELSEWHERE[word] if word in _ELSEWHERE else ""


class _Parser(object):
    """Parses one template into a _File."""

    def __init__(self, text, name, whitespace, autoescape):
        self._name = name
        self._tokens = _tokens(text, name)
        # The mode for the text that follows.
        self._whitespace = whitespace
        self._autoescape = autoescape
        self._extends = None
        self._blocks = {}
        self._includes = []

    def parse(self):
        body = self._parse_body(None, 0, False)[0]
        return _File(body, self._autoescape, self._extends, self._blocks, self._includes)

    def _parse_body(self, opener, opener_line, in_loop):
        """(nodes, header, line): the nodes up to the end of the block that `opener` opened, and
        the directive that continues the block, with its line. `header` is None for {% end %}."""
        nodes = []
        for kind, content, line in self._tokens:
            if kind is None:
                nodes.append(_Text(content, self._whitespace, line))
                continue
            if kind == "{{":
                nodes.append(self._parse_expression(content, "", False, line))
                continue
            word, argument = self._split(content, line)
            if word in _STATEMENTS:
                argument = _on_one_line(argument)
            content = "%s %s" % (word, argument) if argument else word
            if word == "end":
                if opener is None:
                    self._fail("{% end %} without a block to end", line)
                return nodes, None, line
            if word in _CONTINUATIONS:
                if opener not in _CONTINUATIONS[word]:
                    self._fail("{%% %s %%} must be inside %s" % (
                        word, " or ".join(sorted(_CONTINUATIONS[word]))), line)
                return nodes, content, line
            if not argument and word in _WITH_ARGUMENT:
                self._fail("{%% %s %%} needs an argument" % word, line)
            if word in _CONTROLS:
                nodes.append(self._parse_control(word, content, line, in_loop))
            elif word == "apply":
                # Its body becomes a separate function, so it is not inside an outer loop.
                body = self._parse_body(word, line, False)[0]
                nodes.append(_Apply(argument, body, line))
            elif word == "block":
                body = self._parse_body(word, line, in_loop)[0]
                nodes.append(_Block(argument, body, line))
                self._blocks[argument] = nodes[-1]
            elif word in ("break", "continue"):
                if not in_loop:
                    self._fail("{%% %s %%} outside of a loop" % word, line)
                nodes.append(_Statement(word, line))
            else:
                nodes.extend(self._parse_line(word, argument, content, line, opener))
        if opener is not None:
            self._fail("missing {%% end %%} for {%% %s %%}" % opener, opener_line)
        return nodes, None, 0

    def _parse_control(self, opener, content, line, in_loop):
        opener_line = line
        in_loop = in_loop or opener in ("for", "while")
        branches = []
        while content is not None:
            body, next_content, next_line = self._parse_body(opener, opener_line, in_loop)
            branches.append(_Branch(content, body, line))
            content, line = next_content, next_line
        return _Control(branches)

    def _parse_line(self, word, argument, content, line, opener):
        """A list with the node of a directive that has no body; empty if it makes none."""
        if word == "raw":
            return [self._parse_expression(argument, "", True, line)]
        if word == "module":
            return [self._parse_expression(argument, "_tt_modules.", True, line)]
        if word == "set":
            return [_Statement(argument, line)]
        if word in ("import", "from"):
            return [_Statement(content, line)]
        if word == "include":
            self._includes.append(_Reference(native_str(argument.strip("\"'")), line))
            return self._includes[-1:]
        if word == "extends":
            if opener is not None or self._extends is not None:
                self._fail("{% extends %} may appear only once, and outside of all blocks", line)
            self._extends = _Reference(native_str(argument.strip("\"'")), line)
        elif word == "autoescape":
            self._autoescape = None if argument == "None" else argument
        elif word == "whitespace":
            try:
                filter_whitespace(argument, "")
            except ValueError as error:
                self._fail(str(error), line)
            self._whitespace = argument
        elif word != "comment":
            self._fail("unknown directive %s%s" % (word, _advice(word)), line)
        return []

    def _parse_expression(self, source, prefix, raw, line):
        # Some templates end it as a statement of other languages ends.
        source = (source[:-1] if source.endswith(";") else source).strip()
        if source.startswith("#") and not _on_one_line(source) or not source:
            self._fail("a tag without an expression", line)
        match = _FILTER.match(source) if "|" in source else None
        if match is not None:
            self._refuse_filter(source, match, line)
        return _Expression(prefix + source, raw, line)

    def _refuse_filter(self, source, match, line):
        """Fail for a filter of another template language; Python takes it for a bitwise or."""
        value, name = match.groups()
        if name in ("e", "escape", "forceescape"):
            advice = "values are escaped already"
        elif name in ("safe", "n", "raw"):
            advice = "write {%% raw %s %%}" % value
        else:
            advice = "write {{ %s(%s) }}, with a function" % (
                {"length": "len", "tojson": "json_encode"}.get(name, name), value)
        self._fail("%s: there are no filters: %s" % (source, advice), line)

    def _split(self, content, line):
        match = _WORD.match(content)
        if match is None:
            self._fail("a directive must begin with a word, unlike %s" % content, line)
        return str(match.group(1)), match.group(2).strip()

    def _fail(self, message, line):
        raise ParseError(message, self._name, line)


# From trees to Python. Extended and included files are written in place, into one function, so that
# they all see the same variables.

class _Writer(object):
    """Writes the source of one template's function, in pieces that record where they came from."""

    def __init__(self, template):
        self._pieces = []           # (source, template name, line)
        self._indent = 0
        self._applied = 0           # the number of {% apply %} so far
        # The file being written, and the (template, line) that led to it, outermost first.
        self._template = template
        self._route = []
        self._blocks = {}           # name -> (block, template), of the most derived template
        # The element of `_filter_text` that is open, also across blocks and included files.
        self._element = None
        self._open_blocks = []      # the names of those being written, outermost first

    def write(self):
        """The complete source, unicode. Raises ParseError."""
        lineage = [self._template]
        while lineage[-1].file.extends is not None:
            child = lineage[-1]
            lineage.append(self._load(child, child.file.extends, [t.name for t in lineage]))
        for template in reversed(lineage):
            self._find_blocks(template, [template.name])
        self._template = lineage[-1]
        self._write_function("_tt_execute", self._template.file.body, 0)
        return "".join([source + "\n" for source, _, _ in self._pieces])

    def blame(self, error):
        """The ParseError for a SyntaxError in the source from `write`."""
        # Python notices an unclosed bracket only lines later, so compile each self-contained piece
        # separately.
        for source, name, line in self._pieces:
            if source.lstrip().startswith("_tt_append("):
                try:
                    compile(source.strip(), "", "exec", 0, True)
                except SyntaxError as own_error:
                    return ParseError(own_error.msg, name, line)
        number = 0
        for source, name, line in self._pieces:
            number += source.count("\n") + 1
            if number >= (error.lineno or 1):
                break
        return ParseError(error.msg, name, line)

    def _load(self, template, reference, route):
        """The template that `template` extends or includes; `route` names those that led here."""
        if template.loader is None:
            raise ParseError("%r needs a loader" % reference.name, template.name, reference.line)
        try:
            loaded = template.loader.load(reference.name, parent_path=template.name)
        except (KeyError, EnvironmentError) as error:
            # The loader names the file that is missing, at best, and not where it is wanted.
            six.raise_from(ParseError("%r cannot be loaded (%s)" % (
                reference.name, error), template.name, reference.line), error)
        if loaded.name in route:
            raise ParseError("%s leads back to itself" % " -> ".join(route + [loaded.name]),
                             template.name, reference.line)
        return loaded

    def _find_blocks(self, template, route):
        """Record the blocks of a file and of those it includes, replacing those recorded before."""
        for include in template.file.includes:
            included = self._load(template, include, route)
            self._find_blocks(included, route + [included.name])
        for name, block in template.file.blocks.items():
            self._blocks[name] = (block, template)

    def _emit(self, source, line):
        name = self._template.name
        via = ", ".join(["%s:%d" % (t.name, number) for t, number in reversed(self._route)])
        where = "%s:%d (via %s)" % (name, line, via) if via else "%s:%d" % (name, line)
        source = "%s%s  # %s" % ("    " * self._indent, source, to_unicode(where))
        self._pieces.append((source, name, line))

    def _write_all(self, nodes):
        for node in nodes:
            self._WRITERS[type(node)](self, node)

    def _write_body(self, nodes, line):
        self._indent += 1
        before = len(self._pieces)
        self._write_all(nodes)
        if len(self._pieces) == before:
            self._emit("pass", line)
        self._indent -= 1

    def _write_from(self, template, nodes, line):
        """Write nodes of another file in place; `line` is where this file refers to them."""
        here = self._template
        self._route.append((here, line))
        self._template = template
        self._write_all(nodes)
        self._template = here
        self._route.pop()

    def _write_function(self, name, nodes, line):
        self._emit("def %s():" % name, line)
        self._indent += 1
        self._emit("_tt_parts = []", line)
        self._emit("_tt_append = _tt_parts.append", line)
        self._write_all(nodes)
        self._emit("return _tt_join(_tt_parts)", line)
        self._indent -= 1

    def _write_text(self, node):
        value, self._element = _filter_text(node.whitespace, node.value, self._element)
        self._emit("_tt_append(%r)" % value.encode("utf-8"), node.line)

    def _write_expression(self, node):
        # In additional brackets, because it may be a tuple without brackets.
        source = "(%s)" % node.source
        if "#" in source or "\n" in source:
            source = "(%s\n)" % node.source
        function = self._template.autoescape
        if node.raw or function is None:
            source = "_tt_bytes(%s)" % source
        elif function == "xhtml_escape":
            source = "_tt_escape(%s)" % source
        else:
            source = "_tt_pass_through(%s, %s)" % (function, source)
        self._emit("_tt_append(%s)" % source, node.line)

    def _write_statement(self, node):
        self._emit(node.source, node.line)

    def _write_control(self, node):
        for branch in node.branches:
            self._emit(branch.header + ":", branch.line)
            self._write_body(branch.body, branch.line)

    def _write_apply(self, node):
        name = "_tt_apply%d" % self._applied
        self._applied += 1
        self._write_function(name, node.body, node.line)
        self._emit("_tt_append(_tt_pass_through((%s), %s()))" % (node.function, name), node.line)

    def _write_block(self, node):
        block, template = self._blocks[node.name]
        if node.name in self._open_blocks:
            raise ParseError("block %s contains itself" % node.name,
                             self._template.name, node.line)
        self._open_blocks.append(node.name)
        self._write_from(template, block.body, node.line)
        self._open_blocks.pop()

    def _write_include(self, node):
        route = [template.name for template, line in self._route] + [self._template.name]
        included = self._load(self._template, node, route)
        if included.file.extends is not None:
            raise ParseError("the included file %s extends another, which it cannot do here: use a "
                             "UI module" % included.name, self._template.name, node.line)
        self._write_from(included, included.file.body, node.line)

    _WRITERS = {
        _Apply: _write_apply,
        _Block: _write_block,
        _Control: _write_control,
        _Expression: _write_expression,
        _Reference: _write_include,
        _Statement: _write_statement,
        _Text: _write_text,
    }
