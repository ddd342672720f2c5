"""The end of the demo: a line per user, judged by the same proof that the API and verify_order give."""

from engagements.management.demo.screen import Screen
from engagements.management.demo.stage import Stage
from engagements.models import Attempt, Engagement
from engagements.selectors import proof


def show_verdict(stage: Stage, screen: Screen) -> bool:
    """Print a line per user and what is wrong; whether nothing is."""
    stored = Engagement.objects.in_bulk(list(stage.items))
    lines: list[tuple[str, ...]] = []
    wrong: list[str] = []
    for name in dict.fromkeys(item.user for item in stage.items.values()):
        found = [
            violation
            for check in proof.of_user(stage.people.id(name)).checks
            if check.count
            for violation in check.violations
        ]
        items = [item for item in stage.items.values() if item.user == name]
        found += [
            f"{item.text!r} is {stored[item.id].status}; nothing kept it from being {item.ends}"
            for item in items
            if stored[item.id].status != item.ends
        ]
        wrong += [f"{name}: {violation}" for violation in found]
        own = [stored[item.id] for item in items]
        numbers = (
            len(own),
            sum(engagement.status == "delivered" for engagement in own),
            sum(engagement.status == "expired" for engagement in own),
            sum(engagement.late for engagement in own),
            Attempt.objects.filter(engagement__in=own).count(),
        )
        lines.append((name, *map(str, numbers), "NO" if found else "yes"))
    screen.table(("user", "posted", "delivered", "expired", "late", "attempts", "in order"), lines)
    for violation in wrong:
        screen.say(violation, style="bold red")
    return not wrong
