"""The settings of Kasbah's Kafka clients, which are librdkafka's, in the words of Spark's, which is Java's."""

from collections.abc import Mapping

from governance.errors import SettingsError

_SAME = ("ssl.endpoint.identification.algorithm", "client.id", "client.rack", "fetch.min.bytes")
_LOGIN = ("sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms")
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def kafka_options(brokers: str, options: Mapping[str, str]) -> dict[str, str]:
    """What `spark.readStream.format("kafka")` is told of the brokers. Secrets are in it: Spark redacts them in logs.

    Raises SettingsError for a setting that can't be said in Java's words, rather than leave it out.
    """
    if not brokers:
        raise SettingsError("the address of Kafka is not set: KASBAH_KAFKA__BROKERS or [kafka] brokers in kasbah.toml")
    said = {"kafka.bootstrap.servers": brokers}
    for name, value in options.items():
        if name in _LOGIN:
            continue
        if name == "security.protocol":
            said["kafka.security.protocol"] = value.upper()
        elif name == "ssl.ca.location":
            said |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": value}
        elif name in _SAME:
            said[f"kafka.{name}"] = value
        else:
            raise SettingsError(f"kafka option {name} is not one that Spark's client can be told: leave it out for it")
    return said | _login(options)


def _login(options: Mapping[str, str]) -> dict[str, str]:
    if "sasl.username" not in options and "sasl.password" not in options:
        return {}
    mechanism = options.get("sasl.mechanism", options.get("sasl.mechanisms", "")).upper()
    if mechanism not in _MODULES:
        raise SettingsError(f"kafka option sasl.mechanism must be one of {', '.join(_MODULES)} for Spark")
    name, password = (_quoted(options.get(f"sasl.{part}", "")) for part in ("username", "password"))
    login = f"{_MODULES[mechanism]} required username={name} password={password};"
    return {"kafka.sasl.mechanism": mechanism, "kafka.sasl.jaas.config": login}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
