"""The doubles of Stripe and PayPal as processes of their own: scripted from outside, with a log on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def ask(url: str, body: object = None, **headers: str):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method="GET" if data is None else "POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


@pytest.mark.parametrize("kind", ["stripe", "paypal"])
def test_a_double_runs_alone_and_logs_what_was_charged(kind, tmp_path):
    log = tmp_path / "taken.jsonl"
    command = [sys.executable, "-m", f"tests.doubles.{kind}", "--log", str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().removeprefix("ready ").strip()
            assert url.startswith("http://127.0.0.1:")
            session = buy(kind, url)
            ask(f"{url}/pay/{session}", {"outcome": "paid"})
            if kind == "paypal":
                ask(f"{url}/v2/checkout/orders/{session}/capture", {}, **paypal_headers(url, "k2"))
            (taken,) = ask(f"{url}/_control/taken")
            assert (taken["what"], taken["order"]) == ("charge", "pay_1")
            assert json.loads(log.read_text()) == taken
            ask(f"{url}/_control/faults", [{"kind": "answer", "status": 503, "retry_after": 2}])
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(f"{url}/v1/events" if kind == "stripe" else f"{url}/v1/notifications/webhooks")
            assert (caught.value.code, caught.value.headers["Retry-After"]) == (503, "2")
            caught.value.close()
            state = ask(f"{url}/_control/chaos", {"seed": 1, "requests": {"close": 0.5}})
            assert (state["charges"], state["violations"]) == (1, [])
            ask(f"{url}/_control/reset", {})
        finally:
            running.terminate()
            running.wait(10)


def buy(kind: str, url: str) -> str:
    if kind == "stripe":
        form = "mode=payment&client_reference_id=pay_1&success_url=https://x.example&line_items[0][quantity]=1"
        form += "&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=1250"
        form += "&line_items[0][price_data][product_data][name]=mug"
        headers = {"Authorization": "Bearer sk_test_12345678", "Stripe-Version": "2026-10-28.endive", "Idempotency-Key": "k"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        found: str = ask(f"{url}/v1/checkout/sessions", form.encode(), **headers)["id"]
        return found
    amount = {"currency_code": "EUR", "value": "12.50"}
    order = {"intent": "CAPTURE", "purchase_units": [{"custom_id": "pay_1", "invoice_id": "pay_1", "amount": amount}]}
    made: str = ask(f"{url}/v2/checkout/orders", order, **paypal_headers(url, "k1"))["id"]
    return made


def paypal_headers(url: str, key: str) -> dict[str, str]:
    basic = {"Authorization": "Basic Y2xpZW50LW9mLXRoZS1kb3VibGU6c2VjcmV0LW9mLXRoZS1kb3VibGU="}
    token = ask(f"{url}/v1/oauth2/token", b"grant_type=client_credentials", **basic)["access_token"]
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "PayPal-Request-Id": key,
        "Prefer": "return=representation",
    }
