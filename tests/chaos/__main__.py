"""`python -m tests.chaos --seed 4`: a run of chaos, with the observer's table at its end; exit 1 on any finding."""

import argparse
import pickle
import sys
from pathlib import Path

from tests.chaos.nemeses import Nemesis, named
from tests.chaos.run import Wish, run
from tests.chaos.schedule import Pace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same harm again")
    parser.add_argument("--engagements", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--broker", choices=["valkey", "rabbitmq", "both"], default="both")
    parser.add_argument("--faults", default="", help="names of nemeses, separated by commas; all if left out")
    parser.add_argument("--calm", type=float, default=1.0, help="so many times longer between two faults")
    parser.add_argument("--expiry-bound", type=float, default=1.0, help="seconds; promise 3 says 1")
    parser.add_argument("--keep", type=Path, help="where to leave the history of a run that has findings")
    arguments = parser.parse_args()
    brokers = ["valkey", "rabbitmq"] if arguments.broker == "both" else [arguments.broker]
    only = [named(name) for name in arguments.faults.split(",") if name]
    held = [_one(arguments, broker, only) for broker in brokers]
    return 0 if all(held) else 1


def _one(arguments: argparse.Namespace, broker: str, only: list[Nemesis]) -> bool:
    _say(
        f"chaos: SEED={arguments.seed} ENGAGEMENTS={arguments.engagements} USERS={arguments.users} BROKER={broker}"
        + (f" FAULTS={arguments.faults}" if arguments.faults else "")
    )
    wish = Wish(
        seed=arguments.seed, engagements=arguments.engagements, users=arguments.users, broker=broker,
        only=only, pace=Pace(3 * arguments.calm, 12 * arguments.calm), expiry_bound_seconds=arguments.expiry_bound,
    )  # fmt: skip
    outcome = run(wish, _say)
    _say("")
    for line in outcome.lines:
        _say(line)
    _say("\n" + outcome.report.table())
    for finding in outcome.report.findings[:40]:
        _say(f"{finding.check}: {finding.sentence}")
    if arguments.keep and not outcome.holds:
        with arguments.keep.with_suffix(f".{arguments.seed}.{broker}.pickle").open("wb") as file:
            pickle.dump(outcome.history, file)
    _say("every promise held" if outcome.holds else "FINDINGS")
    return outcome.holds


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the run's report


if __name__ == "__main__":
    sys.exit(main())
