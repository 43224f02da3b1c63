"""The report as one HTML file: nothing is fetched, no script runs, and it reads on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from botstead.processes.prove.experiment import Figure
from botstead.processes.prove.picture import timeline
from botstead.processes.prove.play import Result, number, wanted
from botstead.processes.prove.promises import PROMISES
from botstead.processes.prove.report import Run

STYLE = """
:root{color-scheme:light dark;--ink:#1c1f23;--dim:#5d6670;--paper:#fff;--card:#f5f6f8;--line:#d5d9de;--good:#11743c;--bad:#b3261e;
--wait:#8a5a00;--acked:#1f6feb;--replied:#c2570c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--dim:#9aa4af;--paper:#14171a;--card:#1d2125;--line:#3a4148;--good:#56c788;
--bad:#ff8a80;--wait:#e0b050;--acked:#6cb0ff;--replied:#ffa657}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.1rem;margin:0 0 .3rem}
section{background:var(--card);border-radius:.5rem;padding:.9rem;margin:1rem 0;overflow-wrap:break-word}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.5rem 0;font-size:.9rem}
dt{color:var(--dim)}dd{margin:0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{padding:.25rem .5rem .25rem 0;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
td.k{white-space:nowrap}td:last-child,th:last-child{padding-right:0}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.holds{color:var(--good);font-weight:600}.broken,.failed{color:var(--bad);font-weight:600}
.skipped,.stopped,.unknown{color:var(--wait);font-weight:600}
.dim{color:var(--dim);font-size:.9rem}.scroll{overflow-x:auto}svg{display:block;width:100%;min-width:36rem;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--dim)}svg .grid{stroke:var(--line);stroke-width:1}
svg .fault line{stroke:var(--bad);stroke-width:1;opacity:.45}svg .fault text{fill:var(--bad)}
svg .fault text{stroke:var(--card);stroke-width:4;paint-order:stroke}
svg polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.acked{stroke:var(--acked)}.replied{stroke:var(--replied)}
svg .replied{stroke-dasharray:5 3}
.key i{display:inline-block;width:1.6rem;border-top:3px solid;vertical-align:middle;margin-right:.3rem}
.key span{margin-right:1rem}ol{font-size:.85rem;padding-left:0;list-style:none;font-variant-numeric:tabular-nums}
summary{cursor:pointer;color:var(--dim);font-size:.9rem;margin-top:.5rem}
"""
KEY = (
    '<p class="key dim"><span><i style="border-color:var(--acked)"></i>acknowledged a second</span>'
    '<span><i style="border-color:var(--replied);border-top-style:dashed"></i>replied a second</span>'
    '<span><i style="border-color:var(--bad)"></i>fault</span></p>'
)


def page(run: Run) -> str:
    """Return the report as an HTML document.

    Args:
        run: to report.
    """
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1"><title>botstead prove</title>',
            f"<style>{STYLE}</style></head><body><main>",
            f'<h1 class="{"holds" if run.holds else "broken"}">{escape(run.headline())}</h1>',
            _pairs({"began": run.began, "took": f"{run.seconds:.0f} s", "seed": str(run.seed), **run.versions, **run.machine}),
            *_promises(run),
            *(line for result in run.results for line in _one(result, run.scales.get(result.key, "small"))),
            "</main></body></html>\n",
        ]
    )


def _pairs(pairs: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items()) + "</dl>"


def _promises(run: Run) -> Iterator[str]:
    yield "<section><h2>What was promised</h2><table>"
    for key, outcome in run.promises().items():
        style = outcome if outcome in ("holds", "broken") else "unknown"
        yield f'<tr><td class="k">{key}</td><td>{escape(PROMISES[key].text)}</td><td class="{style}">{outcome}</td></tr>'
    yield "</table></section>"


def _one(result: Result, scale: str) -> Iterator[str]:
    yield f'<section id="{escape(result.key)}"><h2>{escape(result.key)} {escape(result.title)}</h2>'
    told = [f"{result.seconds:.0f} s", f"scale {scale}"]
    if result.samples:
        last = result.samples[-1]
        told += [f"{number(last.acknowledged)} acknowledged", f"{number(last.replied)} replied"]
    yield f'<p class="dim"><span class="{result.outcome}">{result.outcome}</span>, {", ".join(told)}</p>'
    if result.why:
        yield f"<p>{escape(result.why)}</p>"
    if len(result.samples) > 1:
        drawn = timeline(result.samples, result.moments, result.seconds, title=f"Timeline of {result.key}")
        yield f'{KEY}<div class="scroll">{drawn}</div>'
    if result.figures:
        yield "<table><tr><th></th><th>measured</th><th></th><th>promised</th><th></th></tr>"
        yield from map(_figure, result.figures)
        yield "</table>"
    if result.moments:
        lines = "".join(f"<li>{moment.at:.2f} s {escape(moment.what)}</li>" for moment in result.moments)
        yield f"<details><summary>{len(result.moments)} moments</summary><ol>{lines}</ol></details>"
    if result.folder:
        yield f'<p class="dim">Logs: {escape(result.folder)}</p>'
    yield "</section>"


def _figure(figure: Figure) -> str:
    word = "holds" if figure.holds else "broken"
    examples = "".join(f'<br><span class="dim">{escape(example)}</span>' for example in figure.examples)
    return (
        f'<tr><td class="k">{escape(figure.promise)}</td><td>{escape(figure.name)}{examples}</td>'
        f'<td class="n">{number(figure.value)} {escape(figure.unit)}</td>'
        f'<td>{escape(wanted(figure))}</td><td class="{word}">{word}</td></tr>'
    )
