"""The main job from the client's side: a profile, a group, members, a post, its readers."""

from tests.client.stage import Stage


def test_a_member_reads_what_another_sealed(stage: Stage) -> None:
    stage.team("bob", "carol")
    post = stage.sealed()
    assert b"Lunch" not in post
    assert b"At one" not in post
    result = stage.run("bob", "read", stdin=stage.copy(post, "bob"))
    assert result.exit_code == 0
    assert b"Subject: Lunch\r\n" in result.stdout_bytes
    assert result.stdout_bytes.endswith(b"\r\n\r\nAt one?\r\n")
    udf = stage.keys("alice").profile().identifier
    assert result.stderr == f"signed by Alice <alice@example.org> {udf} (first seen now)\n"
