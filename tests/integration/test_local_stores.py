"""Cassandra, MongoDB's protocol and S3 run here as real servers; the one that is a stand-in says so."""

import shutil
import zipfile
from pathlib import Path

import pymongo
import pytest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import RoundRobinPolicy
from pyarrow import fs
from pyspark import __file__ as pyspark
from services import running

from local.cassandra import PASSWORD, USER, Cassandra
from local.mongodb import MongoDB
from local.s3 import BUCKET, S3
from local.spark_jars import spark_jars


def session(cassandra: Cassandra, password: str = PASSWORD) -> Session:
    login = PlainTextAuthProvider(USER, password)
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(load_balancing_policy=RoundRobinPolicy())}
    place = {"port": cassandra.port, "protocol_version": 5, "execution_profiles": profiles}
    return Cluster(["127.0.0.1"], auth_provider=login, **place).connect()


def fill(cassandra: Cassandra, keyspace: str) -> None:
    work = session(cassandra)
    work.execute(
        f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    )
    work.set_keyspace(keyspace)
    work.execute("CREATE TABLE t (id text PRIMARY KEY, n bigint) WITH compression = {'enabled': false}")
    for number in range(10):
        work.execute("INSERT INTO t (id, n) VALUES (%s, %s)", (f"control-{number}", number))
    work.cluster.shutdown()


def test_what_cassandra_acknowledged_survives_a_crash() -> None:
    with running(Cassandra) as server:
        fill(server, "crash")
        server.kill()
        server.start()
        work = session(server)
        rows = work.execute("SELECT id, n FROM crash.t").all()
        work.cluster.shutdown()
    assert sorted((row.id, row.n) for row in rows) == [(f"control-{n}", n) for n in range(10)]


def test_cassandra_lets_nobody_in_without_the_password(cassandra: Cassandra) -> None:
    with pytest.raises(NoHostAvailable):
        session(cassandra, "wrong")


def test_what_cassandra_flushes_is_in_its_files(cassandra: Cassandra, fresh_name: str) -> None:
    """What searches raw bytes relies on this."""
    fill(cassandra, fresh_name)
    cassandra.tool("flush", fresh_name)
    files = [file.read_bytes() for file in (cassandra.data / "tables" / fresh_name).rglob("*-Data.db")]
    assert any(b"control-7" in content for content in files)


def test_mongodb_answers_a_client_of_today(mongodb: MongoDB, fresh_name: str) -> None:
    with pymongo.MongoClient(mongodb.address) as client:
        people = client[fresh_name]["people"]
        people.insert_many([{"_id": n, "group": n % 2} for n in range(100)])
        found = list(people.aggregate([{"$group": {"_id": "$group", "people": {"$sum": 1}}}, {"$sort": {"_id": 1}}]))
        client.drop_database(fresh_name)
    assert found == [{"_id": 0, "people": 50}, {"_id": 1, "people": 50}]


def test_a_stand_in_is_called_one(mongodb: MongoDB) -> None:
    assert mongodb.real == (shutil.which("mongod") is not None)
    assert ("stand-in" in mongodb.product) != mongodb.real
    assert mongodb.product in mongodb.log.read_text()


def test_s3_keeps_objects_for_those_who_know_its_keys(s3: S3) -> None:
    client = s3.client()
    with client.open_output_stream(f"{BUCKET}/folder/object") as out:
        out.write(b"x" * 6_000_000)
    lake, root = fs.FileSystem.from_uri(s3.lake)
    assert lake.get_file_info(f"{root}/folder/object").size == 6_000_000
    stranger = fs.S3FileSystem(
        access_key="kasbah", secret_key="wrong", scheme="http", endpoint_override=s3.address.removeprefix("http://")
    )
    with pytest.raises(OSError, match="SIGNATURE_DOES_NOT_MATCH"):
        stranger.get_file_info(fs.FileSelector(f"{BUCKET}/folder"))


def test_spark_has_what_it_needs_for_kafka() -> None:
    jars = spark_jars()
    entries = {name for jar in jars for name in zipfile.ZipFile(jar).namelist()}
    assert "org/apache/spark/sql/kafka010/KafkaSourceProvider.class" in entries
    assert "org/apache/kafka/clients/consumer/KafkaConsumer.class" in entries
    assert "org/apache/commons/pool2/impl/GenericKeyedObjectPool.class" in entries
    own = {jar.name for jar in (Path(pyspark).parent / "jars").glob("*.jar")}
    assert any(name.startswith("scala-library-2.13.") for name in own)
    assert all("_2.12" not in jar.name for jar in jars)
