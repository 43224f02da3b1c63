"""Objectives as people write them: what is meant, and what mistakes are told."""

from fractions import Fraction

import pytest

from botstead.core.errors import ConfigurationError
from botstead.operate.objectives import document
from botstead.operate.objectives.model import Matcher, Objectives, Term, Tiers, load_objectives, load_tiers, seconds

WHOLE = """\
objectives:
  - name: delivery
    service: bots
    promise: It is answered.
    target: 99.5
    events:
      metric: bot_messages_total
      of: {outcome: [delivered, failed]}
      bad: {outcome: [failed]}
    impact: No answer.
    first_steps: [Look.]
    board: bots
"""


def written(text):
    return document.parse(text, Objectives, name="objectives.yml").objectives


def refused(text) -> str:
    with pytest.raises(ConfigurationError) as found:
        written(text)
    return found.value.message


def with_events(events):
    head, tail = WHOLE.split("    events:\n")
    return f"{head}    events: {events}\n{tail[tail.index('    impact') :]}"


def test_a_counter_that_a_label_divides():
    [objective] = written(WHOLE)
    assert objective.budget == Fraction(1, 200)
    assert objective.alert == "DeliveryBurn"
    assert objective.bad == (Term(metric="bot_messages_total", matchers=(Matcher("outcome", ("failed",)),)),)
    assert objective.total == (Term(metric="bot_messages_total", matchers=(Matcher("outcome", ("delivered", "failed")),)),)


def test_good_ones_leave_the_others_bad():
    [objective] = written(with_events("{metric: canary_probes_total, good: {outcome: [ok]}}"))
    everything, good = objective.bad
    assert (everything.sign, everything.matchers) == (1, ())
    assert (good.sign, good.matchers) == (-1, (Matcher("outcome", ("ok",)),))


def test_a_histogram_and_its_bucket():
    [objective] = written(with_events("{histogram: ack_seconds, within: 1, without: {channel: [webchat]}}"))
    count, fast = objective.bad
    assert [count.series, fast.series, fast.le] == ["ack_seconds_count", "ack_seconds_bucket", "1.0"]
    assert count.matches({"channel": "telegram"})
    assert not count.matches({"channel": "webchat"})
    assert objective.total == (count,)


def test_a_histogram_where_some_are_bad_however_fast():
    [objective] = written(with_events("{histogram: op_seconds, within: 0.1, bad: {error: [broken]}}"))
    # 10 operations: 7 fast, 2 of them broken; 3 slow. Bad: 3 slow and 2 broken.
    counts = {("count", False): 10, ("bucket", False): 7, ("bucket", True): 2}
    assert sum(term.sign * counts[term.sample, bool(term.matchers)] for term in objective.bad) == 5


def test_two_counters_and_a_list():
    [late] = written(with_events("{metric: late_total, total: {metric: all_total, of: {outcome: [delivered]}}}"))
    assert [term.series for term in (*late.bad, *late.total)] == ["late_total", "all_total"]
    [both] = written(with_events("[{metric: a_total, bad: {x: [y]}}, {metric: h_seconds_count, bad: {x: [y]}}]"))
    assert [term.series for term in both.total] == ["a_total", "h_seconds_count"]
    assert both.total[1].metric == "h_seconds"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE.replace("target: 99.5", "target: 100"), "line 5: objectives[0].target"),
        (
            WHOLE.replace("target:", "targt:"),
            "line 5: objectives[0]: Object contains unknown field `targt`. Did you mean target?",
        ),
        (WHOLE.replace("bad:", "bed:"), "line 9"),
        (WHOLE.replace("bad: {outcome: [failed]}", "bad: {outcome: [expired]}"), "of leaves out outcome=expired"),
        (WHOLE.replace("impact: No answer.", "impact: ''"), "line 10: objectives[0].impact"),
        (WHOLE.replace("    service: bots\n", ""), "missing required field `service`"),
        (WHOLE.replace("target: 99.5", "target: 99.5\n    target: 99"), "line 6: target stands here twice"),
        (WHOLE.replace("board: bots", "board: [bots"), "line 13"),
        (WHOLE + "    alerts: [pages]\n", "line 13: objectives[0].alerts[0]"),
        (WHOLE + "    by: [bot, bot]\n", "each thing once"),
        (WHOLE + "    own: {target: a, pages: b}\n", "exactly one label"),
        (WHOLE.replace("[Look.]", "{? [a, b] : c}"), "a name is a word"),
        (with_events("{metric: a_total}"), "line 6: objectives[0].events: a metric needs one of"),
        (with_events("{metric: a_total, histogram: b, bad: {x: [y]}}"), "either a metric or a histogram"),
        (with_events("{histogram: b}"), "needs it"),
        (with_events("{histogram: b, within: 1.0, good: {x: [y]}}"), "neither good nor total"),
        ("[1, 2]", "line 1"),
        ("", "line 1"),
    ],
)
def test_mistakes_are_named_with_their_line(text, message):
    assert message in refused(text)


def test_a_name_is_used_once(tmp_path):
    path = tmp_path / "objectives.yml"
    path.write_text(WHOLE + WHOLE.removeprefix("objectives:\n"))
    with pytest.raises(ConfigurationError, match="line 13: delivery is there twice"):
        load_objectives(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_objectives(tmp_path / "none.yml")


def test_tiers_burn_as_the_books_say():
    tiers = load_tiers()
    factors = {tier.name: tier.factor(tiers.period) for tier in tiers.tiers}
    assert factors == {"fast": Fraction(72, 5), "medium": 6, "slow": 3, "creep": 1}
    [page_only] = [objective for objective in load_objectives() if objective.name == "ingress_ack"]
    assert [tier.name for tier in tiers.of(page_only)] == ["fast", "medium"]
    [own] = [objective for objective in load_objectives() if objective.own]
    assert [tier.name for tier in tiers.of(own)] == ["slow", "creep"]
    assert tiers.of(own, pages=True) == tiers.tiers


def test_windows_that_cannot_work():
    tier = "{name: fast, severity: page, long: 1h, short: 2h, spends: 2}"
    with pytest.raises(ConfigurationError, match="tier fast: short must be shorter"):
        document.parse(f"period: 30d\nmin_bad: 5\ntiers: [{tier}]", Tiers, name="tiers.yml")
    tier = tier.replace("2h", "5m")
    with pytest.raises(ConfigurationError, match="same name"):
        document.parse(f"period: 30d\nmin_bad: 5\ntiers: [{tier}, {tier}]", Tiers, name="tiers.yml")
    assert [seconds(text) for text in ("90s", "5m", "6h", "30d")] == [90, 300, 21_600, 2_592_000]
