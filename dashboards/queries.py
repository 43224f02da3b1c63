"""PromQL that boards say again and again: rates, shares, quantiles and means of the metrics in the catalogue."""

from __future__ import annotations

from dashboards.design import Query

RECENT = "$__rate_interval"
"""The shortest window with enough samples at the zoom that is looked at; Grafana puts it in."""
SHOWN = "$__range"
"""The whole time that is looked at."""
QUANTILES = (0.5, 0.95, 0.99)


def rate(metric: str, *by: str, where: str = "", over: str = RECENT) -> str:
    """Return how much a counter grows a second.

    Args:
        metric: a counter, or a part of a histogram.
        by: labels to keep.
        where: matchers, such as `bot=~"$bot"`.
        over: window.
    """
    return f"{_sum(by)}(rate({metric}{_where(where)}[{over}]))"


def increase(metric: str, *by: str, where: str = "", over: str = SHOWN) -> str:
    """Return how much a counter grew in a window; arguments as for `rate`.

    Args:
        metric: a counter, or a part of a histogram.
        by: labels to keep.
        where: matchers.
        over: window.
    """
    return f"{_sum(by)}(increase({metric}{_where(where)}[{over}]))"


def counted(metric: str, *by: str, where: str = "", over: str = SHOWN) -> str:
    """Return how many a counter counted in a window, as a whole number; arguments as for `rate`.

    Args:
        metric: a counter.
        by: labels to keep.
        where: matchers.
        over: window.
    """
    return f"round({increase(metric, *by, where=where, over=over)})"


def against(part: str, whole: str, *, zero: bool = False) -> str:
    """Return a part as a share of the whole; nothing where there is none of the whole.

    Args:
        part: PromQL.
        whole: PromQL with the same labels.
        zero: whether the part may have no series yet, which is a share of 0.
    """
    return f"{f'({part} or 0 * {whole})' if zero else part} / ({whole} > 0)"


def share(metric: str, part: str, *by: str, where: str = "", over: str = RECENT, zero: bool = False) -> str:
    """Return which share of what a counter counts matches; nothing where nothing was counted.

    Args:
        metric: a counter.
        part: matchers of the part.
        by: labels to keep.
        where: matchers of the whole, which hold for the part too.
        over: window.
        zero: whether the part may have no series yet, which is a share of 0.
    """
    both = ",".join(text for text in (where, part) if text)
    counted, whole = rate(metric, *by, where=both, over=over), rate(metric, *by, where=where, over=over)
    return against(counted, whole, zero=zero)


def quantile(share_below: float, histogram: str, *by: str, where: str = "", over: str = RECENT) -> str:
    """Return the value below which a share of the observations lies.

    Args:
        share_below: from 0 to 1.
        histogram: its name, without `_bucket`.
        by: labels to keep.
        where: matchers.
        over: window.
    """
    return f"histogram_quantile({share_below:g}, {rate(f'{histogram}_bucket', *by, 'le', where=where, over=over)})"


def quantiles(histogram: str, *, where: str = "") -> tuple[Query, ...]:
    """Return the median and the two tails of a histogram.

    Args:
        histogram: its name, without `_bucket`.
        where: matchers.
    """
    return tuple(Query(quantile(each, histogram, where=where), f"p{each * 100:g}") for each in QUANTILES)


def mean(histogram: str, *by: str, where: str = "", over: str = RECENT) -> str:
    """Return the mean of what a histogram observed; nothing where nothing was observed.

    Args:
        histogram: its name, without `_sum`.
        by: labels to keep.
        where: matchers.
        over: window.
    """
    parts = (rate(f"{histogram}_{part}", *by, where=where, over=over) for part in ("sum", "count"))
    return against(*parts)


def slower(histogram: str, seconds: float, *by: str, where: str = "", over: str = RECENT) -> str:
    """Return the share of observations above a bucket's bound.

    Args:
        histogram: its name, without `_bucket`.
        seconds: bound of a bucket.
        by: labels to keep.
        where: matchers.
        over: window.
    """
    bound = f'le="{float(seconds)}"'
    within = rate(f"{histogram}_bucket", *by, where=",".join(text for text in (where, bound) if text), over=over)
    return f"1 - {against(within, rate(f'{histogram}_count', *by, where=where, over=over))}"


def heat(histogram: str, *, where: str = "") -> Query:
    """Return the observations of a histogram, bucket by bucket.

    Args:
        histogram: its name, without `_bucket`.
        where: matchers.
    """
    return Query(increase(f"{histogram}_bucket", "le", where=where, over=RECENT), "{{le}}")


def _sum(by: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"


def _where(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""
