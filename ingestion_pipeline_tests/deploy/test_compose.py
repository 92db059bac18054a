"""The Compose file, its environment and the image: that everything named in them exists."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
import typer.main
import yaml
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from ingestion_pipeline.cli.app import app
from ingestion_pipeline.execution.supervisor import LOCATION
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline_tests.servers import WEED, BucketStore

DEPLOY = project_dir() / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (DEPLOY / "example.env").read_text().splitlines()
    if line and not line.startswith("#")
)
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
CODE_SERVER_PORT = 4266
PROGRAMS = {
    "ingest": lambda: typer.main.get_command(app),
    "dagster": create_dagster_cli,
    "dagster-daemon": create_dagster_daemon_cli,
    "dagster-webserver": create_dagster_webserver_cli,
}


def commands() -> Iterator[Any]:
    """Every command line that our image is to run, by what it is for."""
    for name, service in OURS.items():
        yield pytest.param(service["command"], id=name)
        if "healthcheck" in service:
            kind, *command = service["healthcheck"]["test"]
            assert kind == "CMD"
            yield pytest.param(command, id=f"{name}-healthcheck")


def parsed(command: list[str]) -> dict[str, Any]:
    """Parse a command line as its program would, without running it; return its options."""
    program, *arguments = command
    parser: Any = PROGRAMS[program]()
    context = parser.make_context(program, list(arguments))
    while hasattr(parser, "resolve_command"):
        _, parser, rest = parser.resolve_command(context, context._protected_args + context.args)
        context = parser.make_context(parser.name, rest, parent=context)
    options: dict[str, Any] = context.params
    return options


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_understood_by_its_program(command: list[str]) -> None:
    if command[0] == "python":
        option, program = command[1:]
        assert option == "-c"
        ast.parse(program)
    else:
        parsed(command)


@pytest.mark.parametrize(
    "command", [["dagster", "api", "gprc"], ["ingest", "worker", "--threads=2"]]
)
def test_a_command_that_is_not_would_be_noticed(command: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such (command|option)"):
        parsed(command)


def test_all_services_that_are_waited_for_exist_and_tell_when_they_are_ready() -> None:
    for name, service in SERVICES.items():
        for awaited, how in service.get("depends_on", {}).items():
            assert awaited in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[awaited]
            if how.get("required", True):
                assert SERVICES[awaited].get("profiles", []) in ([], service.get("profiles"))


def test_volumes_and_configs_that_are_mounted_exist() -> None:
    mounted = {
        volume.split(":")[0] for each in SERVICES.values() for volume in _of(each, "volumes")
    }
    configs = {config["source"] for each in SERVICES.values() for config in _of(each, "configs")}

    assert mounted == set(COMPOSE["volumes"])
    assert configs == set(COMPOSE["configs"])


def test_every_image_has_a_version_and_is_named_without_a_host() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    for image in images:
        name, _, tag = image.partition(":")
        assert re.fullmatch(r"\d+(\.\d+)+(-slim)?", tag), image
        assert "." not in name


def test_nothing_listens_outside_but_the_web_page_on_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"webserver": ["127.0.0.1:3000:3000"]}
    assert not any("network_mode" in service for service in SERVICES.values())


def test_there_is_one_daemon_and_more_than_one_worker() -> None:
    assert "deploy" not in SERVICES["daemon"]
    assert SERVICES["worker"]["deploy"]["replicas"] > 1


def test_all_services_have_the_same_environment() -> None:
    assert {service["env_file"] for service in OURS.values()} == {".env"}
    assert not any("environment" in service for service in OURS.values())


def test_every_variable_is_a_setting_or_one_of_dagsters_instance() -> None:
    image = dict(re.findall(r"(\w+)=(\S+)", DOCKERFILE.partition("ENV ")[2].partition("CMD")[0]))
    named = {name for name in ENVIRONMENT | image if name.startswith("INGEST_")}
    settings = {f"INGEST_{name}".upper() for name in Settings.model_fields}

    assert named - settings == instance_variables() - settings
    assert instance_variables() <= named


def test_variables_refer_to_ones_that_are_there() -> None:
    texts = [(DEPLOY / "compose.yaml").read_text(), *ENVIRONMENT.values()]
    referred = {name for text in texts for name in re.findall(r"\$\{(\w+)", text)}

    assert referred <= set(ENVIRONMENT)


def test_registry_and_dagster_have_a_database_each_and_its_driver_is_named() -> None:
    urls = [
        sa.make_url(ENVIRONMENT[name])
        for name in ("INGEST_DATABASE_URL", "INGEST_DAGSTER_DATABASE_URL")
    ]
    server = SERVICES["postgres"]["environment"]

    assert [url.drivername for url in urls] == ["postgresql+psycopg2"] * 2
    assert {url.username for url in urls} == {server["POSTGRES_USER"]}
    assert urls[0].database == server["POSTGRES_DB"]
    assert (
        COMPOSE["configs"]["second-database"]["content"] == f"CREATE DATABASE {urls[1].database};"
    )


@pytest.mark.xdist_group("servers")
def test_the_bucket_is_created_and_found_again(bucket_server: BucketStore) -> None:
    program = SERVICES["bucket"]["command"]
    environment = {
        **os.environ,
        **bucket_server.environment,
        "INGEST_STORAGE_URI": "s3://knowledge/storage",
    }

    for _ in range(2):
        subprocess.run([sys.executable, *program[1:]], env=environment, check=True)

    client = boto3.client("s3", **bucket_server.arguments)
    assert client.head_bucket(Bucket="knowledge")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_bucket_store_knows_its_options_and_is_the_one_that_tests_run() -> None:
    service = SERVICES["s3"]
    command, *options = service["command"]
    known = re.findall(r"^  (-\S+)", weed(command, "-h"), re.MULTILINE)

    assert {option.partition("=")[0] for option in options} <= set(known)
    assert f" {service['image'].rpartition(':')[2]} " in weed("version")


def test_the_example_holds_no_secret() -> None:
    for name, value in ENVIRONMENT.items():
        if name.endswith(("PASSWORD", "SECRET_KEY", "SECRET_ACCESS_KEY")):
            assert value == "replace-me"


def test_webserver_and_daemon_find_the_code_server_under_the_name_it_has_on_one_host() -> None:
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    (server,) = (each["grpc_server"] for each in workspace["load_from"])
    options = parsed(SERVICES["code-server"]["command"])

    assert server == {"host": "code-server", "port": CODE_SERVER_PORT, "location_name": LOCATION}
    assert (options["port"], options["location_name"]) == (CODE_SERVER_PORT, LOCATION)
    assert parsed(SERVICES["code-server"]["healthcheck"]["test"][1:])["port"] == CODE_SERVER_PORT


def test_the_image_is_made_of_files_and_extras_that_exist() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    project = tomllib.loads((project_dir() / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r'"\.\[(.+)\]"', DOCKERFILE)

    assert all((project_dir() / source).exists() for source in copied)
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert SERVICES["worker"]["image"].endswith(f":{project['version']}")


def instance_variables() -> set[str]:
    """The variables that ``deploy/dagster.yaml`` reads by itself."""
    return set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))


def weed(*arguments: str) -> str:
    run = subprocess.run([WEED, *arguments], capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


def _of(service: dict[str, Any], part: str) -> list[Any]:
    found: list[Any] = service.get(part, [])
    return found
