"""Every setting, read from the environment here and nowhere else. `omni doctor` prints them with their meaning."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from omni.foundation.crypto.secrets import MasterKey


class Settings(BaseSettings):
    """Settings of one process. Names in the environment are these in capitals behind `OMNI_`."""

    model_config = SettingsConfigDict(env_prefix="OMNI_", extra="ignore")

    home: Path = Field(Path("./.omni"), description="Folder for all state: database, Redis, logs, secrets, files.")
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL >= 15 with pgvector, as postgresql://user:password@host:port/database. "
        "Unset: `omni up` runs an embedded one. The user creates the three roles in `omni migrate`.",
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis >= 6.2, as redis://[user:password@]host:port/0. Unset: `omni up` runs an embedded one."
    )
    master_key: SecretStr | None = Field(
        None,
        description="32 bytes in base64 that every other secret derives from. Unset: HOME/secrets/master.key.",
    )
    gateway_host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    gateway_port: int = Field(8080, description="Port of the public API.")
    gateway_workers: int = Field(1, ge=1, description="Gateway processes that share the port.")
    compiled: bool = Field(True, description="Whether gateways run compiled, where `make compiled` has built that.")
    console_host: str = Field("127.0.0.1", description="Address that the console listens on.")
    console_port: int = Field(8081, description="Port of the control-plane API.")
    backend_host: str = Field("127.0.0.1", description="Address that the backend listens on; keep it private.")
    backend_port: int = Field(8082, description="Port of the backend.")
    status_host: str = Field("127.0.0.1", description="Address of the status page.")
    status_port: int = Field(8083, description="Port of the status page.")
    status_url: str | None = Field(
        None, description="How people reach the status page; used in feeds and mail. Unset: its address and port."
    )
    status_token: SecretStr | None = Field(
        None,
        description="What writes incidents to the status page and takes alerts; `omni status token` prints it. "
        "`omni up` derives it from the master key. Unset for the status process: writing is off.",
    )
    status_webhooks_to_loopback: bool = Field(
        False, description="Let subscribed webhooks be plain http and on this machine; for trying them out."
    )
    metrics_host: str = Field("127.0.0.1", description="Address for /metrics, /livez and /readyz of a process.")
    metrics_port: int = Field(9100, description="Port for /metrics, /livez and /readyz of this process.")
    backend_url: str = Field("http://127.0.0.1:8082", description="Where the gateway finds the backend.")
    public_url: str = Field("http://127.0.0.1:8080", description="How customers reach the gateway.")
    console_url: str = Field("http://127.0.0.1:8081", description="How people reach the console; used in mail.")
    metrics_targets: Path | None = Field(
        None,
        description="Which processes' metrics the operations page reads: a file of Prometheus' file_sd form whose "
        "targets have a label `process`. Unset: what `omni up` writes to OMNI_HOME/prometheus/targets.json.",
    )
    alertmanager_url: str | None = Field(
        None,
        description="Alertmanager, e.g. http://127.0.0.1:9093: the operations page shows its alerts. Unset: what the "
        "console finds by itself.",
    )
    probe_urls: str = Field(
        "", description="What the status process watches: `name=url` pairs with commas between; each must answer 200."
    )
    sla_components: str = Field(
        "api,inference",
        description="Components of the status page whose outages count in tenants' availability, with commas between.",
    )
    request_timeout_seconds: float = Field(120.0, gt=0, description="Longest time a request may take at the gateway.")
    lease_seconds: float = Field(
        30.0,
        ge=3,
        le=300,
        description="How long what a request reserves stays reserved once its gateway has died; all gateways alike.",
    )
    drain_seconds: float = Field(20.0, gt=0, description="How long a stopping process finishes what it has begun.")
    trusted_proxies: str = Field(
        "", description="Networks whose X-Forwarded-For is believed, in CIDR form with commas between. Empty: nobody's."
    )
    worker_processes: int = Field(1, ge=1, description="Children of the task worker.")
    job_processes: int = Field(1, ge=1, description="Children of the worker for jobs that take long, such as batches.")
    objects_url: str = Field(
        "",
        description="Where files are kept: file:///folder, s3://bucket/prefix or gs://bucket/prefix; empty: in home.",
    )
    gateway_url: str = Field("", description="Where workers and backends reach the gateway; empty: as customers do.")
    engine_threads: int = Field(
        2, ge=1, description="Threads for inference in the backend; the number of cores is right."
    )
    model_processes: int = Field(8, ge=1, description="Most processes of a backend that serve tenants' models.")
    model_processes_per_tenant: int = Field(2, ge=1, description="Most of them for one tenant.")
    model_memory_mib: int = Field(2_048, ge=256, description="What all of them may hold, MiB.")
    model_process_memory_mib: int = Field(1_024, ge=256, description="Address space of each, MiB.")
    pool_size: int = Field(5, ge=1, description="Database connections a process keeps.")
    pool_overflow: int = Field(5, ge=0, description="Connections it may open beyond that.")
    statement_timeout_seconds: float = Field(15.0, gt=0, description="Longest time of a database statement.")
    model_cache: Path | None = Field(None, description="Folder for built models. Unset: HOME/models.")
    smtp_url: SecretStr | None = Field(
        None, description="smtp://user:password@host:587 or smtps://…:465. Unset: mail goes to files in HOME/mail."
    )
    mail_from: str = Field("Omni <omni@localhost>", description="Sender of mail.")
    stripe_secret_key: SecretStr | None = Field(
        None, description="Secret key of a Stripe account, sk_live_… or rk_live_…. Unset: no payments through Stripe."
    )
    stripe_webhook_secrets: SecretStr | None = Field(
        None,
        description="Signing secret of the webhook at Stripe, whsec_…; two with a comma while one is replaced.",
    )
    stripe_url: str = Field("https://api.stripe.com", description="Stripe's API.")
    paypal_client_id: str | None = Field(
        None, description="Client id of a PayPal app. Unset: no payments through PayPal."
    )
    paypal_secret: SecretStr | None = Field(None, description="Secret of the PayPal app.")
    paypal_webhook_id: str | None = Field(None, description="Id of the webhook in the PayPal app.")
    paypal_url: str = Field(
        "https://api-m.paypal.com", description="PayPal's API; https://api-m.sandbox.paypal.com for the sandbox."
    )
    crypto_rpc_url: SecretStr | None = Field(
        None, description="JSON-RPC address of a node of an EVM chain. Unset: no payments with crypto."
    )
    crypto_chain_id: int | None = Field(None, description="Id of that chain, such as 1 for Ethereum.")
    crypto_xpub: str | None = Field(
        None, description="Extended public key of m/44'/60'/0'/0 of the wallet that receives; never a private one."
    )
    crypto_assets: str | None = Field(
        None,
        description='What may be paid with, as JSON: [{"symbol": "USDC", "decimals": 6, "currency": "USD", '
        '"contract": "0x…"}]; ether has no contract but a price "feed".',
    )
    crypto_confirmations: int = Field(12, ge=1, description="How many blocks deep a transfer has to be to count.")
    otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP collector, e.g. http://127.0.0.1:4318. Unset: no export."
    )
    trace_sample_ratio: float = Field(1.0, ge=0, le=1, description="Share of traces that start here and are exported.")
    traces_per_second: int = Field(
        20,
        ge=0,
        description="So many traces each process begins to export in a second at most, as a mean over ten, failed and "
        "slow ones included. "
        "0: no limit; exporting every request takes half of a busy gateway's time.",
    )
    slow_trace_ms: int = Field(
        1000,
        ge=0,
        description="Requests and tasks that take so long, or fail, are kept in Redis for two hours, for the operator. "
        "0: none are.",
    )
    sentry_dsn: SecretStr | None = Field(
        None, description="Where Sentry takes unhandled errors, as https://key@host/project. Unset: nothing is sent."
    )
    log_exception_texts: bool = Field(
        False,
        description="Log the texts of exceptions that are not Omni's own. They help, and may quote what callers sent.",
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    stop_with_parent: bool = Field(
        False, description="End when the process that started this one ends. `omni up` sets it."
    )

    @property
    def secrets_folder(self) -> Path:
        return self.home / "secrets"

    @property
    def mail_folder(self) -> Path:
        return self.home / "mail"

    @property
    def uploads_folder(self) -> Path:
        """Where large uploads lie until they are stored."""
        return self.home / "uploads"

    @property
    def spool_folder(self) -> Path:
        return self.home / "spool"

    @property
    def run_file(self) -> Path:
        return self.home / "run.json"

    @property
    def models_folder(self) -> Path:
        return self.model_cache or self.home / "models"

    def objects(self) -> str:
        """The object store's URL."""
        return self.objects_url or f"file://{(self.home / 'objects').absolute()}"

    def load_master_key(self) -> MasterKey:
        """Raises InvalidMasterKey, OSError."""
        if self.master_key is not None:
            return MasterKey.from_base64(self.master_key.get_secret_value())
        return MasterKey.load_or_create(self.secrets_folder / "master.key")

    def load_status_token(self) -> str:
        """The token as set, else derived from the master key. Raises InvalidMasterKey, OSError."""
        if self.status_token is not None:
            return self.status_token.get_secret_value()
        return "omni_status_" + self.load_master_key().derive("status-token").hex()

    @property
    def slow_seconds(self) -> float:
        """From when on requests and tasks count as slow."""
        return self.slow_trace_ms / 1000 if self.slow_trace_ms else 1.0

    def redis_address(self) -> str:
        """Raises SettingMissing when no Redis is configured."""
        if self.redis_url is None:
            raise SettingMissing("OMNI_REDIS_URL", "start everything with `omni up`, or set it to a Redis >= 6.2")
        return self.redis_url.get_secret_value()


class SettingMissing(Exception):
    """A setting that this command needs is not there."""

    def __init__(self, name: str, what_to_do: str) -> None:
        super().__init__(f"{name} is not set: {what_to_do}")
