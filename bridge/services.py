"""Wiring: creates all parts of the bridge and passes each its dependencies."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from bridge.background import start_daemon
from bridge.bounded_cache import CacheMemory
from bridge.clock import Clock, SystemClock
from bridge.config import Config, UpstreamPlan
from bridge.feeds.feed import Feeds, FirstRenders
from bridge.feeds.last_modified import LastModified
from bridge.feeds.params import FeedDefaults
from bridge.feeds.private import PrivateFeeds
from bridge.filters import FilterSet
from bridge.model import SourceName
from bridge.ops.alert_rules import AlertRules
from bridge.ops.alerts import AlertOutbox, Alerts
from bridge.ops.change_counts import ChangeCounts
from bridge.ops.change_outbox import ChangeOutbox
from bridge.ops.clashes import ClashReport
from bridge.ops.metrics import Metrics
from bridge.ops.periodic import PeriodicTasks
from bridge.ops.readiness import Readiness
from bridge.ops.sender import Sender
from bridge.ops.status_report import StatusReport
from bridge.ops.studio_name import StudioName
from bridge.ops.usage import UsageCounter
from bridge.ops.webhook import Webhook
from bridge.snapshots.backoff import Backoff
from bridge.snapshots.bulkhead import WAITING, Bulkhead
from bridge.snapshots.cache import SnapshotCache
from bridge.snapshots.change_log import ChangeLog, ChangeLogs
from bridge.snapshots.freshness import FreshnessPolicy
from bridge.snapshots.key_registry import KeyRegistry
from bridge.snapshots.local_cache import LocalCache
from bridge.snapshots.prefetch import Prefetcher
from bridge.snapshots.publisher import Publisher
from bridge.snapshots.refresh import Refresher
from bridge.snapshots.router import SnapshotRouter
from bridge.snapshots.session_history import SessionHistory
from bridge.snapshots.single_flight import PrioritySemaphore
from bridge.snapshots.source_router import NarrowRouter, SourceRouter, WideRouter
from bridge.store.interface import Store
from bridge.store.keys import Keys
from bridge.store.opening import open_store
from bridge.store.request_budget import SharedRequestBudget
from bridge.upstream.account import Account
from bridge.upstream.client import Client
from bridge.upstream.pagination import Walker, WalkLimits
from bridge.upstream.sources import SOURCES, Source

_PAGE_BYTES = 8 * 1024 * 1024
SHARE_DIVISOR = 4
"""A studio may use at most a quarter of the threads, bulkhead permits and refreshes that studios
share."""

_REFRESHES = 8
"""How many refreshes of several studios run at a time in one process. When a server starts, all
studios are due at once."""


@dataclass(frozen=True)
class SharedServices:
    """What all studios of this process share.

    Attributes:
        waiting: the limit on threads that wait for upstream.
        refreshes: the limit on running refreshes, if there are several studios.
        feed_memory, page_memory, response_memory: for what is rendered.
    """

    clock: Clock
    store: Store
    metrics: Metrics
    waiting: Bulkhead
    refreshes: PrioritySemaphore
    feed_memory: CacheMemory
    page_memory: CacheMemory
    response_memory: CacheMemory

    @classmethod
    def of(
        cls,
        config: Config,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
    ) -> "SharedServices":
        """Create them from the settings, which all studios have in common.

        Args:
            clock: replaces the system clock.
            store: replaces the store of the settings.

        Raises:
            ConfigError: the store of the settings cannot be used.
        """
        clock = clock or SystemClock()
        metrics = Metrics(by_studio=bool(config.studios))
        return cls(
            clock=clock,
            store=store or open_store(config, clock, metrics),
            metrics=metrics,
            waiting=Bulkhead(),
            refreshes=PrioritySemaphore(_REFRESHES),
            feed_memory=CacheMemory(config.cache_max_bytes // 2),
            page_memory=CacheMemory(_PAGE_BYTES),
            response_memory=CacheMemory(config.cache_max_bytes // 2),
        )


@dataclass(frozen=True)
class Services:
    """The parts of a running bridge for one studio."""

    config: Config
    shared: SharedServices
    clock: Clock
    first_renders: FirstRenders
    last_modified: LastModified
    store: Store
    client: Client
    walkers: Mapping[SourceName, Walker]
    refresher: Refresher
    prefetcher: Prefetcher
    router: SnapshotRouter
    feeds: Feeds
    private: PrivateFeeds
    usage: UsageCounter
    studio_name: StudioName
    report: StatusReport
    metrics: Metrics
    senders: Sequence[Sender[Any]]
    change_outbox: ChangeOutbox
    periodic: PeriodicTasks
    readiness: Readiness
    defaults: FeedDefaults

    def start(self) -> None:
        """Start the background threads of a server."""
        start_daemon(self._warm_up, "warm-up")
        if self.config.refresh_ahead:
            self.prefetcher.start()
        # Send what the last process left.
        for sender in self.senders:
            sender.begin()
        self.periodic.start()

    def _warm_up(self) -> None:
        """Open the store and load the widest snapshot, so that the first request need not wait."""
        self.router.peek_widest()
        self.readiness.start()
        self.usage.refresh()
        self.studio_name.refresh()
        if self.config.changes_url is None:
            self.change_outbox.forget()

    def stop_refreshing(self) -> None:
        """Cancel walks, so that no request waits for them, and release their leases."""
        self.readiness.close()
        self.prefetcher.close()
        self.refresher.stop()
        self.studio_name.close()
        self.client.close()
        self.refresher.close()

    def finish(self) -> None:
        """Run the periodic tasks once more, and let deliveries end."""
        self.periodic.close()
        for sender in self.senders:
            sender.finish()

    def close(self) -> None:
        """Stop the background threads, and close connections and files.

        The store stays open if studios share it.
        """
        self.stop_refreshing()
        self.finish()
        for sender in self.senders:
            sender.close()
        if not self.config.slug:
            self.store.close()


def build(
    config: Config,
    *,
    clock: Clock | None = None,
    store: Store | None = None,
    shared: SharedServices | None = None,
) -> Services:
    """Create all services of one studio.

    Args:
        clock, store: as for :meth:`SharedServices.of`.
        shared: what it shares with other studios.

    Raises:
        ConfigError: the store of the settings cannot be used.
    """
    shared = shared or SharedServices.of(config, clock=clock, store=store)
    clock, store = shared.clock, shared.store
    metrics = shared.metrics.of(config.slug)
    account = Account.of(config)
    keys = Keys(account.name)
    budget = SharedRequestBudget(store, keys, per_minute=config.requests_per_minute)
    client = Client(
        account,
        budget,
        clock,
        connections=config.page_concurrency * len(config.sources),
        instrumentation=metrics,
    )
    sources = [source for name, source in SOURCES.items() if name in config.sources]
    walkers = {
        source.name: Walker(
            client,
            budget,
            source,
            clock,
            style=config.list_style,
            concurrency=config.page_concurrency,
            limits=WalkLimits(config.walk_max_rows, config.walk_max_bytes),
            now=store.now,
        )
        for source in sources
    }
    freshness = FreshnessPolicy.of(config)
    senders: list[Sender[Any]] = []
    alert_sender: Sender[AlertOutbox] | None = None
    if config.alert_url is not None:
        webhook = Webhook(config.alert_url)
        alert_sender = Sender(AlertOutbox(store, keys), webhook, store, keys, metrics)
        senders.append(alert_sender)
    alerts = Alerts(store, keys, alert_sender, config.slug)
    local_cache = LocalCache(store, keys, clock)
    backoff = Backoff(store, keys)
    history = SessionHistory(store, keys)
    change_logs = ChangeLogs(store, keys)
    publisher = Publisher(
        store=store,
        keys=keys,
        local_cache=local_cache,
        freshness=freshness,
        history=history,
        change_logs=change_logs,
        alerts=alerts,
    )
    refresher = Refresher(
        store=store,
        keys=keys,
        local_cache=local_cache,
        walkers=walkers,
        publisher=publisher,
        freshness=freshness,
        backoff=backoff,
        clock=clock,
        instrumentation=metrics,
        slot=PrioritySemaphore(_REFRESHES // SHARE_DIVISOR, shared.refreshes).acquire
        if config.slug
        else nullcontext,
    )
    registry = KeyRegistry(store, keys, clock)
    cache = SnapshotCache(
        store=store,
        local_cache=local_cache,
        refresher=refresher,
        freshness=freshness,
        backoff=backoff,
        history=history,
        registry=registry,
        budget=budget,
        clock=clock,
        bulkhead=Bulkhead(WAITING // SHARE_DIVISOR, shared.waiting)
        if config.slug
        else shared.waiting,
    )
    routers = {source.name: _source_router(config, source, cache, clock) for source in sources}
    router = SnapshotRouter(routers, cache, backoff, clock)
    usage = UsageCounter(store, keys)
    first_renders = FirstRenders()
    last_modified = LastModified(store, keys)
    defaults = FeedDefaults.of(config)

    def load_change_logs() -> list[ChangeLog]:
        return [change_logs.load(name) for name in walkers]

    change_outbox = ChangeOutbox(
        store,
        keys,
        logs=change_logs,
        sources=list(walkers),
        router=router,
        defaults=defaults,
        signing_key=config.changes_key,
        studio=config.slug,
    )
    change_sender = None
    if config.changes_url is not None:
        webhook = Webhook(config.changes_url)
        change_sender = Sender(change_outbox, webhook, store, keys, metrics)
        senders.append(change_sender)
    clashes = ClashReport(router)
    report = StatusReport(
        router=router,
        backoff=backoff,
        usage=usage,
        budget=budget,
        freshness=freshness,
        store=store,
        audience=defaults.audience,
        changes=ChangeCounts(router, load_change_logs),
        clashes=clashes,
        senders=senders,
    )
    metrics.add_gauges(report.gauges)
    studio_name = StudioName(
        config.studio_name,
        config.provider_id,
        client=client,
        store=store,
        keys=keys,
        clock=clock,
    )
    prefetcher = Prefetcher(
        store=store,
        keys=keys,
        cache=cache,
        registry=registry,
        router=router,
        clock=clock,
        ttl=config.cache_ttl,
        instrumentation=metrics,
    )
    return Services(
        config=config,
        shared=shared,
        clock=clock,
        first_renders=first_renders,
        last_modified=last_modified,
        store=store,
        client=client,
        walkers=walkers,
        refresher=refresher,
        prefetcher=prefetcher,
        router=router,
        feeds=Feeds(
            router,
            last_modified,
            memory=shared.feed_memory,
            feed_max_bytes=config.feed_max_bytes,
            base_url=config.public_base_url,
            first_renders=first_renders,
            change_logs=load_change_logs,
            instrumentation=metrics,
        ),
        private=PrivateFeeds(store, keys, clock, keys=config.signing_keys, revoked=config.revoked),
        usage=usage,
        studio_name=studio_name,
        report=report,
        metrics=metrics,
        senders=senders,
        change_outbox=change_outbox,
        periodic=PeriodicTasks(
            clock,
            usage.flush,
            usage.refresh,
            studio_name.refresh,
            AlertRules(
                router, alerts, store, clashes=clashes, change_sender=change_sender
            ).evaluate,
            *(sender.begin for sender in senders),
            instrumentation=metrics,
        ),
        readiness=Readiness(
            router=router,
            cache=cache,
            clock=clock,
            eager=config.refresh_ahead,
            patient=bool(config.slug),
            instrumentation=metrics,
        ),
        defaults=defaults,
    )


def _source_router(
    config: Config, source: Source, cache: SnapshotCache, clock: Clock
) -> SourceRouter:
    if config.plan is UpstreamPlan.WIDE:
        return WideRouter(
            cache, source, clock, past=config.window_past_days, shrink_hold=config.shrink_hold
        )
    default = FilterSet(past=config.window_past_days, future=config.window_future_days)
    return NarrowRouter(cache, source, default, shrink_hold=config.shrink_hold)
