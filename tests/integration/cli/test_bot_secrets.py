"""`botstead bots secrets` against the API over real HTTP."""

from __future__ import annotations

from tests.integration.cli.test_commands import running  # noqa: F401  a fixture

VALUE = "sk-canary-1234567890"


def test_a_secret_comes_from_a_file_or_the_standard_input_and_is_never_shown(running, tmp_path):  # noqa: F811
    running.do(running.api.deps.registry.ensure_bot("shop", "python"))
    file = tmp_path / "token"
    file.write_text(VALUE + "\n")
    written = [running.run("bots", "secrets", "set", "shop", "crm_token", "--file", str(file))]
    written.append(running.run("bots", "secrets", "set", "shop", "piped", "--file", "-", typed="from a pipe\n"))
    written.append(running.run("bots", "secrets", "list", "shop"))
    assert [row["name"] for row in running.json("bots", "secrets", "list", "shop")] == ["crm_token", "piped"]
    kept = running.do(running.api.deps.secrets.all())["shop"]
    assert {name: secret.reveal() for name, secret in kept.items()} == {"crm_token": VALUE, "piped": "from a pipe"}
    assert not any(VALUE in text or "from a pipe" in text for text in written)
    running.run("bots", "secrets", "delete", "shop", "crm_token", "--yes")
    assert [row["name"] for row in running.json("bots", "secrets", "list", "shop")] == ["piped"]


def test_a_value_on_the_command_line_is_no_way(running):  # noqa: F811
    assert "--file" in running.run("bots", "secrets", "set", "shop", "crm_token", VALUE, code=2)
    assert "no bot named shop" in running.run("bots", "secrets", "list", "shop", code=1)
