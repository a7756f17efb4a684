"""The description of the API (OpenAPI 3.1), made from the tables of parameters, kinds and formats.

https://spec.openapis.org/oas/v3.1.1.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from bridge.feeds.formats import CHANGE_FORMATS, FORMATS, JSON
from bridge.feeds.formats.base import Format
from bridge.feeds.params import IGNORED, OPTIONS, FeedDefaults, offered_values
from bridge.feeds.spec import PATH_FIELDS, SINGLE_SESSION_SOURCES, Kind
from bridge.filter_params import ALIASES, PARAMETERS
from bridge.param_values import MAX_VALUES, Parameter
from bridge.web import catalogue_document
from bridge.web.error_pages import TITLES
from bridge.web.routing import ID_WITH_SLUG

_Object = Mapping[str, Any]

_ALIASES = ", ".join(f"`{alias}` for `{name}`" for alias, name in ALIASES.items())
_DESCRIPTION = f"""\
The timetable of a studio as feeds. A session is an ordinary class or a session of a course.

* A parameter with several values is repeated, or has them separated by commas; spaces around them
  are ignored, at most {MAX_VALUES} are accepted.
* `past` and `future` cannot be combined with a bound on the same side (`…_gte`, `…_lte`). A range
  whose beginning is after its end is refused, and so is a parameter given under two names.
* Second names are accepted: {_ALIASES}.
* An unknown parameter or value is refused with 400. The message names it and says what is accepted.
* Ignored everywhere are {", ".join(f"`{name}`" for name in sorted(IGNORED))} and `utm_*`. `&amp;`
  is read as `&`.
* The feed of a course has no window. All others have one by default, unless `past`, `future` or a
  bound replaces it: the last {{past}} and the next {{future}} days.
* A well-formed id that is unknown gives an empty feed, with the header `Bridge-Notice`.
* HEAD works wherever GET does. OPTIONS answers CORS preflight requests.
* Responses have an ETag and a Last-Modified date: with `If-None-Match` or `If-Modified-Since` an
  unchanged one is a 304 without a body. `Accept-Encoding: gzip` is honoured.
"""

_SUMMARIES = {
    Kind.VENUE: "The sessions at a venue",
    Kind.ROOM: "The ordinary classes in a room",
    Kind.INSTRUCTOR: "The sessions of an instructor",
    Kind.COURSE: "All sessions of a course, past and future",
    Kind.TYPE: "The sessions of a class type",
    Kind.CLASS: "A single ordinary class",
    Kind.SESSION: "A single session of a course",
}
_PATH_PARAMETERS: Mapping[str, _Object] = {
    "id": {
        "description": "A name may follow the id, and has no effect: `12-riverside-studio`.",
        "schema": {"type": "string", "pattern": f"^{ID_WITH_SLUG}$", "examples": ["12"]},
    },
    "token": {"schema": {"type": "string", "minLength": 1}},
}
_ERRORS = (400, 404, 405, 414, 429, 431, 500, 503)
_STRING, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_HEADERS: Mapping[str, tuple[str, _Object]] = {
    "ETag": ("A digest of the bytes, the same on every machine.", _STRING),
    "Cache-Control": ("For how long caches may keep it.", _STRING),
    "Vary": ("`Accept-Encoding`.", _STRING),
    "Access-Control-Allow-Origin": ("Other origins may read it.", {"const": "*"}),
    "Age": ("Seconds since TeamUp was read.", _NUMBER),
    "Cache-Status": ("How the bridge's cache answered (RFC 9211).", _STRING),
    "Last-Modified": (
        "When the content last changed; not in a 304, and not with `limit`.",
        _STRING,
    ),
    "Content-Disposition": ("A file name; not in a 304.", _STRING),
    "Link": ("The page for people; not in private feeds.", _STRING),
    "Bridge-Notice": ("What a reader should know, if anything.", _STRING),
    "Retry-After": ("Seconds.", _NUMBER),
    "Allow": ("The accepted methods.", _STRING),
}
"""Of each header, what it says, and the schema of its value."""
_OPTIONAL = frozenset(("Last-Modified", "Content-Disposition", "Link", "Bridge-Notice"))
_ALWAYS = ("ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin")
_OF_COPIES = (*_ALWAYS, "Age", "Cache-Status", "Last-Modified")
_OF_FEEDS = (*_OF_COPIES, "Content-Disposition", "Link", "Bridge-Notice")
_OF_ERRORS = {405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def openapi_document(defaults: FeedDefaults, *, server: str, catalogue: bool) -> dict[str, Any]:
    """The description of the API with the studio's settings.

    Args:
        server: the bridge's own address, or the path below which it is served; may be empty.
        catalogue: whether there is a catalogue.
    """
    filters, options = _offered(PARAMETERS, defaults), _offered(OPTIONS, defaults)
    forms = (*FORMATS.values(), *CHANGE_FORMATS.values())
    paths: dict[str, Any] = {}
    for kind, form in product(Kind, forms):
        own = [] if kind in SINGLE_SESSION_SOURCES else [*filters]
        if kind in PATH_FIELDS:
            own.remove(PATH_FIELDS[kind])
        names = ("id", *own, *options, *form.params)
        paths[f"/{kind.value}/{{id}}{form.ending}"] = _feed(_SUMMARIES[kind], names, form)
    for form in forms:
        names = (*filters, *options, *form.params)
        summary = "The sessions that all filters select"
        paths[f"/{Kind.SESSION.value}{form.ending}"] = _feed(summary, names, form)
    for form in forms:
        summary = "A private feed, at the address that its owner was given"
        paths[f"/private/{{token}}{form.ending}"] = _feed(summary, ("token", *form.params), form)
    if catalogue:
        paths["/catalogue.json"] = _get(
            "Everything that there is a feed of", (), _json("Catalogue"), _OF_COPIES, JSON
        )
    paths["/openapi.json"] = _get("This description", (), _json("Description"), _ALWAYS, JSON)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "TeamUp feed bridge",
            "version": "1",
            "description": _DESCRIPTION.format(past=defaults.past, future=defaults.future),
        },
        "servers": [{"url": server or "/"}],
        "paths": _with_ids(paths),
        "components": {
            "parameters": {
                **{name: _path_parameter(name) for name in _PATH_PARAMETERS},
                **{name: _query_parameter(name, filters[name]) for name in filters},
                **{name: _query_parameter(name, options[name]) for name in options},
                **{
                    name: _query_parameter(name, parameter)
                    for form in forms
                    for name, parameter in form.params.items()
                },
            },
            "headers": {
                name: {"description": text, "required": name not in _OPTIONAL, "schema": schema}
                for name, (text, schema) in _HEADERS.items()
            },
            "responses": {
                _error_name(code, form): _error(code, form) for code in _ERRORS for form in forms
            },
            "schemas": {
                **{f"Feed.{form.name}": form.schema for form in forms},
                **{f"Error.{form.name}": form.error_schema for form in forms},
                "Catalogue": catalogue_document.SCHEMA,
                "Description": {"type": "object", "required": ["openapi", "info", "paths"]},
            },
        },
    }


def _offered(table: Mapping[str, Parameter], defaults: FeedDefaults) -> dict[str, Parameter]:
    """The parameters in *table*, with the values that the studio offers."""
    offered = {
        name: [value.value for value in values]
        for name, values in offered_values(defaults).items()
        if name in table
    }
    narrowed = {
        name: replace(table[name], schema={**table[name].schema, "enum": values})
        for name, values in offered.items()
    }
    return {
        name: narrowed.get(name, parameter)
        for name, parameter in table.items()
        if name not in ALIASES and offered.get(name) != []
    }


def _path_parameter(name: str) -> _Object:
    return {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}


def _query_parameter(name: str, parameter: Parameter) -> _Object:
    schema = parameter.schema
    if parameter.several:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_VALUES}
    return {"name": name, "in": "query", "description": parameter.meaning, "schema": schema}


def _feed(summary: str, names: Iterable[str], form: Format) -> _Object:
    media_type = form.media_type.partition(";")[0]
    content = {media_type: {"schema": _reference("schemas", f"Feed.{form.name}")}}
    what = f"The changes of: {summary}" if form.of_changes else summary
    return _get(f"{what}; {form.suffix}", names, content, _OF_FEEDS, form)


def _json(schema: str) -> _Object:
    return {"application/json": {"schema": _reference("schemas", schema)}}


def _get(
    summary: str, names: Iterable[str], content: _Object, headers: Iterable[str], form: Format
) -> _Object:
    """A path with its one operation.

    Args:
        names: of its parameters.
        content: of a 200, by media type.
        headers: of a 200 and of a 304.
        form: the format of its errors.
    """
    listed = {name: _reference("headers", name) for name in headers}
    responses = {
        "200": {"description": summary, "headers": listed, "content": content},
        "304": {"description": "It has not changed.", "headers": listed},
        **{str(code): _reference("responses", _error_name(code, form)) for code in _ERRORS},
    }
    parameters = [_reference("parameters", name) for name in names]
    return {"get": {"summary": summary, "parameters": parameters, "responses": responses}}


def _with_ids(paths: Mapping[str, Any]) -> _Object:
    """*paths*, whose operations have unique ids, by which generated clients name them."""
    return {
        path: {"get": {"operationId": "_".join(re.findall(r"\w+", path)), **item["get"]}}
        for path, item in paths.items()
    }


def _error_name(code: int, form: Format) -> str:
    return f"{code}.{form.name}"


def _error(code: int, form: Format) -> _Object:
    media_type = form.error_type.partition(";")[0]
    return {
        "description": TITLES[code],
        "headers": {name: _reference("headers", name) for name in _OF_ERRORS.get(code, ())},
        "content": {media_type: {"schema": _reference("schemas", f"Error.{form.name}")}},
    }


def _reference(section: str, name: str) -> _Object:
    return {"$ref": f"#/components/{section}/{name}"}
