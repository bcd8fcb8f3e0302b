"""Starting the operator as a process: logs, signals, exit codes."""

import asyncio
import signal

import structlog

from modelrelease.controller.kube import ApiError
from modelrelease.controller.picture import StartError
from modelrelease.controller.run import Operator
from modelrelease.controller.settings import OperatorSettings

log = structlog.get_logger()

EXIT_OK, EXIT_START, EXIT_LOST = 0, 1, 2


def run_operator(settings: OperatorSettings) -> int:
    """Run until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 could not start, 2 lost the Lease or a part ended."""
    return asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    operator = Operator(settings)
    try:
        await operator.run(stop)
    except (StartError, ApiError, OSError) as error:
        log.error("cannot start", error=str(error))
        return EXIT_START
    return EXIT_OK if stop.is_set() else EXIT_LOST
