from typing import Any


version: str
version_info: tuple[Any, ...]
