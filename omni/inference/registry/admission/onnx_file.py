"""Whether an ONNX file keeps the rules, decided without the runtime: it only ever sees files that passed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omni.inference.registry.admission import operators
from omni.inference.registry.admission.description import NAMES, Description, Side, Tensor
from omni.inference.registry.admission.formats import require_onnx
from omni.inference.registry.admission.onnx_schema import SCHEMA
from omni.inference.registry.admission.onnx_tensors import check_tensor
from omni.inference.registry.admission.refusals import Refused, refused
from omni.inference.registry.admission.wire import Message, Reader

MAX_NODES = 50_000
MAX_NESTING = 3
MAX_PARAMETERS = 64_000_000
MAX_PORTS = 64
MAX_NAME_CHARS = 200
MAX_RANK = 8
MAX_SIDE = 1 << 31
MAX_METADATA = 64
MAX_METADATA_CHARS = 4_000


def read_onnx(data: bytes, check_time: Callable[[], object] = lambda: None) -> Description:
    """What the file describes. `check_time` raises when the time is over.

    Raises UnsupportedType `model_format_unsupported` for other kinds of files, Unprocessable `model_file_refused` for
    one that breaks a rule.
    """
    require_onnx(data)
    try:
        model = Reader(data, SCHEMA).read("ModelProto")
        check_time()
        return _Walk(check_time).model(model)
    except Refused as reason:
        raise refused(str(reason)) from None


class _Walk:
    """Goes through one model and notes what it is made of."""

    def __init__(self, check_time: Callable[[], object]) -> None:
        self._check_time = check_time
        self._found = Description()
        self._nodes = 0

    def model(self, model: Message) -> Description:
        found = self._found
        found.ir_version = model.get("ir_version", 0)
        oldest, newest = operators.IR_VERSIONS
        if not oldest <= found.ir_version <= newest:
            raise Refused(f"its format's version is {found.ir_version}; {oldest} to {newest} are supported.")
        if model.get("training_info"):
            raise Refused("it holds training information. Export it for inference.")
        if model.get("functions"):
            raise Refused("it defines functions of its own. Inline them (onnx.inliner.inline_local_functions).")
        if model.get("configuration"):
            raise Refused("it is split over devices. Export it for one.")
        found.opsets = _opsets(model.get("opset_import", []))
        found.metadata = _metadata(model.get("metadata_props", []))
        found.producer = f"{model.get('producer_name', '')} {model.get('producer_version', '')}".strip()[
            :MAX_NAME_CHARS
        ]
        if "graph" not in model:
            raise Refused("it has no graph.")
        self._graph(model["graph"], 0)
        self._ports(model["graph"])
        return found

    def _graph(self, graph: Message, depth: int) -> None:
        if depth > MAX_NESTING:
            raise Refused(f"graphs are nested deeper than {MAX_NESTING} (If and Loop).")
        if graph.get("sparse_initializer"):
            raise Refused("it holds sparse tensors. Store them dense.")
        _metadata(graph.get("metadata_props", []))
        for tensor in graph.get("initializer", []):
            self._tensor(tensor)
        for node in graph.get("node", []):
            self._node(node, depth)

    def _node(self, node: Message, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Refused(f"it has more than {MAX_NODES} nodes.")
        if self._nodes % 1_000 == 0:
            self._check_time()
        domain, name = node.get("domain", ""), node.get("op_type", "")
        allowed = operators.ALLOWED.get(domain)
        if allowed is None:
            raise Refused(
                f"operator {name[:MAX_NAME_CHARS]!r} is of domain {domain[:MAX_NAME_CHARS]!r}. Only ONNX's own and "
                "ai.onnx.ml are run: export without custom operators."
            )
        if name not in allowed or node.get("overload"):
            raise Refused(f"operator {name[:MAX_NAME_CHARS]!r} is not supported.{operators.HINTS.get(name, '')}")
        if ("" if domain == "ai.onnx" else domain) not in self._found.opsets:
            raise Refused(f"operator {name!r} is used, but no version of its domain {domain!r} is imported.")
        if node.get("device_configurations"):
            raise Refused("it is split over devices. Export it for one.")
        self._found.operators[name] = self._found.operators.get(name, 0) + 1
        for attribute in node.get("attribute", []):
            self._attribute(attribute, depth)

    def _attribute(self, attribute: Message, depth: int) -> None:
        if attribute.get("ref_attr_name"):
            raise Refused("it refers to attributes of a function.")
        if "sparse_tensor" in attribute or attribute.get("sparse_tensors"):
            raise Refused("it holds sparse tensors. Store them dense.")
        if "tp" in attribute or attribute.get("type_protos"):
            raise Refused("it holds types as attributes, which only sequences and optionals need.")
        for tensor in (*_one(attribute, "t"), *attribute.get("tensors", [])):
            self._tensor(tensor)
        for graph in (*_one(attribute, "g"), *attribute.get("graphs", [])):
            self._graph(graph, depth + 1)

    def _tensor(self, tensor: Message) -> None:
        self._found.parameters += check_tensor(tensor)
        if self._found.parameters > MAX_PARAMETERS:
            raise Refused(f"its tensors have more than {MAX_PARAMETERS} elements.")

    def _ports(self, graph: Message) -> None:
        stored = {tensor.get("name", "") for tensor in graph.get("initializer", [])}
        inputs = [port for port in graph.get("input", []) if port.get("name", "") not in stored]
        self._found.inputs = [_port(port, "input") for port in inputs]
        self._found.outputs = [_port(port, "output") for port in graph.get("output", [])]
        for kind, ports in (("inputs", self._found.inputs), ("outputs", self._found.outputs)):
            if not 1 <= len(ports) <= MAX_PORTS:
                raise Refused(f"it has {len(ports)} {kind}; 1 to {MAX_PORTS} are supported.")
            if len({port.name for port in ports}) < len(ports):
                raise Refused(f"two {kind} have the same name.")


def _one(message: Message, name: str) -> list[Any]:
    return [message[name]] if name in message else []


def _opsets(imports: list[Message]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in imports:
        domain, version = each.get("domain", ""), each.get("version", 0)
        supported = operators.OPSETS.get(domain)
        if supported is None:
            continue  # exporters import domains that they do not use; a node of one is refused
        name = "" if domain == "ai.onnx" else domain
        if name in found:
            raise Refused(f"the operators of {domain or 'ai.onnx'!r} are imported twice.")
        if not supported[0] <= version <= supported[1]:
            raise Refused(
                f"it needs version {version} of the operators of {domain or 'ai.onnx'!r}; {supported[0]} to "
                f"{supported[1]} are supported."
            )
        found[name] = version
    if not found:
        raise Refused("it imports no operators.")
    return found


def _metadata(entries: list[Message]) -> dict[str, str]:
    size = sum(len(each.get("key", "")) + len(each.get("value", "")) for each in entries)
    if len(entries) > MAX_METADATA or size > MAX_METADATA_CHARS:
        raise Refused(f"its metadata has more than {MAX_METADATA} entries or {MAX_METADATA_CHARS} characters.")
    return {each.get("key", ""): each.get("value", "") for each in entries}


def _port(port: Message, kind: str) -> Tensor:
    name = port.get("name", "")
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise Refused(f"an {kind}'s name is empty, longer than {MAX_NAME_CHARS} characters or not printable.")
    if "tensor_type" not in port.get("type", {}):
        raise Refused(f"{kind} {name!r} is no tensor. Convert the model so that only tensors go in and come out.")
    tensor = port["type"]["tensor_type"]
    dtype = NAMES.get(tensor.get("elem_type", 0))
    if dtype is None:
        raise Refused(f"{kind} {name!r} has a type that is not supported. Use one of {', '.join(NAMES.values())}.")
    if "shape" not in tensor:
        return Tensor(name, dtype, None)
    sides = [_side(dim, kind, name) for dim in tensor["shape"].get("dim", [])]
    if len(sides) > MAX_RANK:
        raise Refused(f"{kind} {name!r} has {len(sides)} dimensions; at most {MAX_RANK} are supported.")
    return Tensor(name, dtype, tuple(sides))


def _side(dim: Message, kind: str, name: str) -> Side:
    if "dim_value" in dim:
        value: int = dim["dim_value"]
        if not 0 <= value < MAX_SIDE or "dim_param" in dim:
            raise Refused(f"a dimension of {kind} {name!r} is out of range.")
        return value
    text: str = dim.get("dim_param", "")
    if len(text) > MAX_NAME_CHARS:
        raise Refused(f"a dimension's name of {kind} {name!r} is too long.")
    return text or None
