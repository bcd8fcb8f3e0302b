"""`python -m modelrelease.demo`: four releases of a real model on live traffic, and what becomes of each.

Ends with 0 when each release ended as it should, 1 when one did not, 130 after Ctrl-C.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from modelrelease.demo import story
from modelrelease.demo.plain import PlainView
from modelrelease.demo.play import Player
from modelrelease.demo.result import Result, table, write_summary
from modelrelease.demo.setting import Setting, set_up
from modelrelease.demo.view import LiveView
from modelrelease.sandbox.errors import SandboxError
from modelrelease.sandbox.progress import Progress, elapsed

INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of the live view.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the cluster afterwards, until Ctrl-C.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where summary.json goes.")] = Path("build/demo"),
) -> None:
    """Release four units of a real model on live traffic: a good one, a worse prompt, a worse model, one that fails.

    Starts a real cluster on this machine (Linux, loopback only, no containers), installs modelrelease in it and sends
    requests through its gateway. Takes about two minutes once the programs are cached, and ends everything it started.
    """
    began_s = time.time()
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with set_up(Progress()) as setting:
            results = _play(setting, console, live=console.is_terminal and not plain, began_s=began_s)
            path = write_summary(results, out)
            shutil.copyfile(setting.operator.log, out / "operator.log")
            console.print()
            console.print(table(results))
            for result in results:
                console.print(f"{result.chapter.version}: {result.reason}", markup=False)
            console.print(f"\n{path} was written after {elapsed(time.time() - began_s)}", soft_wrap=True)
            if keep:
                _keep(setting, console)
    except (SandboxError, TimeoutError) as error:
        console.print(f"the demo cannot go on: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("stopped; everything that was started is gone")
        raise typer.Exit(INTERRUPTED) from None
    complaints = [result.complaint for result in results if result.complaint]
    for complaint in complaints:
        console.print(f"not as it should be: {complaint}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1 if complaints else 0)


def _play(setting: Setting, console: Console, *, live: bool, began_s: float) -> list[Result]:
    view: LiveView | PlainView = LiveView(console) if live else PlainView(sys.stdout)
    results = []
    with view:
        player = Player(setting, view.show, began_s=began_s)
        for chapter in story.CHAPTERS:
            results.append(player.play(chapter))
            view.finish(results[-1])
    return results


def _keep(setting: Setting, console: Console) -> None:
    kubeconfig = setting.scene.sandbox.kubeconfig()
    console.print(f"\nthe cluster runs until Ctrl-C; in another terminal:\nexport KUBECONFIG={kubeconfig}")
    console.print(f"kubectl get modelreleases,releaserecords -n {story.NAMESPACE}")
    while True:
        time.sleep(1)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app()
