"""Speed, beside what a user would pick instead.

    make bench [ARGS="--only dense,sparse --rounds 3 --quick"]

Everybody does the same work on this machine in this run, in turns, and the order is checked in every turn. Ends with a
table and a plot; all raw results are kept in var/bench/. Exits with 1 when the order was broken or a turn failed.
"""

import argparse
import datetime as dt
import os
import sys
from pathlib import Path

from benchmarks import python_packages

CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="measures by comma; --list shows their names")
    parser.add_argument("--who", default="", help="only contenders whose name holds one of these words, by comma")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that everything runs")
    parser.add_argument("--history", type=int, default=0, help="settled rows behind the growth measure, 10000000 say")
    parser.add_argument("--list", action="store_true", help="the names of the measures, and nothing else")
    parser.add_argument("--report", nargs="+", type=Path, metavar="JSON", help="only a table and a plot of these files")
    parser.add_argument("--publish", action="store_true", help="with --report: put it into docs/performance.md")
    options = parser.parse_args()
    os.chdir(CHECKOUT)
    python_packages.install(_say)
    from benchmarks.report import report
    from benchmarks.run import names, run

    if options.list:
        print("\n".join(names()))
        return 0
    if options.report:
        from benchmarks.publish import publish
        from benchmarks.record import Record

        record = Record.read(*options.report)
        if options.publish:
            _say(f"Written: {' '.join(map(str, publish(record)))}")
        return report(record, options.report[0].with_suffix(""))
    path = CHECKOUT / "var" / "bench" / f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H-%M-%S}.json"
    unknown = set(filter(None, options.only.split(","))) - set(names())
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}; --list shows them")
    record = run(options, path, _say)
    return report(record, path.with_suffix(""))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
