"""Log lines of the bridge, the server and libraries."""

import io
import json
import logging
import logging.config
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from bridge.ops import log_config

Configure = Callable[[str], io.StringIO]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """A function that configures logging as in a worker, and returns the log as a stream."""
    # monkeypatch restores these, which the configuration changes, after the test.
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(logging, "_warnings_showwarning", None)
    root, server = logging.getLogger(), logging.getLogger("_granian")
    before = root.handlers[:], root.level, server.level, structlog.get_config()

    def make(log_format: str) -> io.StringIO:
        written = io.StringIO()
        monkeypatch.setattr(log_config, "STDERR", written)
        log_config.configure(log_format, "info")
        logging.config.dictConfig(log_config.standard_library(log_format, "info"))
        return written

    yield make
    root.handlers[:], root.level, server.level = before[:3]
    structlog.configure(**before[3])


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def fail() -> None:
    raise RuntimeError("an error of the test's own")


class FailsInDestructor:
    def __del__(self) -> None:
        fail()


def test_lines_of_the_bridge_the_server_and_libraries_have_one_form(configure: Configure) -> None:
    written = configure("json")
    structlog.get_logger().info("of the bridge", number=1)
    logging.getLogger("_granian.serve").info("of the %s", "server")
    logging.getLogger("library").warning("of a library")
    logging.getLogger("library").info("of no interest")
    assert [(line["event"], line["level"], line.get("logger")) for line in lines(written)] == [
        ("of the bridge", "info", None),
        ("of the server", "info", "_granian.serve"),
        ("of a library", "warning", "library"),
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines(written))


def test_a_traceback_is_part_of_its_line(configure: Configure) -> None:
    written = configure("json")
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("of the bridge")
        logging.getLogger("_granian").exception("of the server")
        logging.getLogger("library").error("of a library", stack_info=True)
    bridge, server, library = lines(written)
    assert bridge["exception"].endswith("RuntimeError: an error of the test's own")
    assert server["exception"].endswith("RuntimeError: an error of the test's own")
    assert "test_a_traceback_is_part" in str(library)


@pytest.mark.filterwarnings("default")
def test_uncaught_exceptions_and_warnings_are_logged(configure: Configure) -> None:
    written = configure("json")
    thread = threading.Thread(target=fail, name="a thread")
    thread.start()
    thread.join()
    FailsInDestructor()
    warnings.warn("of a library", UserWarning, stacklevel=1)
    in_thread, in_destructor, warning = lines(written)
    assert in_thread["event"] == "exception in thread 'a thread'"
    assert in_thread["exception"].endswith("RuntimeError: an error of the test's own")
    assert "FailsInDestructor.__del__" in in_destructor["event"]
    assert in_destructor["exception"].endswith("RuntimeError: an error of the test's own")
    assert "UserWarning: of a library" in warning["event"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_is_not_printable_is_escaped_in_all_values(
    configure: Configure, log_format: str
) -> None:
    # The last ones: a C1 control, a bidirectional override, a line separator.
    foreign = "é\x1b]0;title\x07\r\n\x9b\u202e\u2028"
    shown = r"é\x1b]0;title\x07\r\n\x9b\u202e\u2028"
    written = configure(log_format)
    try:
        raise RuntimeError(foreign)
    except RuntimeError as err:
        structlog.get_logger().exception(
            foreign, path=foreign, err=err, counts={foreign: [foreign]}
        )
        logging.getLogger("library").exception("of %s", foreign)
    # With LF and CRLF, other parsers end a line too.
    text = written.getvalue()
    assert text.replace("\n", "").isprintable()
    if log_format == "json":
        bridge, library = lines(written)
        assert bridge["event"] == bridge["path"] == shown
        assert bridge["counts"] == {shown: [shown]}
        assert library["event"] == f"of {shown}"
        # A traceback keeps its lines.
        assert "\n" in bridge["exception"]
    else:
        assert text.count(shown) >= 4


def test_a_thread_that_exits_is_not_logged_as_an_error(configure: Configure) -> None:
    written = configure("json")
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert lines(written) == []


def test_a_record_that_cannot_be_formatted_is_reported(configure: Configure) -> None:
    written = configure("json")
    logging.getLogger("library").warning("%d", "no number")
    [line] = lines(written)
    assert line["event"] == "bad log call"
    assert line["level"] == "error"
    assert "test_log_config.py:" in line["where"]
    assert "TypeError" in line["exception"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_notice_of_dropped_lines_has_the_same_form(
    configure: Configure, log_format: str
) -> None:
    stream: Any = configure(log_format)
    notice = stream.notice(12)
    assert notice.count("\n") == 1
    assert notice.endswith("\n")
    if log_format == "json":
        line = json.loads(notice)
        assert (line["event"], line["level"], line["count"]) == ("log lines dropped", "warning", 12)
    else:
        assert "log lines dropped" in notice
        assert "12" in notice
