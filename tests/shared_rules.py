"""URL rules that applications share, because compiling them takes longer than many tests.

Flask.url_map_class = SharedRules
"""

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

from werkzeug.routing import Map, MapAdapter, Rule, RuleFactory

# An attribute that Flask adds to rules.
AUTOMATIC = "provide_automatic_options"


class SharedRules(Map):
    """Compiles its rules at their first use, once for all maps with equal rules."""

    _compiled: ClassVar[dict[Any, Map]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._added: list[Rule] = []
        self._current: Map | None = None

    def add(self, rulefactory: RuleFactory) -> None:
        self._added += rulefactory.get_rules(self)
        self._current = None

    def bind(self, *args: Any, **kwargs: Any) -> MapAdapter:
        return self._shared().bind(*args, **kwargs)

    def bind_to_environ(self, *args: Any, **kwargs: Any) -> MapAdapter:
        return self._shared().bind_to_environ(*args, **kwargs)

    def iter_rules(self, endpoint: str | None = None) -> Iterator[Rule]:
        return self._shared().iter_rules(endpoint)

    def is_endpoint_expecting(self, endpoint: str, *arguments: str) -> bool:
        return self._shared().is_endpoint_expecting(endpoint, *arguments)

    def _shared(self) -> Map:
        if self._current is None:
            with self._lock:
                switches = {
                    name: getattr(self, name)
                    for name in ("strict_slashes", "merge_slashes", "redirect_defaults")
                }
                kind = (*self._options.items(), *switches.items(), *self.converters.items())
                identity = (kind, tuple(map(_identity, self._added)))
                if identity not in self._compiled:
                    compiled = Map(**self._options, **switches)
                    compiled.converters.update(self.converters)
                    for rule in self._added:
                        compiled.add(_unbound(rule))
                    self._compiled[identity] = compiled
                self._current = self._compiled[identity]
        return self._current


def _unbound(rule: Rule) -> Rule:
    """*rule*, or a copy if it is in a map already."""
    if rule.map is None:
        return rule
    copy = rule.empty()
    if hasattr(rule, AUTOMATIC):
        setattr(copy, AUTOMATIC, getattr(rule, AUTOMATIC))
    return copy


def _identity(rule: Rule) -> tuple[Any, ...]:
    return (
        *(rule.rule, rule.endpoint, rule.subdomain, rule.host, rule.build_only, rule.alias),
        *(rule.websocket, rule.strict_slashes, rule.merge_slashes, rule.redirect_to),
        None if rule.methods is None else frozenset(rule.methods),
        tuple((rule.defaults or {}).items()),
        getattr(rule, AUTOMATIC, None),
    )
