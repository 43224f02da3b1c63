"""The appliance on a swarm: started, replaced, taken back, and without one of its nodes; requests come in all the while."""

import pytest

from tests.appliance.site import variant
from tests.appliance.swarm import SCRIPT, Swarm
from tests.appliance.traffic import until

pytestmark = pytest.mark.skipif(not SCRIPT, reason="no script for a swarm is named by BOTSTEAD_TEST_SWARM")
OURS = ("api-a", "api-b", "worker", "scheduler")


@pytest.fixture(scope="module")
def swarm(image, tmp_path_factory):
    made = Swarm(tmp_path_factory.mktemp("swarm"), image)
    try:
        made.up()
        for node in (2, 3):
            made.available(node, "drain")
        made.prepare()
        made.deploy("data")
        until(lambda: made.services() == {"postgres": "1/1", "valkey": "1/1"}, seconds=90, said=made.services)
        made.deploy("migrate")
        until(
            lambda: made.query("SELECT count(*) FROM pg_tables WHERE tablename = 'migration'") == "1",
            seconds=60,
            said=made.services,
        )
        made.deploy("stack", BOTSTEAD_WORKERS="1", BOTSTEAD_SCHEDULERS="1")
        wanted = dict.fromkeys((*OURS, "edge", "postgres", "valkey"), "1/1") | {"api-c": "0/0", "api-d": "0/0"}
        until(lambda: wanted.items() <= made.services().items(), seconds=150, said=made.services)
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def traffic(swarm):
    with swarm.traffic() as flowing:
        yield flowing
    assert not flowing.lost(swarm), "acknowledged deliveries are not in the database"
    until(
        lambda: swarm.query("SELECT count(*) FROM inbox") == "0",
        seconds=90,
        said=lambda: swarm.query("SELECT count(*) FROM inbox"),
    )


@pytest.fixture(autouse=True)
def told(traffic, request, capsys):
    with traffic.told(request.node.name, capsys):
        yield


def replace(swarm, image, state):
    """Deploy an image on one node, and wait until the change of every service has come to an end."""
    swarm.load(1, image)
    swarm.deploy("stack", image, BOTSTEAD_WORKERS="1", BOTSTEAD_SCHEDULERS="1")
    until(
        lambda: all(swarm.update(each) == state for each in OURS),
        seconds=300,
        said=lambda: {each: swarm.update(each) for each in OURS},
    )


def test_another_release_is_rolled_out(swarm, traffic, image):
    new = variant(image, "botstead-swarm:new", "LABEL release=new")
    replace(swarm, new, "completed")
    assert {swarm.image_of(each) for each in OURS} == {new}
    assert not traffic.failed


def test_a_bad_release_is_taken_back(swarm, traffic, image):
    was = swarm.image_of("api-a")
    bad = variant(image, "botstead-swarm:bad", 'ENTRYPOINT ["python", "-c", "raise SystemExit(\'broken\')"]')
    replace(swarm, bad, "rollback_completed")
    assert {swarm.image_of(each) for each in OURS} == {was}
    assert not traffic.failed


def test_a_node_is_lost(swarm, traffic):
    for node in (2, 3):
        swarm.load(node, swarm.image_of("worker"))
        swarm.available(node, "active")
    swarm.deploy("stack", swarm.image_of("worker"))
    spread = {"worker": "2/2", "scheduler": "2/2", "api-a": "1/1", "api-b": "1/1"}
    until(lambda: spread.items() <= swarm.services().items(), seconds=180, said=swarm.services)
    swarm.ask("service", "update", "--detach=true", "--force", "botstead_api-b")
    until(
        lambda: swarm.update("api-b") == "completed" and swarm.node_of("api-b") != 1,
        seconds=120,
        said=lambda: swarm.node_of("api-b"),
    )
    lost, before = swarm.node_of("api-b"), len(traffic.delivered)
    swarm.lose(lost)
    until(lambda: not swarm.alive(lost), seconds=60, said=lambda: swarm.ask("node", "ls"))
    until(lambda: swarm.node_of("api-b") != lost and swarm.services()["api-b"] == "1/1", seconds=120, said=swarm.services)
    until(lambda: len(traffic.delivered) > before + 1000, seconds=90, said=lambda: traffic.failed)
