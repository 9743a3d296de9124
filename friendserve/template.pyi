from collections.abc import Mapping
from threading import RLock
from types import CodeType
from typing import Any


class ParseError(Exception):
    message: str
    filename: str | None
    lineno: int
    def __init__(self, message: str, filename: str | None = None, lineno: int = 0) -> None: ...

def filter_whitespace(mode: str, text: str) -> str: ...

class Template:
    name: str
    loader: BaseLoader | None
    namespace: dict[str, Any]
    file: Any
    autoescape: str | None
    def __init__(
        self, template_string: str | bytes, name: str = '<string>',
        loader: BaseLoader | None = None, compress_whitespace: bool = ...,
        autoescape: str | None = ..., whitespace: str | None = None
    ) -> None: ...
    @property
    def code(self) -> str: ...
    @property
    def compiled(self) -> CodeType: ...
    def generate(self, **kwargs: Any) -> bytes: ...
    def get_source(self, fullname: str) -> str: ...

class BaseLoader:
    lock: RLock
    templates: dict[str, Template]
    namespace: dict[str, Any]
    autoescape: str | None
    whitespace: str
    def __init__(
        self, autoescape: str | None = 'xhtml_escape',
        namespace: dict[str, Any] | None = None, whitespace: str | None = None
    ) -> None: ...
    def reset(self) -> None: ...
    def resolve_path(self, name: str, parent_path: str | None = None) -> str: ...
    def load(self, name: str, parent_path: str | None = None) -> Template: ...

class Loader(BaseLoader):
    root: str
    allow_outside: bool
    def __init__(
        self, root_directory: str, allow_outside: bool = False, **kwargs: Any
    ) -> None: ...

class DictLoader(BaseLoader):
    dict: Mapping[str, str | bytes]
    def __init__(self, dict: Mapping[str, str | bytes], **kwargs: Any) -> None: ...
