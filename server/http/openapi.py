"""OpenAPI 3.1 from the rows that route and the models that validate: it cannot say what is not so."""

import functools
import json
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.http.operations import ANYONE, JSON, Incoming, Operation, operation
from server.models import Failure

VERSION = "0.1.0"
_PARAMETER = re.compile(r"{(\w+)(?::([^{}]+))?}")


def operation_for(operations: Iterable[Operation]) -> Operation:
    """The route that shows the document, which is made once somebody asks for it."""

    @functools.cache
    def document() -> str:
        return json.dumps(describe(operations), ensure_ascii=False, indent=1)

    async def show_openapi(_: Incoming) -> web.Response:
        """This description"""
        return web.Response(text=document(), content_type=JSON)

    return operation("GET", "/api/openapi.json", show_openapi, ANYONE, gives=JSON)


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document for `operations`."""
    rows = list(operations)
    models = {m for row in rows for m in (row.takes, row.gives) if isinstance(m, type)} | {Failure}
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(path_of(row), {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Proofcall", "version": VERSION, "description": "Live verification of a parcel."},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def path_of(row: Operation) -> str:
    """The path as OpenAPI writes it: `{tile:.+}`, which takes the rest of a path, is `{tile}` there."""
    return _PARAMETER.sub(r"{\1}", row.path)


def _operation(row: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    for name, pattern in _PARAMETER.findall(row.path):
        parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if pattern:
            parameter["description"] = (
                "The rest of the path. Its slashes stay as they are, which OpenAPI cannot say."
            )
        parameters.append(parameter)
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in row.query]
    parameters += [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in row.headers
    ]
    answer: dict[str, Any] = {"description": row.summary}
    if row.gives is not None:
        answer["content"] = _content(row.gives)
    document: dict[str, Any] = {
        "summary": row.summary,
        "operationId": row.handler.__name__,
        "responses": {
            str(row.status): answer,
            "default": {"description": "What went wrong", "content": _content(Failure)},
        },
    }
    if parameters:
        document["parameters"] = parameters
    if row.takes is not None:
        document["requestBody"] = {"required": True, "content": _content(row.takes)}
    if row.allowed != ANYONE:
        document["security"] = [{"bearer": []}]
        document["x-allowed"] = sorted(row.allowed)
    return document


def _content(shape: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(shape, str):
        return {shape: {"schema": {"type": "string"}}}
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}}
