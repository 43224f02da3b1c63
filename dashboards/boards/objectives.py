"""Are promises kept? One objective, or all of them: what is left of the budget, and how fast it burns."""

from __future__ import annotations

from dashboards.design import COUNT, RATIO, Board, Column, Limits, Query, Row, Series, Stat, Table, Variable
from dashboards.limits import BUDGET, TIERS
from dashboards.slo import SPENT, burn, spaced

CHOSEN = 'slo=~"$slo"'
LEGEND = "{{slo}} {{bot}}{{channel}}{{integration}}{{queue}}"
NAMES = {
    "slo": "Objective",
    "service": "Service",
    "bot": "Bot",
    "channel": "Channel",
    "integration": "Integration",
    "queue": "Queue",
}

VERDICT = Row(
    "What is left?",
    (
        Stat(
            "Least budget left",
            says=f"Of the failures allowed in {spaced(TIERS.period)}. Below 0 it is broken: mend before you ship.",
            queries=(Query(f"min(slo:budget_left:ratio{{{CHOSEN}}})"),),
            unit=RATIO,
            limits=BUDGET,
        ),
        Stat(
            "Fastest burn, 1 h",
            says=f"1 spends the budget in exactly {spaced(TIERS.period)}. Above {SPENT[0]} somebody is woken.",
            queries=(Query(f"max({burn('1h', where=CHOSEN)})"),),
            limits=Limits(warn=SPENT[-1], bad=SPENT[0]),
        ),
        Stat(
            "Bad, 1 h",
            says=f"Bad events of the last hour. Below {TIERS.min_bad} nobody is told, whatever their share is.",
            queries=(Query(f"round(sum(slo:bad:count1h{{{CHOSEN}}}))"),),
            limits=Limits(warn=TIERS.min_bad),
        ),
        Stat(
            "All, 1 h",
            says="Events of the last hour. 0 is a quiet hour, or a promise that nothing measures: see SloBlind.",
            queries=(Query(f"round(sum(slo:total:count1h{{{CHOSEN}}}))"),),
            runbook="SloBlind",
        ),
    ),
)

BUDGETS = Row(
    "Which budget, and how fast?",
    (
        Series(
            "Budget left",
            says="The ten lowest. A steady slope is wear; a step was an incident. It ends at -100 %: spent twice.",
            queries=(Query(f"bottomk(10, clamp_min(slo:budget_left:ratio{{{CHOSEN}}}, -1))", LEGEND),),
            unit=RATIO,
            limits=BUDGET,
            most=1,
            negative=True,
        ),
        *(
            Series(
                f"Burn, {spaced(tier.long)}",
                says=f"The ten fastest. Above {factor:g} with no recovery in {spaced(tier.short)}, it is a {tier.severity}.",
                queries=(Query(f"topk(10, {burn(tier.long, where=CHOSEN)} > 0)", LEGEND),),
                unit=COUNT,
                limits=Limits(bad=factor) if tier.severity == "page" else Limits(warn=factor),
                empty_ok="nothing burns",
            )
            for tier, factor in zip(TIERS.tiers, SPENT, strict=True)
        ),
        Series(
            "Bad events, 5 min",
            says="The ten with most. Counts, because a share says little where there is little traffic.",
            queries=(Query(f"topk(10, slo:bad:count5m{{{CHOSEN}}} > 0)", LEGEND),),
            empty_ok="nothing was bad",
        ),
    ),
)

ALL = Row(
    "All of them",
    (
        Table(
            "Objectives",
            says="Each objective with each thing that has a budget of its own, the least left first.",
            keys=NAMES,
            columns=(
                Column("Budget left", f"slo:budget_left:ratio{{{CHOSEN}}}", RATIO, BUDGET),
                Column("Bad, 1 h", f"round(slo:bad:count1h{{{CHOSEN}}})"),
                Column("All, 1 h", f"round(slo:total:count1h{{{CHOSEN}}})"),
                Column(f"Bad, {spaced(TIERS.period)}", f"round(slo:bad:count{TIERS.period}{{{CHOSEN}}})"),
                Column(f"All, {spaced(TIERS.period)}", f"round(slo:total:count{TIERS.period}{{{CHOSEN}}})"),
            ),
            worst="Budget left",
            rising=True,
            high=12,
        ),
    ),
)

BOARD = Board(
    uid="objectives",
    title="Objectives",
    asks=("Which budget burns, and how fast?", "How many failures may we still have?", "Since when?"),
    variables=(Variable("slo", "Objective", "slo:total:count5m", "slo"),),
    rows=(VERDICT, BUDGETS, ALL),
)
