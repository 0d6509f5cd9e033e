"""A pytest plugin (loaded by pyproject.toml): where CI is set, as CI services do, a test that lacks a tool fails.

Elsewhere it is skipped: a reader without Chromium or git can run everything else. A CI run that quietly leaves a part
out, though, would call good what nobody has tried.
"""
import os
import re

import pytest

OF_THE_SYSTEM = re.compile(r"\b(Windows|Linux|GPU|Python 3\.10|HEIC|resource)\b")  # no installation could mend these


def strict(report):
    """The report of a test or a file; as failed if it was skipped for lack of something that can be installed."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        if not OF_THE_SYSTEM.search(reason):
            report.outcome, report.longrepr = "failed", f"CI may not leave this out. {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return strict((yield))
