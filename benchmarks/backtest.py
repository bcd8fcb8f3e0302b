"""30 days of 6 gates at 15 s: what a backtest costs this process, from the first byte of the answers to the results.

`cpu_s` is user and system time of this process (reading, decoding, counting, judging), `modules_s` what importing takes
before. The history is made up and served by another process (benchmarks/synthetic.py), so its work is not counted.
"""

import argparse
import resource
import time

GOAL_S = 10.0
STEP_S = 15.0


def main() -> None:
    """Run the benchmark and write build/bench/backtest.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30.0, help="how much history (default 30)")
    wanted = parser.parse_args()
    began_s = time.process_time()
    import yaml

    from benchmarks import synthetic
    from benchmarks.figures import write
    from modelrelease.backtest.arms import Arms, Named
    from modelrelease.backtest.client import range_client
    from modelrelease.backtest.history import History, Span
    from modelrelease.backtest.replay import Incident
    from modelrelease.backtest.study import Settings, study
    from modelrelease.cli import measure
    from modelrelease.domain.exposure import REST
    from modelrelease.metrics.source import SourceSettings
    from modelrelease.metrics.subscription import Place

    modules_s = time.process_time() - began_s
    until_s = time.time() // STEP_S * STEP_S
    since_s = until_s - wanted.days * 86400
    docs = list(yaml.safe_load_all(synthetic.MANIFEST))
    begin_s, days = since_s - 3600, wanted.days + 1 / 24
    with synthetic.running(begin_s, days, STEP_S) as address:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        spec = docs[0]["spec"]
        plan, _ = measure.plan_from(spec, measure.offline_templates(docs, spec))
        arms = Arms(Named({"version": "v2"}), Named({"version": "v1"}))
        history = History(Span(since_s, until_s, STEP_S), interval_s=STEP_S, arms=arms, divide=True)
        client = range_client(SourceSettings("default", address), timeout_s=120.0, max_answer_bytes=1 << 29)
        for gate in plan.gates:
            history.add(gate, [Place(REST, {}, {})], client, value_namespace=("namespace", "assistants"))
        history.read(threads=2, done=lambda number: None)
        read_s = time.process_time() - cpu_s
        incidents = tuple(Incident(*times) for times in synthetic.incidents(begin_s, days))
        found = study(history, Settings(plan, 1, incidents=incidents), itself=False)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    results = [result for phase in found for result in phase.results]
    series = sum(len(reading.meters) for reading in history._known.values())
    write(
        "backtest",
        {
            "days": wanted.days,
            "gates": len(results),
            "step_s": STEP_S,
            "windows": history.span.grid.count,
            "counters": series,
            "cpu_s": round(cpu_s, 2),
            "read_cpu_s": round(read_s, 2),
            "judge_cpu_s": round(cpu_s - read_s, 2),
            "modules_s": round(modules_s, 2),
            "wall_s": round(wall_s, 2),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "stops": sum(len(result.stops) for result in results),
            "goal": GOAL_S,
            "met": cpu_s <= GOAL_S,
        },
    )


if __name__ == "__main__":
    main()
