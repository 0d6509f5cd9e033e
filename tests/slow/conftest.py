"""No test hangs: one that takes too long loses the processes that it waits for, and so it fails by itself."""
import threading

import psutil
import pytest

LIMIT = 300  # seconds, many times what most tests here take; @pytest.mark.limit(seconds) sets another


def end_children() -> None:
    """End the browser, the servers and the kernels, and all that they have started."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """From the first fixture to the last: what hangs while it closes is ended as well."""
    marker = item.get_closest_marker("limit")
    timer = threading.Timer(marker.args[0] if marker else LIMIT, end_children)
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()
