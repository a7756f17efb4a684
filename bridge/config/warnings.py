"""Warnings about settings that work, and are probably not meant."""

from collections.abc import Iterable, Iterator

from bridge.config.settings import Config

_VENDORS_LIMIT = 250
_SHORT = 16


def warnings_about(config: Config) -> Iterator[str]:
    """One sentence for each setting that works, and is probably not meant as it is."""
    yield from (f"{name} {text}" for name, text in config.unknown_variables.items())
    yield from _receiver_warnings(config)
    if config.ephemeral_disk and config.cache_url.startswith("sqlite:"):
        yield (
            "the disk of this machine is emptied at each restart, and the store with it: the"
            " history of the sessions, and cover in an outage, end with each restart; set REDIS_URL"
        )
    if config.requests_per_minute > _VENDORS_LIMIT:
        yield f"TEAMUP_REQUESTS_PER_MINUTE is over TeamUp's own limit of {_VENDORS_LIMIT}"
    secrets = {
        # the sandbox's is no secret
        "TEAMUP_API_TOKEN": () if config.sandbox or not config.token else (config.token,),
        "FEED_SIGNING_KEYS": config.signing_keys,
        "OPERATOR_TOKEN": (config.operator_token,) if config.operator_token else (),
        "CHANGES_KEY": (config.changes_key,) if config.changes_key else (),
    }
    for name, secret in secrets.items():
        if any(len(value) < _SHORT for value in secret):
            yield f"{name} is shorter than {_SHORT} characters, which can be guessed"
        if any(value[0] == value[-1] and value[0] in "\"'" for value in secret):
            yield f"{name} is written in quotation marks, which are taken as a part of it"
    yield from _shared_tokens(config.studios)
    if not config.schemes and config.token:
        yield "TEAMUP_API_TOKEN is not used, because TEAMUP_AUTH_SCHEME is none"
    if config.sandbox:
        yield "this is the bundled sandbox studio; set TEAMUP_API_TOKEN for your own"
    if config.public_base_url is None:
        yield "PUBLIC_BASE_URL is not set, so feeds do not carry their own address"


def _shared_tokens(studios: Iterable[Config]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for studio in studios:
        owner = owners.setdefault(studio.token, studio.slug)
        if studio.token and owner != studio.slug:
            yield (
                f"{owner} and {studio.slug} have the same token, so they show the same account,"
                " and TeamUp's limit of requests is for both together"
            )


def _receiver_warnings(config: Config) -> Iterator[str]:
    if config.changes_url and not config.changes_key:
        yield (
            "CHANGES_URL is set without CHANGES_KEY, so its receiver cannot tell whether changes"
            " come from this bridge"
        )
    if config.changes_key and not config.changes_url:
        yield "CHANGES_KEY is not used, because CHANGES_URL is not set"
