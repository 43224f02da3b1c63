"""Every metric, once. Use: `MESSAGES.at("weather", "telegram", "delivered").inc()`, `LAG.at().observe(0.002)`.

`at(*label values in the declared order)` returns a bound child, cheap enough for the hot path; unknown values of an open
label fold into `_other` until `register(label, value)` has named them.
Declared: MESSAGES, DUPLICATES, REJECTED, ACK, DURATION, STAGE, DEAD_LETTERS, INBOX_WAITING, LOOP_LAG, INTEGRATION_REQUESTS,
INTEGRATION_DURATION, CACHE_REQUESTS. `exposition() -> bytes` is what `/metrics` serves.
"""
