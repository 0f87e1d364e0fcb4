"""Topics on Apache Kafka."""
