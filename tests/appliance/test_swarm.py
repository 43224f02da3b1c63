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
    missing = flowing.delivered - set(swarm.query("SELECT key FROM seen").split())
    assert not missing, f"{len(missing)} acknowledged deliveries are not in the database"
    until(
        lambda: swarm.query("SELECT count(*) FROM inbox") == "0",
        seconds=90,
        said=lambda: swarm.query("SELECT count(*) FROM inbox"),
    )


@pytest.fixture(autouse=True)
def told(traffic, request, capsys):
    traffic.seconds.clear()
    traffic.failed.clear()
    yield
    with capsys.disabled():
        print("\n" + traffic.report(request.node.name))


def ended(swarm, state):
    return all(swarm.update(each) == state for each in OURS)


def test_another_release_is_rolled_out(swarm, traffic, image):
    new = variant(image, "botstead-swarm:new", "LABEL release=new")
    swarm.load(1, new)
    swarm.deploy("stack", new, BOTSTEAD_WORKERS="1", BOTSTEAD_SCHEDULERS="1")
    until(lambda: ended(swarm, "completed"), seconds=300, said=lambda: {each: swarm.update(each) for each in OURS})
    assert {swarm.image_of(each) for each in OURS} == {new}
    assert not traffic.failed


def test_a_bad_release_is_taken_back(swarm, traffic, image):
    was = swarm.image_of("api-a")
    bad = variant(image, "botstead-swarm:bad", 'ENTRYPOINT ["python", "-c", "raise SystemExit(\'broken\')"]')
    swarm.load(1, bad)
    swarm.deploy("stack", bad, BOTSTEAD_WORKERS="1", BOTSTEAD_SCHEDULERS="1")
    until(lambda: ended(swarm, "rollback_completed"), seconds=300, said=lambda: {each: swarm.update(each) for each in OURS})
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
