"""From failure to the last candidate answer on the wire: the real cluster, 100 requests/s, candidate at 20 %.

Each run: a candidate settles at 20 %, then half of its answers turn 500 at a moment that is not in step with scrapes.
Measured at the load generator: seconds from that moment to the last answer that the candidate gave, and errors served.
"""

import argparse
import random
import time

from benchmarks.figures import spread, write
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.scene import Scene, install, operator_part

RATE_PER_S = 100.0
SETTLED_S = 6.0
SILENCE_S = 2.5


def main() -> None:
    """Run the benchmark and write build/bench/revert.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many reverts to measure (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments of failure")
    wanted = parser.parse_args()
    moments = random.Random(wanted.seed)
    wire_s, errors, reasons = [], [], []
    with Sandbox("bench-revert") as sandbox:
        install(sandbox)
        operator = operator_part(sandbox)
        operator.start()
        scene = Scene(sandbox, sandbox.create_namespace("bench"))
        scene.serve("v1")
        scene.serve("v2")
        scene.source(tick="1s", scrape="1s")
        scene.route("v1")
        scene.settle()
        for run in range(wanted.runs):
            last_s, failed, reason = one(scene, run, moments.uniform(0.0, 1.0))
            wire_s.append(last_s)
            errors.append(float(failed))
            reasons.append(reason)
            print(f"run {run + 1} of {wanted.runs}: {last_s:.2f} s, {failed} errors; {reason}", flush=True)
        operator.stop()
    write("revert", {"runs": wanted.runs, "wire_s": spread(wire_s), "errors": spread(errors, 0)})


def one(scene: Scene, run: int, offset_s: float) -> tuple[float, int, str]:
    """One revert: seconds to the last candidate answer after the failure began, errors served, the reason."""
    scene.models["v2"].set_behaviour(failure_fraction=0.0)
    stages = [
        {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "10m"},
        {"name": "full", "exposure": [{"percent": "100"}]},
    ]
    with LoadThread(scene.load(RATE_PER_S, 90)) as load:
        scene.release("v2", stages=stages, unit={"version": f"2.{run}"})
        scene.wait("broad", lambda status: (status.get("stage") or {}).get("name") == "broad")
        time.sleep(SETTLED_S + offset_s)
        began = time.time()
        scene.models["v2"].set_behaviour(failure_fraction=0.5)
        status = scene.wait_state("Stopped", timeout_s=60)
        time.sleep(SILENCE_S)
        samples = load.stop()
    answers = [s.answered_at_s for s in samples if s.release == status["candidate"]["revision"] and s.answered_at_s]
    failed = sum(1 for s in samples if s.status >= 500)
    return max(answers) - began, failed, status["stop"]["message"]


if __name__ == "__main__":
    main()
