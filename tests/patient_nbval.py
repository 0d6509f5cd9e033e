"""A pytest plugin (loaded by pyproject.toml): nbval, patient with cells that send thousands of messages.

nbval waits for a cell to finish before it reads what the cell has sent, so two things go wrong when a progress bar or
a widget sends a lot: ZeroMQ drops what does not fit its receive queue of 1,000 messages, the closing "idle" with it,
and a fixed limit of five seconds ends the wait for the next message. Only both remedies together help.

It is a plugin and not a conftest.py, because a conftest.py in this folder would not reach the notebooks' own folder.
"""
import nbval.kernel

OUTPUT_TIMEOUT = 120  # seconds


class PatientKernelManager(nbval.kernel.KernelManager):
    """Hands out kernel clients whose sockets have an unlimited receive queue."""

    def client(self, **kwargs):
        client = super().client(**kwargs)
        client.context.rcvhwm = 0
        return client


nbval.kernel.KernelManager = PatientKernelManager


def pytest_itemcollected(item):
    if hasattr(item, "output_timeout"):
        item.output_timeout = OUTPUT_TIMEOUT
