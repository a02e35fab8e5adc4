"""How features are put together."""

from collections.abc import Sequence

import pytest
from pydantic import Field

from service.app import find_consumer
from service.context import CONSUMERS, ROUTES, TASKS, Context, Feature, Slot
from service.features import FEATURES
from service.settings import Settings, SettingsError
from service.web import Request, Response, Route
from tests.conftest import Env, runtime

NAMES = Slot[str]()


class Example(Settings):
    name: str = Field(alias="EXAMPLE_NAME")


def context(*features: Feature, env: Env | None = None) -> Context:
    return Context(runtime({} if env is None else env), features)


def names(name: str) -> Feature:
    return (NAMES.by(lambda _: name),)


def test_a_part_is_built_once_and_on_first_use() -> None:
    built: list[Context] = []

    def build(context: Context) -> Sequence[Context]:
        built.append(context)
        return built

    made = context()
    assert built == []
    assert made.get(build) is made.get(build)
    assert built == [made]


def test_a_part_that_cannot_be_built_is_tried_again() -> None:
    env: Env = {}
    made = context(env=env)
    with pytest.raises(SettingsError, match="EXAMPLE_NAME"):
        made.settings(Example)
    env["EXAMPLE_NAME"] = "Ada"
    assert made.settings(Example).name == "Ada"


def test_settings_are_read_once() -> None:
    made = context(env={"EXAMPLE_NAME": "Ada"})
    assert made.settings(Example) is made.settings(Example)


def test_the_first_contribution_to_a_slot_counts() -> None:
    made = context(names("first"), (), names("second"))
    assert made.find(NAMES) == made.require(NAMES) == "first"
    assert made.every(NAMES) == ["first", "second"]


def test_a_slot_may_stay_empty() -> None:
    assert context().find(NAMES) is None
    assert context().every(NAMES) == []


def test_no_feature_contributes_a_route_a_task_or_a_consumer_that_another_has() -> None:
    _custom, *others = FEATURES  # yours may replace what the others contribute
    made = Context(runtime({}), others)
    found = [route.name for route in made.routes()]
    found += [name for tasks in made.every(TASKS) for name in tasks]
    found += [name for consumers in made.every(CONSUMERS) for name in consumers]
    assert len(found) == len({*found})


def test_routes_come_from_every_feature() -> None:
    async def answer(_request: Request) -> Response:
        return Response(204)

    first, second = Route("GET", "/a", answer), Route("GET", "/b", answer)
    made = context((ROUTES.by(lambda _: [first]),), (ROUTES.by(lambda _: [second]),))
    assert made.routes() == [first, second]


async def jobs(_batch: object) -> None: ...


async def dead(_batch: object) -> None: ...


@pytest.mark.parametrize("queue", ["jobs", "my-service-jobs", "my-service-staging-jobs"])
def test_a_queue_is_consumed_by_the_end_of_its_name(queue: str) -> None:
    assert find_consumer({"jobs": jobs, "jobs-dead": dead}, queue) is jobs
    assert find_consumer({"jobs": jobs, "jobs-dead": dead, "dead": jobs}, f"{queue}-dead") is dead


def test_a_lone_consumer_takes_every_queue() -> None:
    assert find_consumer({"jobs": jobs}, "renamed") is jobs


@pytest.mark.parametrize("queue", ["renamed", "myjobs"])
def test_a_queue_without_a_consumer_is_named(queue: str) -> None:
    with pytest.raises(LookupError, match=queue):
        find_consumer({"jobs": jobs, "dead": dead}, queue)
