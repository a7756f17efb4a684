"""Wiring: which parts there are, and who is given whom. It happens here and nowhere else."""

import threading
from dataclasses import dataclass
from pathlib import Path

from bridge.bulkhead import Bulkhead
from bridge.cache.ahead import RefreshAhead
from bridge.cache.alerts import Alerts
from bridge.cache.asked import Asked
from bridge.cache.failures import Failures
from bridge.cache.keys import Keys
from bridge.cache.ledger import StoreLedger
from bridge.cache.lifetimes import Lifetimes
from bridge.cache.memories import Memories
from bridge.cache.memory import MemoryStore
from bridge.cache.plan import NarrowPlan, Plan, WidePlan
from bridge.cache.publisher import Publisher
from bridge.cache.readers import Readers
from bridge.cache.redis import RedisStore
from bridge.cache.refresher import Refresher
from bridge.cache.resilient import ResilientStore
from bridge.cache.rounds import Rounds
from bridge.cache.shelf import Shelf
from bridge.cache.snapshots import SnapshotCache
from bridge.cache.sqlite import SqliteStore
from bridge.cache.store import Store
from bridge.cache.watch import Watch
from bridge.clock import Clock, SystemClock
from bridge.config import Config, UpstreamPlan
from bridge.errors import ConfigError
from bridge.feeds.feed import Feeds, FirstRenders
from bridge.feeds.private import PrivateFeeds
from bridge.feeds.query import Defaults
from bridge.feeds.report import Report
from bridge.feeds.validators import Validators
from bridge.filters import FilterSet
from bridge.metrics import Metrics
from bridge.observer import UNOBSERVED, Observer
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.sources import COURSE_SESSIONS
from bridge.upstream.walk import Walker

_HOME = Path(__file__).parent.parent


@dataclass(frozen=True)
class Services:
    """The parts of a running bridge."""

    config: Config
    clock: Clock
    first_renders: FirstRenders
    store: Store
    client: Client
    walker: Walker
    refresher: Refresher
    ahead: RefreshAhead
    plan: Plan
    feeds: Feeds
    private: PrivateFeeds
    readers: Readers
    report: Report
    metrics: Metrics
    rounds: Rounds
    defaults: Defaults

    def start(self) -> None:
        """Begin what runs in the background of a server."""
        # Whoever asks first is not to wait until the store is open and the copy in it is read.
        threading.Thread(target=self.plan.known, name="first look", daemon=True).start()
        if self.config.refresh_ahead:
            self.ahead.start()
        self.rounds.start()

    def stop_refreshing(self) -> None:
        """End walks, and with them the waiting of requests; give leases back."""
        self.ahead.close()
        self.refresher.stop()
        self.client.close()
        self.refresher.close()

    def close(self) -> None:
        """Stop what runs in the background, and let go of connections and files."""
        self.stop_refreshing()
        self.rounds.close()
        self.store.close()


def build(config: Config, *, clock: Clock | None = None, store: Store | None = None) -> Services:
    """Put a bridge together.

    Args:
        store: in the place of the one that the settings name.

    Raises:
        ConfigError: the settings name a store that cannot be had.
    """
    clock = clock or SystemClock()
    metrics = Metrics()
    store = store or open_store(config, clock, metrics)
    account = Account.of(config)
    keys = Keys(account.name)
    ledger = StoreLedger(store, keys, per_minute=config.requests_per_minute)
    client = Client(account, ledger, clock, connections=config.page_concurrency, observer=metrics)
    walker = Walker(
        client,
        ledger,
        COURSE_SESSIONS,
        clock,
        origin=account.origin,
        style=config.list_style,
        concurrency=config.page_concurrency,
        now=store.now,
    )
    lifetimes = Lifetimes.of(config)
    alerts = Alerts(store, keys, config.alert_url)
    shelf = Shelf(store, keys, clock)
    failures = Failures(store, keys)
    publisher = Publisher(store=store, keys=keys, shelf=shelf, lifetimes=lifetimes, alerts=alerts)
    refresher = Refresher(
        store=store,
        keys=keys,
        shelf=shelf,
        walker=walker,
        publisher=publisher,
        lifetimes=lifetimes,
        failures=failures,
        clock=clock,
        observer=metrics,
    )
    asked = Asked(store, keys, clock)
    cache = SnapshotCache(
        store=store,
        shelf=shelf,
        refresher=refresher,
        lifetimes=lifetimes,
        failures=failures,
        memories=Memories(store, keys),
        asked=asked,
        ledger=ledger,
        clock=clock,
        bulkhead=Bulkhead(),
    )
    plan = _plan(config, cache, clock)
    readers = Readers(store, keys)
    first_renders = FirstRenders()
    defaults = Defaults.of(config)
    report = Report(
        plan=plan,
        failures=failures,
        readers=readers,
        ledger=ledger,
        lifetimes=lifetimes,
        store=store,
        audience=defaults.audience,
    )
    metrics.show(report)
    ahead = RefreshAhead(
        store=store,
        keys=keys,
        cache=cache,
        asked=asked,
        plan=plan,
        clock=clock,
        ttl=config.cache_ttl,
    )
    return Services(
        config=config,
        clock=clock,
        first_renders=first_renders,
        store=store,
        client=client,
        walker=walker,
        refresher=refresher,
        ahead=ahead,
        plan=plan,
        feeds=Feeds(
            plan,
            Validators(store, keys),
            # the other half is for answers that are ready (web/application.py)
            max_bytes=config.cache_max_bytes // 2,
            feed_max_bytes=config.feed_max_bytes,
            base_url=config.public_base_url,
            first_renders=first_renders,
            observer=metrics,
        ),
        private=PrivateFeeds(store, keys, clock, keys=config.signing_keys, revoked=config.revoked),
        readers=readers,
        report=report,
        metrics=metrics,
        rounds=Rounds(clock, readers.flush, Watch(plan, failures, alerts, store).look),
        defaults=defaults,
    )


def open_store(config: Config, clock: Clock, observer: Observer = UNOBSERVED) -> Store:
    """The store that the settings name, with this process's memory to stand in for it.

    Raises:
        ConfigError: it cannot be had.
    """
    store = bare_store(config, clock)
    return store if isinstance(store, MemoryStore) else ResilientStore(store, clock, observer)


def bare_store(config: Config, clock: Clock) -> Store:
    """The store that the settings name, which tells when it fails.

    Raises:
        ConfigError: it cannot be had.
    """
    scheme, _, rest = config.cache_url.partition("://")
    if scheme == "memory":
        return MemoryStore(clock)
    if scheme == "sqlite":
        # three slashes: relative to the folder of app.py; four: absolute
        return SqliteStore(_HOME / rest.removeprefix("/"), clock)
    try:
        return RedisStore(config.cache_url, clock)
    except ValueError as err:
        raise ConfigError(
            config.store_variable, "its address cannot be used", "redis://host:6379/0"
        ) from err


def _plan(config: Config, cache: SnapshotCache, clock: Clock) -> Plan:
    if config.plan is UpstreamPlan.WIDE:
        return WidePlan(cache, clock, past=config.window_past_days, shrink_hold=config.shrink_hold)
    default = FilterSet(past=config.window_past_days, future=config.window_future_days)
    return NarrowPlan(cache, COURSE_SESSIONS.object, default, shrink_hold=config.shrink_hold)
