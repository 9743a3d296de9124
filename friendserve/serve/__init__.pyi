from friendserve.httputil import HTTPServerRequest

__all__ = ["request_id"]

def request_id(request: HTTPServerRequest) -> str | None: ...
