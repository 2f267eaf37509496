"""All settings, from AUDITSTREAM_* variables and one TOML file; the only place that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditstream.logs import LogSettings
from auditstream.notify.settings import NotifySettings
from auditstream.redaction import HIDDEN, hidden, is_secret_name
from auditstream.setting_fields import PREFIX, SettingField, fields_of
from auditstream.setting_sources import CONFIG_VARIABLE, Given, from_environment, from_file
from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from producers.settings import ProducerSettings
from query.export_settings import ExportSettings
from query.oidc_settings import OidcSettings
from query.resend_settings import ResendSettings
from query.settings import AccessSettings, HttpSettings
from query.web_settings import PageSettings
from schemas.settings import CatalogueSettings, KafkaSettings, RegistrySettings
from sinks.settings import ClickHouseSettings, RetentionSettings

__all__ = ["PREFIX", "LoadedSettings", "Settings", "SettingsError", "load_settings", "read_settings", "setting_fields"]

_SHOWN_CHARACTERS = 200


class SettingsError(Exception):
    """One or more settings are wrong; the message names each with its value and what was expected."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("wrong settings:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems


class Settings(BaseModel):
    """Every setting of auditstream, by section."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    clickhouse: ClickHouseSettings = Field(default_factory=ClickHouseSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    catalogue: CatalogueSettings = Field(default_factory=CatalogueSettings)
    producer: ProducerSettings = Field(default_factory=ProducerSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    # `validate` is a method of pydantic's models, so the attribute has another name than the section.
    validate_: ValidateSettings = Field(default_factory=ValidateSettings, alias="validate")
    enrich: EnrichSettings = Field(default_factory=EnrichSettings)
    export: ExportSettings = Field(default_factory=ExportSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    resend: ResendSettings = Field(default_factory=ResendSettings)
    page: PageSettings = Field(default_factory=PageSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    log: LogSettings = Field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and where each one comes from.

    Attributes:
        settings: The settings.
        origins: Where a value that is not a default comes from, by ``section.key``.
    """

    settings: Settings
    origins: Mapping[str, str]

    def value(self, field: SettingField) -> object:
        """Return the value of one setting."""
        section = getattr(self.settings, "validate_" if field.section == "validate" else field.section)
        return getattr(section, field.key)


def setting_fields() -> Mapping[str, SettingField]:
    """Return every setting by ``section.key``, in the order of the sections."""
    return fields_of(Settings)


def load_settings(**overrides: Mapping[str, Any] | BaseModel) -> Settings:
    """Read the settings.

    Args:
        overrides: Sections or values that win over environment and file, for example ``kafka={"events_topic": "t"}``.

    Raises:
        SettingsError: With every problem found, unknown AUDITSTREAM_ variables included.
    """
    return read_settings(**overrides).settings


def read_settings(**overrides: Mapping[str, Any] | BaseModel) -> LoadedSettings:
    """Read the settings together with their origins; see ``load_settings``.

    Raises:
        SettingsError: With every problem found.
    """
    fields = setting_fields()
    file, problems = from_file(os.environ.get(CONFIG_VARIABLE), fields)
    environment, more = from_environment(os.environ, fields)
    given = {**file, **environment, **_arguments(overrides)}
    values: dict[str, dict[str, Any]] = {}
    for one in given.values():
        values.setdefault(one.section, {})[one.key] = one.value
    problems += more
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(problems + _described(error, given, fields)) from None
    if problems:
        raise SettingsError(problems)
    return LoadedSettings(settings, {name: one.origin for name, one in given.items()})


def _arguments(overrides: Mapping[str, Mapping[str, Any] | BaseModel]) -> dict[str, Given]:
    given = {}
    for name, values in overrides.items():
        section = name.rstrip("_")
        plain = values.model_dump() if isinstance(values, BaseModel) else values
        for key, value in plain.items():
            given[f"{section}.{key}"] = Given(section, key, value, f"{section}.{key}", "the command line")
    return given


def _described(error: ValidationError, given: Mapping[str, Given], fields: Mapping[str, SettingField]) -> list[str]:
    problems = []
    for detail in error.errors(include_url=False):
        # A problem of a whole section has no key; one inside a list or table has more than a key.
        name = ".".join(str(part) for part in detail["loc"][:2])
        inside = "".join(f".{part}" for part in detail["loc"][2:])
        expected = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
        problems.append(f"{_shown(name, inside, detail['input'], given, fields)}: {expected}")
    return problems


def _shown(
    name: str, inside: str, value: object, given: Mapping[str, Given], fields: Mapping[str, SettingField]
) -> str:
    field, one = fields.get(name), given.get(name)
    if one is None or field is None:
        return f"[{name}]"
    # A problem of a whole table shows the table, and secrets may be in it.
    text = HIDDEN if field.secret or is_secret_name(inside) else repr(hidden("", value))
    cut = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return f"{one.name}{inside} = {cut} ({one.origin})"
