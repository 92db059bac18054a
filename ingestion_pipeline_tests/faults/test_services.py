"""Services of `ingest up` are killed while a run works; it starts them again by itself."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis

from ingestion_pipeline_tests.faults.faults import Action, Point, Strike
from ingestion_pipeline_tests.faults.lab import Case, Lab
from ingestion_pipeline_tests.system.installation import (
    CODE_SERVER,
    DAEMON,
    WEBSERVER,
    WORKER,
    eventually,
)

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

Working = Callable[[str], tuple[Case, Strike]]


@pytest.fixture(scope="module")
def working(lab: Lab) -> Iterator[Working]:
    """Gives a collection with a run that stays at its work until it is released or killed.

    The first two are begun early, as starting a run takes longest.
    """

    def begin(name: str) -> Case:
        lab.faults.arm(Point.EMBEDDED, Action.HOLD, name)
        return lab.submit(name)

    begun = {name: begin(name) for name in ("daemon", "redis")}
    yield lambda name: (begun.get(name) or begin(name), lab.faults.strike(name, seconds=90))
    lab.faults.disarm()


def test_after_the_daemon_was_killed_runs_go_on_and_new_ones_begin(
    lab: Lab, working: Working
) -> None:
    case, held = working("daemon")

    struck_at = kill(lab, DAEMON)
    late = lab.submit("daemon-late")
    assert is_back(lab, DAEMON)
    held.release()

    lab.everything_is_well(case, "daemon killed while a run works", struck_at)
    lab.everything_is_well(late, "daemon killed, then a task", struck_at)
    assert lab.installation.up.poll() is None


def test_redis_that_was_killed_knows_what_it_was_told(lab: Lab, working: Working) -> None:
    case, held = working("redis")

    foreign = lab.send("redis-foreign")
    struck_at = kill_redis(lab)
    case = lab.submit_more(case, "redis-late")  # accepted without Redis
    held.release()

    lab.everything_is_well(case, "Redis killed", struck_at)
    lab.everything_is_well(foreign, "Redis killed right after a message", struck_at)


def test_accepted_tasks_do_not_need_what_redis_knew(lab: Lab, working: Working) -> None:
    case, held = working("emptied")
    case = lab.submit_more(case, "emptied-waiting")

    shutil.rmtree(lab.installation.state / "redis")
    struck_at = kill_redis(lab)
    case = lab.submit_more(case, "emptied-late")
    held.release()
    assert eventually(lambda: redis_answers(lab), seconds=30)
    foreign = lab.send("emptied-foreign")

    lab.everything_is_well(case, "Redis killed and started empty", struck_at)
    lab.everything_is_well(foreign, "Redis started empty, a message after it", struck_at)


def test_after_the_code_server_was_killed_runs_go_on_and_new_ones_begin(
    lab: Lab, working: Working
) -> None:
    case, held = working("code-server")

    struck_at = kill(lab, CODE_SERVER)
    late = lab.submit("code-server-late")
    assert is_back(lab, CODE_SERVER)
    held.release()

    tasks = lab.everything_is_well(case, "code server killed while a run works", struck_at)
    assert {task.attempts for task in tasks} == {1}
    lab.everything_is_well(late, "code server killed, then a task", struck_at)


def test_after_everything_but_the_worker_was_killed_it_goes_on(lab: Lab, working: Working) -> None:
    case, held = working("others")

    struck_at = kill(lab, DAEMON, CODE_SERVER, WEBSERVER)
    kill_redis(lab)
    case = lab.submit_more(case, "others-late")
    held.release()

    assert is_back(lab, DAEMON)
    lab.everything_is_well(case, "daemon, code server, web server and Redis killed", struck_at)


def test_after_the_worker_was_killed_its_runs_are_made_good(lab: Lab, working: Working) -> None:
    case, held = working("worker")

    struck_at = kill_worker(lab)
    case = lab.submit_more(case, "worker-late")

    assert held.pid not in lab.installation.processes()
    assert is_back(lab, WORKER)
    lab.everything_is_well(case, "worker killed, and with it the run", struck_at)


def test_a_killed_webserver_answers_again(lab: Lab) -> None:
    lab.installation.ensure_up()

    kill(lab, WEBSERVER)

    assert is_back(lab, WEBSERVER)
    assert eventually(lambda: answers(lab), seconds=30)


def kill(lab: Lab, *services: str) -> float:
    """Kill services; return when, once they are gone."""
    pids = [lab.installation.service(service) for service in services]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    struck_at = time.time()
    assert eventually(lambda: not set(pids) & lab.installation.processes().keys(), seconds=10)
    return struck_at


def kill_worker(lab: Lab) -> float:
    """Kill the worker with its processes; return when, once they are gone."""
    pids = lab.installation.services_like(WORKER)
    struck_at = time.time()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not set(pids) & lab.installation.processes().keys(), seconds=10)
    return struck_at


def kill_redis(lab: Lab) -> float:
    """Kill the embedded Redis; return when."""
    os.kill(lab.installation.redis(), signal.SIGKILL)
    return time.time()


def redis_answers(lab: Lab) -> bool:
    """Whether Redis does."""
    with lab.installation.producer() as producer:
        try:
            return bool(producer.ping())
        except redis.RedisError:
            return False


def is_back(lab: Lab, service: str) -> bool:
    """Wait until a killed service was started again."""
    return eventually(lambda: bool(lab.installation.services_like(service)), seconds=30)


def answers(lab: Lab) -> bool:
    """Whether the webserver does."""
    try:
        return "version" in lab.installation.graphql("{ version }")
    except httpx.TransportError:
        return False
