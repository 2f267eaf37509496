"""All settings, from AUDITSTREAM_* variables and one TOML file; the only place that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from producers.settings import ProducerSettings
from schemas.settings import CatalogueSettings, KafkaSettings, RegistrySettings
from sinks.settings import ClickHouseSettings, RetentionSettings

PREFIX = "AUDITSTREAM_"
#: Variables with our prefix that are not settings: the file itself, and switches of the test suite.
RESERVED = ("AUDITSTREAM_CONFIG", "AUDITSTREAM_REQUIRE", "AUDITSTREAM_TEST_")


class SettingsError(Exception):
    """One or more settings are wrong; the message names each with its value and what was expected."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("wrong settings:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems


class Settings(BaseSettings):
    """Every setting of auditstream, by section."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1, extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    clickhouse: ClickHouseSettings = Field(default_factory=ClickHouseSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    catalogue: CatalogueSettings = Field(default_factory=CatalogueSettings)
    producer: ProducerSettings = Field(default_factory=ProducerSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    validate_: ValidateSettings = Field(default_factory=ValidateSettings, alias="validate")
    enrich: EnrichSettings = Field(default_factory=EnrichSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, then the environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(f"{PREFIX}CONFIG")
        toml = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        return (init_settings, env_settings, *toml)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Args:
        overrides: Sections or values that win over environment and file, for example ``kafka={"events_topic": "t"}``.

    Raises:
        SettingsError: With every problem found, unknown AUDITSTREAM_ variables included.
    """
    raise NotImplementedError
