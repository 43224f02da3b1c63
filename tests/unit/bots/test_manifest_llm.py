"""`[llm]` in `bot.toml`: what is read, what each mistake is told, and how tokens become money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.bots.manifest import Manifest, read_manifest
from botstead.core.declared import LlmDeclared
from botstead.core.errors import BotBroken


def read(tmp_path, text: str) -> Manifest:
    (tmp_path / "bot.toml").write_text(text)
    return read_manifest(tmp_path)


def test_the_whole_table_is_read(tmp_path):
    manifest = read(
        tmp_path,
        """
[llm]
base = "https://models.example.org/v1/"
model = "small-1"
secret = "model_key"
budget = "2.00"
currency = "EUR"
price_in = "0.15"
price_out = "0.6"
share = 5
max_tokens = 400
""",
    )
    assert manifest.llm == LlmDeclared(
        base="https://models.example.org/v1",
        model="small-1",
        secret="model_key",
        budget=2_000_000_000,
        currency="EUR",
        price_in=150_000_000,
        price_out=600_000_000,
        share=5.0,
        max_tokens=400,
    )
    assert manifest.secrets == ("model_key",)
    assert manifest.llm.of_message == 100_000_000


def test_an_empty_table_counts_tokens(tmp_path):
    declared = read(tmp_path, "[llm]\n").llm
    assert declared is not None
    assert (declared.day, declared.of_message) == (200_000, 20_000)
    assert read(tmp_path, "name = 'echo'\n").llm is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[llm]\nbudget = '2.00'", "line 2: [llm] a budget of money needs price_in and price_out"),
        ("[llm]\nbudget = 2.00\nprice_in = '1'", 'line 2: [llm] budget is an amount of money in quotes, such as "2.00", not 2.0'),
        ("[llm]\nbudget = '0'\nprice_in = '1'", "line 2: [llm] a budget of nothing"),
        ("[llm]\nbudget = '1'\nprice_in = '1'\ntokens = 5", "line 4: [llm] a day is counted in money (budget) or in tokens"),
        ("[llm]\nprice_in = '-1'", "line 2: [llm] price_in is an amount of money"),
        ("[llm]\ntokens = true", "line 2: [llm] tokens is a whole number of tokens, not True"),
        ("[llm]\nsecret = 'key'", "line 2: [llm] secret has no meaning without base"),
        ("[llm]\nbase = 'https://a'\nsecret = 'sk-1234567890ABC'", "line 3: [llm] secret is the name of a secret"),
        ("[llm]\nshare = 0", "line 2: [llm] share is a number of percent"),
        ("[llm]\ncurrency = 'dollars'", "line 2: [llm] currency is a currency"),
        ("[llm]\nmodle = 'x'", "line 2: [llm] unknown key modle. Did you mean model?"),
        ("llm = 'https://a'", "line 1: [llm] is no table"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path, text, said):
    with pytest.raises(BotBroken) as raised:
        read(tmp_path, text)
    assert raised.value.message.removeprefix(f"{tmp_path}/bot.toml ").startswith(said)


def test_a_token_has_an_exact_price():
    declared = LlmDeclared(budget=1, price_in=150_000_000, price_out=600_000_000)
    assert declared.cost(1_000_000, 0) == 150_000_000
    assert declared.cost(1, 0) == 150
    assert declared.cost(0, 3) == 1_800


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**11), st.integers(0, 10**11))
def test_parts_never_cost_less_than_the_whole(asked, answered, price_in, price_out):
    declared = LlmDeclared(budget=1, price_in=price_in, price_out=price_out)
    assert declared.cost(asked, 0) + declared.cost(0, answered) >= declared.cost(asked, answered)
    assert declared.cost(asked + 1, answered) >= declared.cost(asked, answered)
