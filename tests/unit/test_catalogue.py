"""The catalogue that ships, and what happens to files that are wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from schemas.catalogue import PERSONAL_FIELDS, RETENTION_CLASSES, Catalogue, reference_page, shipped_files
from schemas.catalogue.entry import event_paths, is_event_path, symbols
from schemas.errors import CatalogueError
from sinks.settings import RetentionSettings

REPOSITORY = Path(__file__).parents[2]

FIVE = ("create", "update", "delete", "activate", "deactivate")
CAMPAIGN_AREA = {
    *(f"campaign.{a}" for a in (*FIVE, "complete")),
    *(f"local_control_group.{a}" for a in FIVE[:3]),
    *(f"campaign.{a}_{o}" for a in ("bind", "unbind") for o in ("activity", "segment")),
    *(f"{o}.{a}" for o in ("loyalty_program", "points_type", "loyalty_level") for a in FIVE),
    *(f"loyalty_partner.{a}" for a in FIVE[:3]),
    *(f"promotion.{a}" for a in (*FIVE, "complete")),
    *(f"loyalty_program.{a}" for a in ("attach", "detach")),
}
TASK_TYPES = {
    "campaign_vouchers": {"import", "csv_import", "update", "deletion", "generation"},
    "customers": {"csv_import", "bulk_update", "metadata_update", "metadata_key_purge"},
    "products": {"bulk_update", "metadata_update", "metadata_key_purge", "csv_import"},
    "skus": {"csv_import"},
    "vouchers": {"import", "csv_import", "bulk_update", "metadata_update", "metadata_key_purge"},
}

GOOD = """
[defaults]
retention_class = "business"

[[event]]
code = "invoice.approve"
title = "{actor} approved invoice {target}"
category = "complete"
object_type = "invoice"
personal_data = ["details.approver"]
description = "An invoice was approved."
"""


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return Catalogue.load()


def write(directory: Path, text: str, name: str = "ours.toml") -> Path:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(*files: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load(files)
    return caught.value.problems


def test_the_campaign_area_has_exactly_its_39_actions(shipped: Catalogue) -> None:
    defined = {e.code for e in shipped if e.place.startswith("schemas/catalogue/campaigns.toml:")}
    assert len(CAMPAIGN_AREA) == 39
    assert defined == CAMPAIGN_AREA


def test_mailings_and_scenarios_end_with_the_campaign_they_belong_to(shipped: Catalogue) -> None:
    row = {"actor_name": "Ann", "target_name": "Spring", "parent_type": "campaign", "parent_id": "c7"}
    for object_type in ("mailing", "scenario"):
        for action in ("delete", "deactivate", "complete"):
            assert shipped.title(f"{object_type}.{action}", row).endswith(" Spring in campaign c7")


@pytest.mark.parametrize(
    "object_type",
    [
        "user",
        "user_group",
        "access_role",
        "database",
        "segment",
        "resource",
        "mailing",
        "template",
        "template_fragment",
    ],
)
def test_the_other_object_types_can_be_created_changed_and_deleted(shipped: Catalogue, object_type: str) -> None:
    actions = {e.category for e in shipped if e.object_type == object_type}
    assert {"create", "update", "delete"} <= actions


def test_there_are_nineteen_task_types_and_each_shows_its_state(shipped: Catalogue) -> None:
    expected = {f"task.{kind}.{a}" for kind, actions in TASK_TYPES.items() for a in actions}
    assert len(expected) == 19
    assert {e.code for e in shipped if e.record_kind == "task"} == expected
    for code in expected:
        for state in ("enqueued", "in_progress", "failed", "done", "cancelled"):
            assert shipped.title(code, {"task_status": state}).endswith(f": {state}")


@pytest.mark.parametrize(
    "code",
    [
        "run.start",
        "run.end",
        "run.progress",
        "run.entry",
        "run.debug",
        "run.warning",
        "run.error",
        "export.request",
        "export.ready",
        "export.error",
        "export.expired",
        "export.download",
        "webhook.sent",
        "webhook.retry",
        "webhook.error",
        "webhook.resent",
        "api.call",
        "customer.create",
        "customer.update",
        "customer.delete",
        "customer.anonymize",
        "customer.read",
        "customer.bulk_delete",
        "customer.bulk_download",
        "trend.create",
        "campaign_design.update",
        "aggregate.delete",
        "auth.login",
        "auth.login_failed",
        "auth.logout",
        "auth.logout_failed",
        "contacts.member.create",
        "contacts.member.delete",
        "contacts.member.enable",
        "contacts.role_group.create",
        "contacts.role_group.delete",
        "open_platform.plugin.enable",
        "open_platform.plugin.disable",
        "open_platform.plugin.import",
        "open_platform.key.enable",
        "open_platform.key.disable",
        "management.contact_group.create",
        "management.contact_group.update",
        "management.contact_group.delete",
        "management.product.enable",
        "management.product.disable",
        "management.order.create",
        "management.order.pay",
        "access.search",
        "access.export",
        "access.download",
        "access.view",
        "system.start",
        "hold.create",
    ],
)
def test_every_operation_of_the_sources_has_a_code(shipped: Catalogue, code: str) -> None:
    assert code in shipped


def test_anonymizing_and_reading_customers_are_what_they_are_called(shipped: Catalogue) -> None:
    found = {c: shipped.get(f"customer.{c}") for c in ("anonymize", "read", "bulk_download")}
    assert [e and (e.category, e.crud) for e in found.values()] == [("anonymize", "u"), ("read", "r"), ("read", "r")]
    assert all(e and "resource_query" in e.personal_data for e in found.values())


def test_the_levels_of_a_run_log_are_the_severities_of_its_codes(shipped: Catalogue) -> None:
    levels = {e.code: e.severity for e in shipped if e.record_kind == "run_log"}
    assert {levels[f"run.{n}"] for n in ("debug", "entry", "warning", "error")} == {"DEBUG", "INFO", "WARNING", "ERROR"}


def test_every_record_kind_has_codes(shipped: Catalogue) -> None:
    kinds = Counter(e.record_kind for e in shipped)
    assert set(kinds) == set(symbols("RecordKind")) - {"other"}


def test_the_classes_of_retention_are_those_of_the_settings(shipped: Catalogue) -> None:
    assert set(RETENTION_CLASSES) == set(RetentionSettings().classes)
    assert {e.retention_class for e in shipped} == set(RETENTION_CLASSES)


def test_the_fields_that_are_always_personal_exist() -> None:
    assert set(PERSONAL_FIELDS) <= event_paths()


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("actor_email", True),
        ("api.request_body", True),
        ("changes.before", True),
        ("details.any", True),
        ("details.", False),
        ("api", False),
        ("api.", False),
        ("nonsense", False),
        ("hook.nonsense", False),
    ],
)
def test_a_path_is_known_when_the_event_has_the_field(path: str, known: bool) -> None:
    assert is_event_path(path) is known


def test_iteration_codes_and_columns_go_in_the_same_order(shipped: Catalogue) -> None:
    codes = [e.code for e in shipped]
    assert codes == sorted(codes) == list(shipped.codes)
    assert shipped.column("category") == [e.category for e in shipped]
    assert len(shipped) == len(codes)


def test_an_unknown_code_is_not_in_the_catalogue_and_is_its_own_title(shipped: Catalogue) -> None:
    assert "no.such.code" not in shipped
    assert shipped.get("no.such.code") is None
    assert shipped.title("no.such.code", {"actor_name": "Ann"}) == "no.such.code"


def test_titles_of_rows_follow_their_event_codes(shipped: Catalogue) -> None:
    rows = [{"event_code": "campaign.create", "actor_id": "u1", "target_id": "c1"}, {"event_code": "x"}, {}]
    assert shipped.titles(rows) == ["u1 created campaign c1", "x", ""]


def test_users_add_their_own_codes_by_a_file(tmp_path: Path, shipped: Catalogue) -> None:
    catalogue = Catalogue.load([write(tmp_path, GOOD)])
    entry = catalogue.get("invoice.approve")
    assert entry is not None
    assert (entry.category, entry.crud, entry.record_kind, entry.severity) == ("complete", "u", "action", "INFO")
    assert entry.personal_data == ("details.approver",)
    assert entry.place == f"{tmp_path / 'ours.toml'}:5"
    assert len(catalogue) == len(shipped) + 1


def test_an_object_defines_one_code_for_each_action(tmp_path: Path) -> None:
    text = """
[[object]]
type = "contract"
code = "legal.contract"
name = "contract [new]"
retention_class = "compliance"
note = "Kept by law."
actions = ["create", "read", "anonymize"]
"""
    catalogue = Catalogue.load([write(tmp_path, text)])
    found = [e for e in catalogue if e.object_type == "contract"]
    assert [(e.code, e.crud) for e in found] == [
        ("legal.contract.anonymize", "u"),
        ("legal.contract.create", "c"),
        ("legal.contract.read", "r"),
    ]
    assert found[0].title.render({"actor_id": "u", "target_id": "t"}) == "u anonymized contract [new] t"
    assert found[0].description == "Contract [new] anonymized. Kept by law."


def test_a_duplicate_code_is_refused_with_both_places_named(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.replace("invoice.approve", "campaign.create"))
    line = next(
        n
        for n, text in enumerate((REPOSITORY / "schemas/catalogue/campaigns.toml").read_text().splitlines(), 1)
        if text == "[[object]]"
    )
    first = f"schemas/catalogue/campaigns.toml:{line}"
    assert problems_of(file) == [f"{file}:5: code campaign.create is already defined at {first}"]


def test_a_code_defined_in_two_files_of_the_user_is_refused(tmp_path: Path) -> None:
    one, two = write(tmp_path, GOOD, "one.toml"), write(tmp_path, GOOD, "two.toml")
    assert problems_of(one, two) == [f"{two}:5: code invoice.approve is already defined at {one}:5"]


def test_a_duplicate_is_told_although_the_entry_has_other_problems_too(tmp_path: Path) -> None:
    text = GOOD.replace("invoice.approve", "campaign.create").replace('"complete"', '"finish"')
    found = "\n".join(problems_of(write(tmp_path, text)))
    assert "category is 'finish'" in found
    assert "already defined" in found


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    bad = """
[defaults]
retention_clas = "business"

[[event]]
code = "Bad Code"
title = "{nobody} did it"
category = "creat"
retention_class = "forever"
personal_data = ["actor_emial"]
crud = 5

[[object]]
type = "thing"
retention_class = "business"
actions = ["fly"]

[[object]]
actions = []
"""
    broken = write(tmp_path, "[[event]\n", "broken.toml")
    file = write(tmp_path, bad, "bad.toml")
    found = problems_of(file, broken, tmp_path / "absent.toml")
    expected = [
        f"{file}: [defaults]: unknown key retention_clas (did you mean retention_class?)",
        f"{file}:5: description is missing",
        f"{file}:5: code is 'Bad Code', expected words",
        f"{file}:5: title '{{nobody}} did it': unknown name {{nobody}}; there are actor",
        f"{file}:5: category is 'creat', expected one of auth, create",
        f"{file}:5: retention_class is 'forever', expected one of debug",
        f"{file}:5: personal_data is 'actor_emial', expected a field of the event or details.NAME, for example actor_em",
        f"{file}:5: crud is 5, expected text",
        f"{file}:13: actions is 'fly', expected one of create",
        f"{file}:18: type is None, expected the type",
        f"{broken}: cannot be read",
        f"{tmp_path / 'absent.toml'}: cannot be read",
    ]
    for start in expected:
        assert [p for p in found if p.startswith(start)], start
    assert len(found) == len(expected)


@pytest.mark.parametrize("text", ["event = 5\n", "event = [1]\n", "defaults = 5\n", "[extra]\n", "\ufeff[[event]]\n"])
def test_a_file_of_the_wrong_shape_is_refused_and_not_a_crash(tmp_path: Path, text: str) -> None:
    assert problems_of(write(tmp_path, text))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b'[[event]]\ncode = "\xe4"\n')
    assert "cannot be read" in problems_of(file)[0]


def test_a_class_of_retention_from_the_settings_may_be_named(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.replace('"business"', '"tax"'))
    assert "retention_class is 'tax'" in problems_of(file)[0]
    entry = Catalogue.load([file], retention_classes=("tax",)).get("invoice.approve")
    assert entry is not None
    assert entry.retention_class == "tax"


def test_the_digest_follows_the_content_and_not_the_place(tmp_path: Path, shipped: Catalogue) -> None:
    one = Catalogue.load([write(tmp_path, GOOD, "one.toml")])
    same = Catalogue.load([write(tmp_path, "# moved\n\n" + GOOD, "same.toml")])
    other = Catalogue.load([write(tmp_path, GOOD.replace("An invoice", "One invoice"), "other.toml")])
    assert one.digest == same.digest
    assert len({shipped.digest, one.digest, other.digest}) == 3


def test_the_reference_page_in_the_docs_is_the_generated_one(shipped: Catalogue) -> None:
    page = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
    assert page == reference_page(shipped), "run: auditstream catalogue docs --output docs/events.md"


def test_the_reference_page_names_every_code_once(shipped: Catalogue) -> None:
    lines = reference_page(shipped).splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `") and line.count(" | ") == 8]
    assert sorted(listed) == list(shipped.codes)


def test_every_shipped_file_contributes(shipped: Catalogue) -> None:
    places = {e.place.rpartition(":")[0].rpartition("/")[2] for e in shipped}
    assert places == {f.name for f in shipped_files()}
