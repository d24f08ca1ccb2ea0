"""Which endpoint a method and a path mean: a trie over path segments, built once."""

from __future__ import annotations

from collections.abc import Iterable

from omni.contracts.endpoints import Endpoint
from omni.gateway.edge.errors import MethodNotAllowed
from omni.kit.errors import NotFound

# A proxy or framework behind us might resolve these, and then serve another route than the one that was authorised.
_DOT_SEGMENTS = frozenset((b".", b"..", b"%2e", b".%2e", b"%2e.", b"%2e%2e"))


def unknown_route() -> NotFound:
    """The answer where there is nothing, or nothing for this caller."""
    return NotFound("unknown_route", "No such route. See /openapi.json for all of them.")


class Route:
    """An endpoint with what the hot path needs of it as bytes."""

    __slots__ = (
        "delegated",
        "deterministic",
        "endpoint",
        "error_shape",
        "max_body_bytes",
        "metered",
        "method",
        "name",
        "operation",
        "passed",
        "quotes",
        "scope",
        "streamed",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.method = endpoint.method.encode("ascii")
        self.name = endpoint.name
        self.scope = endpoint.scope
        self.max_body_bytes = endpoint.max_body_bytes
        self.error_shape = endpoint.error_shape
        self.operation = endpoint.operation
        self.metered = endpoint.metered
        self.deterministic = endpoint.deterministic
        self.streamed = endpoint.streamed
        self.quotes = endpoint.quotes
        self.delegated = endpoint.delegated
        self.passed = tuple(name.encode("ascii") for name in endpoint.passed_headers)


class _Node:
    __slots__ = ("children", "parameter", "routes")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node] = {}
        self.parameter: _Node | None = None
        self.routes: dict[bytes, Route] = {}


class Routes:
    """The public API's routes."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root = _Node()
        self._literal: dict[tuple[bytes, bytes], Route] = {}
        for endpoint in endpoints:
            self._add(Route(endpoint))

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.endpoint.template.encode("ascii").split(b"/")[1:]:
            if segment.startswith(b"{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        node.routes[route.method] = route
        if "{" not in route.endpoint.template:
            self._literal[route.method, route.endpoint.template.encode("ascii")] = route

    def match(self, method: bytes, path: bytes) -> Route:
        """The route of a request. Raises NotFound `unknown_route` or MethodNotAllowed."""
        route = self._literal.get((method, path))
        if route is not None:
            return route
        node = self._find(path)
        if node is None or not node.routes:
            raise unknown_route()
        route = node.routes.get(method)
        if route is None:
            raise MethodNotAllowed(", ".join(sorted(m.decode("ascii") for m in node.routes)))
        return route

    def _find(self, path: bytes) -> _Node | None:
        node = self._root
        for segment in path.split(b"/")[1:]:
            child = node.children.get(segment)
            if child is None:
                if not segment or segment.lower() in _DOT_SEGMENTS:
                    return None
                child = node.parameter
            if child is None:
                return None
            node = child
        return node
